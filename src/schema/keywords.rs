//! Converts the keywords of a single schema object to constraints, without its references and combinations.

use super::constraints::{Constraints, kind};
use super::dfa::Dfa;
use super::error::{SchemaProblem, SchemaResult, at, refuse};
use super::strings;
use serde_json::{Map, Value};

/// Keywords that do not constrain anything.
const ANNOTATIONS: [&str; 12] = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$comment",
    "$defs",
    "definitions",
    "$schema",
    "$id",
];

/// The keywords of bounds, in the order of [`Constraints::bounds`].
pub const BOUNDS: [&str; 4] = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"];

/// Returns the constraints of the keywords of one schema. `path` is its JSON pointer.
///
/// # Errors
/// If a keyword is unknown, malformed, or cannot be enforced.
pub fn constraints(keywords: &Map<String, Value>, path: &str) -> SchemaResult<Constraints> {
    let mut constraints = Constraints::default();
    let mut mentioned = 0; // the kinds of values that some keyword applies to
    for (keyword, value) in keywords {
        mentioned |= add(&mut constraints, keyword, value, &format!("{path}/{keyword}"))?;
    }
    // A schema with `properties` means objects, even if it does not say so.
    if mentioned != 0 && !keywords.contains_key("type") {
        constraints.kinds &= mentioned;
    }
    Ok(constraints)
}

/// Adds one keyword and returns the kinds of values that it applies to, or 0 if it applies to all.
fn add(constraints: &mut Constraints, keyword: &str, value: &Value, path: &str) -> SchemaResult<u8> {
    match keyword {
        "type" => constraints.kinds &= kinds(value, path)?,
        "enum" | "const" => add_values(constraints, keyword, value, path)?,
        "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" => {
            let Value::Number(number) = value else { return refuse(path, SchemaProblem::Expected("a number")) };
            let bound = BOUNDS.iter().position(|name| *name == keyword).unwrap_or(0);
            constraints.bounds[bound].push(number.to_string());
            return Ok(kind::NUMBER);
        }
        "minLength" | "maxLength" | "pattern" | "format" => {
            add_string_keyword(constraints, keyword, value, path)?;
            return Ok(kind::STRING);
        }
        "items" | "prefixItems" | "minItems" | "maxItems" => {
            add_array_keyword(constraints, keyword, value, path)?;
            return Ok(kind::ARRAY);
        }
        "properties" | "required" | "additionalProperties" => {
            add_object_keyword(constraints, keyword, value, path)?;
            return Ok(kind::OBJECT);
        }
        "$ref" | "anyOf" | "oneOf" | "allOf" => {}
        "$schema" if !value.as_str().is_some_and(|uri| uri.contains("2020-12")) => {
            let expected = "https://json-schema.org/draft/2020-12/schema";
            return refuse(path, SchemaProblem::Unexpected { found: value.to_string(), expected });
        }
        "$defs" | "definitions" if !value.is_object() => {
            return refuse(path, SchemaProblem::Expected("an object of schemas"));
        }
        annotation if ANNOTATIONS.contains(&annotation) => {}
        _ => return refuse(path, SchemaProblem::UnknownKeyword),
    }
    Ok(0)
}

fn add_values(constraints: &mut Constraints, keyword: &str, value: &Value, path: &str) -> SchemaResult<()> {
    let values = if keyword == "const" { Some(vec![value.clone()]) } else { value.as_array().cloned() };
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        return refuse(path, SchemaProblem::Expected("a list"));
    };
    *constraints = constraints.and(&Constraints { values: Some(values), ..Constraints::default() });
    Ok(())
}

fn add_string_keyword(constraints: &mut Constraints, keyword: &str, value: &Value, path: &str) -> SchemaResult<()> {
    match keyword {
        "minLength" => constraints.length[0] = count(value, path)?,
        "maxLength" => constraints.length[1] = count(value, path)?,
        "pattern" => {
            let Some(text) = value.as_str() else { return refuse(path, SchemaProblem::Expected("a string")) };
            let regex = strings::pattern(text).map_err(at(path))?;
            Dfa::new(&regex).map_err(at(path))?;
            constraints.patterns.push(regex);
        }
        _ => {
            let Some(regex) = value.as_str().and_then(strings::format) else {
                let expected = "one of date, date-time, time, uuid, email";
                return refuse(path, SchemaProblem::Unexpected { found: value.to_string(), expected });
            };
            constraints.patterns.push(regex);
        }
    }
    Ok(())
}

fn add_array_keyword(constraints: &mut Constraints, keyword: &str, value: &Value, path: &str) -> SchemaResult<()> {
    match keyword {
        "items" => constraints.items = Some(value.clone()),
        "minItems" => constraints.count[0] = count(value, path)?,
        "maxItems" => constraints.count[1] = count(value, path)?,
        _ => {
            let Some(list) = value.as_array() else {
                return refuse(path, SchemaProblem::Expected("a list of schemas"));
            };
            constraints.prefix.clone_from(list);
        }
    }
    Ok(())
}

fn add_object_keyword(constraints: &mut Constraints, keyword: &str, value: &Value, path: &str) -> SchemaResult<()> {
    match keyword {
        "properties" => {
            let Some(map) = value.as_object() else {
                return refuse(path, SchemaProblem::Expected("an object of schemas"));
            };
            constraints.properties = map.iter().map(|(name, schema)| (name.clone(), schema.clone())).collect();
        }
        "required" => {
            let names =
                value.as_array().and_then(|names| names.iter().map(|name| name.as_str().map(String::from)).collect());
            let Some(names) = names else { return refuse(path, SchemaProblem::Expected("a list of names")) };
            constraints.required = names;
        }
        _ => constraints.additional = Some(value.clone()),
    }
    Ok(())
}

/// Returns the kinds of a `type`.
fn kinds(value: &Value, path: &str) -> SchemaResult<u8> {
    let one = |name: &Value| {
        Ok(match name.as_str() {
            Some("null") => kind::NULL,
            Some("boolean") => kind::BOOLEAN,
            Some("integer") => kind::INTEGER,
            Some("number") => kind::NUMBER,
            Some("string") => kind::STRING,
            Some("array") => kind::ARRAY,
            Some("object") => kind::OBJECT,
            _ => return refuse(path, SchemaProblem::UnknownType(name.to_string())),
        })
    };
    match value {
        Value::Array(names) => names.iter().try_fold(0, |all, name| Ok(all | one(name)?)),
        name => one(name),
    }
}

fn count(value: &Value, path: &str) -> SchemaResult<u32> {
    let integer = value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64));
    match integer.and_then(|n| u32::try_from(n).ok()).filter(|n| *n < u32::MAX) {
        Some(n) => Ok(n),
        None => refuse(path, SchemaProblem::Expected("a whole number from 0 to 4294967294")),
    }
}
