//! Converts a JSON Schema to a TypeScript type, which is the form in which gpt-oss reads the parameters of a function.
//!
//! The text equals that of openai-harmony exactly, including its oddities, because the model was trained on it:
//! descriptions become comments, optional properties have a `?`, and integers are `number`.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// Returns the type. All lines after the first begin with `indent`.
pub fn typescript(schema: &Value, indent: &str) -> String {
    if let Some(variants) = list(schema, "oneOf") {
        let lines = variants.iter().map(|variant| {
            let comments = [text(variant, "description").map(String::from), default_of(variant, Quotes::Always)];
            format!("\n{indent} | {}{}", nullable(variant, &format!("{indent}   ")), trailing(comments))
        });
        return lines.collect();
    }
    match schema.get("type") {
        Some(Value::Array(types)) => union(types),
        Some(Value::String(name)) => match name.as_str() {
            "object" => object(schema, indent),
            "string" => {
                let values = list(schema, "enum").into_iter().flatten().filter_map(Value::as_str);
                let values: Vec<String> = values.map(|value| format!("\"{value}\"")).collect();
                if values.is_empty() { "string".into() } else { values.join(" | ") }
            }
            "number" | "integer" => "number".into(),
            "boolean" => "boolean".into(),
            "array" => match schema.get("items") {
                Some(items) => format!("{}[]", typescript(items, indent)),
                None => "Array<any>".into(),
            },
            _ => "any".into(),
        },
        _ => "any".into(),
    }
}

/// Converts a list of types, such as `["integer", "string"]`.
fn union(types: &[Value]) -> String {
    let names = types.iter().filter_map(Value::as_str).map(|name| if name == "integer" { "number" } else { name });
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "any".into() } else { names.join(" | ") }
}

fn object(schema: &Value, indent: &str) -> String {
    let mut out = comment(text(schema, "description"), indent) + "{\n";
    let required: Vec<&str> = list(schema, "required").into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mark = if required.contains(&key.as_str()) { "" } else { "?" };
        out += &property_text(&format!("{key}{mark}"), property, indent);
    }
    out + indent + "}"
}

fn property_text(key: &str, property: &Value, indent: &str) -> String {
    let mut out = String::new();
    if let Some(title) = text(property, "title") {
        out += &format!("{indent}// {title}\n{indent}//\n");
    }
    let one_of = property.get("oneOf");
    if one_of.is_none() {
        out += &comment(text(property, "description"), indent);
    }
    if let Some(examples) = list(property, "examples").filter(|examples| !examples.is_empty()) {
        out += &format!("{indent}// Examples:\n");
        examples.iter().filter_map(Value::as_str).for_each(|example| out += &format!("{indent}// - \"{example}\"\n"));
    }
    match one_of.and_then(Value::as_array) {
        Some(variants) => out + &choice(key, property, variants, indent),
        None => {
            let default = default_of(property, Quotes::UnlessEnum).filter(|_| one_of.is_none());
            out + &format!("{indent}{key}: {},{}\n", nullable(property, &format!("{indent}    ")), trailing([default]))
        }
    }
}

/// Converts a property with `oneOf` to one line per variant. A description that is shown above all variants is not
/// repeated for the first one.
fn choice(key: &str, property: &Value, variants: &[Value], indent: &str) -> String {
    let of_all = text(property, "description");
    let of_first = variants.first().and_then(|variant| text(variant, "description"));
    let above = of_all.filter(|description| of_first != Some(description));
    let mut out = comment(above, indent);
    out += &comment(default_of(property, Quotes::UnlessEnum).as_deref(), indent);
    out += &format!("{indent}{key}:\n");
    for (i, variant) in variants.iter().enumerate() {
        let description = text(variant, "description").filter(|text| Some(*text) != of_all);
        let description = description.filter(|_| i > 0 || above.is_none()).map(String::from);
        let comments = trailing([description, default_of(variant, Quotes::UnlessEnum)]);
        out += &format!("{indent} | {}{comments}\n", nullable(variant, &format!("{indent}   ")));
    }
    out + indent + ",\n"
}

/// Returns the type, or the type and null if OpenAPI's `nullable` is set.
fn nullable(schema: &Value, indent: &str) -> String {
    let text = typescript(schema, indent);
    let may_be_null = schema.get("nullable").and_then(Value::as_bool).unwrap_or(false);
    if may_be_null && !text.contains("null") { text + " | null" } else { text }
}

/// Whether a default value that is a string is quoted.
#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    Always,
    UnlessEnum,
}

fn default_of(schema: &Value, quotes: Quotes) -> Option<String> {
    let is_enum = list(schema, "enum").is_some_and(|values| !values.is_empty());
    match schema.get("default")? {
        Value::String(text) if is_enum && quotes == Quotes::UnlessEnum => Some(format!("default: {text}")),
        // A plain string is quoted as it is; the string of an enum is written as JSON, which escapes characters.
        Value::String(text) if !is_enum => Some(format!("default: \"{text}\"")),
        other => Some(format!("default: {}", json_text(other))),
    }
}

/// Returns a value as JSON. Large and small numbers are written as openai-harmony writes them: `1e20`, not `1e+20`.
fn json_text(value: &Value) -> String {
    struct Numbers;
    impl Formatter for Numbers {
        fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
            writer.write_all(Value::from(value).to_string().replace("e+", "e").as_bytes())
        }
    }
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, Numbers);
    value.serialize(&mut serializer).expect("a JSON value is written to memory");
    String::from_utf8(text).expect("JSON is UTF-8")
}

fn comment(text: Option<&str>, indent: &str) -> String {
    text.map_or(String::new(), |text| format!("{indent}// {text}\n"))
}

fn trailing<const N: usize>(comments: [Option<String>; N]) -> String {
    let comments: Vec<String> = comments.into_iter().flatten().collect();
    if comments.is_empty() { String::new() } else { format!(" // {}", comments.join(" ")) }
}

fn text<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key)?.as_str()
}

fn list<'a>(schema: &'a Value, key: &str) -> Option<&'a Vec<Value>> {
    schema.get(key)?.as_array()
}
