//! Reading a schema: what it demands, as a list of alternatives.
//!
//! `allOf` and `$ref` demand things together, `anyOf` and `oneOf` one thing or another. Multiplied out, a schema is a list
//! of [`Rules`], each of which says all that it demands in one place. What stands below (properties, items) stays as it
//! is, to be read when its turn comes: so a schema may refer to itself.

use super::dfa::Dfa;
use super::rules::{Rules, kind};
use super::strings;
use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// Keywords that demand nothing.
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
/// Alternatives into which a schema may be multiplied out.
const MOST_ALTERNATIVES: usize = 512;
/// References to references, and combinations within combinations.
const DEEPEST: usize = 32;

/// The bounds' keywords.
pub const BOUNDS: [&str; 4] = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"];

pub(super) fn refuse<T>(path: &str, what: impl std::fmt::Display) -> Result<T> {
    Err(Error::argument(format!("the schema at {}: {what}", if path.is_empty() { "its root" } else { path })))
}

/// Reads schemas of one document.
pub struct Reader<'a> {
    /// The whole document.
    pub root: &'a Value,
}

impl Reader<'_> {
    // ANCHOR: alternatives
    /// What a schema demands.
    ///
    /// # Errors
    /// The path of a keyword that is unknown, malformed, or cannot be kept.
    pub fn alternatives(&self, schema: &Value, path: &str, depth: usize) -> Result<Vec<Rules>> {
        if depth > DEEPEST {
            return refuse(path, format!("references and combinations more than {DEEPEST} deep, or without an end"));
        }
        let keywords = match schema {
            Value::Bool(true) => return Ok(vec![Rules::default()]),
            Value::Bool(false) => return Ok(Vec::new()),
            Value::Object(keywords) => keywords,
            _ => return refuse(path, "expected an object, true or false"),
        };
        let mut all = vec![self.own(keywords, path)?];
        for (keyword, value) in keywords {
            let path = format!("{path}/{keyword}");
            let more = match keyword.as_str() {
                "$ref" => self.alternatives(self.resolve(value, &path)?, &path, depth + 1)?,
                "anyOf" => self.branches(value, &path, depth)?.concat(),
                "oneOf" => {
                    let branches = self.branches(value, &path, depth)?;
                    self.check_exclusive(&branches, &path, depth)?;
                    branches.concat()
                }
                "allOf" => {
                    for branch in self.branches(value, &path, depth)? {
                        all = self.multiply(&all, &branch, &path)?;
                    }
                    continue;
                }
                _ => continue,
            };
            all = self.multiply(&all, &more, &path)?;
        }
        Ok(all)
    }
    // ANCHOR_END: alternatives

    fn branches(&self, value: &Value, path: &str, depth: usize) -> Result<Vec<Vec<Rules>>> {
        let Some(branches) = value.as_array().filter(|branches| !branches.is_empty()) else {
            return refuse(path, "expected a list of schemas");
        };
        let read = |(i, schema): (usize, &Value)| self.alternatives(schema, &format!("{path}/{i}"), depth + 1);
        branches.iter().enumerate().map(read).collect()
    }

    fn multiply(&self, left: &[Rules], right: &[Rules], path: &str) -> Result<Vec<Rules>> {
        if left.len() * right.len() > MOST_ALTERNATIVES {
            return refuse(path, format!("more than {MOST_ALTERNATIVES} combinations"));
        }
        let pairs = left.iter().flat_map(|left| right.iter().map(move |right| left.and(right)));
        Ok(pairs.filter(|rules| rules.kinds != 0 && rules.values.as_ref().is_none_or(|v| !v.is_empty())).collect())
    }

    /// What a reference within the document refers to.
    fn resolve(&self, reference: &Value, path: &str) -> Result<&Value> {
        let Some(pointer) = reference.as_str().and_then(|text| text.strip_prefix('#')) else {
            return refuse(path, "expected a reference within the schema, such as \"#/$defs/name\"");
        };
        let pointer = percent_decoded(pointer);
        match self.root.pointer(&pointer) {
            Some(schema) => Ok(schema),
            None => refuse(path, format!("there is nothing at {pointer:?}")),
        }
    }

    /// Every value fits at most one branch, as far as that can be told.
    fn check_exclusive(&self, branches: &[Vec<Rules>], path: &str, depth: usize) -> Result<()> {
        for (i, left) in branches.iter().enumerate() {
            for (j, right) in branches.iter().enumerate().skip(i + 1) {
                let apart = |(l, r): (&Rules, &Rules)| self.are_exclusive(l, r, path, depth);
                let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
                if !pairs.map(apart).collect::<Result<Vec<_>>>()?.into_iter().all(|apart| apart) {
                    return refuse(
                        path,
                        format!("a value could fit both {i} and {j}; use anyOf, or tell them apart by a const"),
                    );
                }
            }
        }
        Ok(())
    }

    fn are_exclusive(&self, left: &Rules, right: &Rules, path: &str, depth: usize) -> Result<bool> {
        let both = left.and(right);
        if both.kinds == 0 || both.values.as_ref().is_some_and(Vec::is_empty) {
            return Ok(true);
        }
        if both.kinds != kind::OBJECT {
            return Ok(false);
        }
        for name in &both.required {
            let Some((_, value)) = both.properties.iter().find(|(known, _)| known == name) else { continue };
            if self.alternatives(value, &format!("{path}/properties/{name}"), depth + 1)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a schema demands by itself.
    fn own(&self, keywords: &Map<String, Value>, path: &str) -> Result<Rules> {
        let mut rules = Rules::default();
        let mut about = 0; // kinds of which the keywords speak
        for (keyword, value) in keywords {
            let path = format!("{path}/{keyword}");
            about |= match keyword.as_str() {
                "type" => {
                    rules.kinds &= kinds(value, &path)?;
                    continue;
                }
                "enum" | "const" => {
                    let values = if keyword == "const" { Some(vec![value.clone()]) } else { value.as_array().cloned() };
                    let Some(values) = values.filter(|v| !v.is_empty()) else {
                        return refuse(&path, "expected a list");
                    };
                    rules = rules.and(&Rules { values: Some(values), ..Rules::default() });
                    continue;
                }
                "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" => {
                    let Value::Number(number) = value else { return refuse(&path, "expected a number") };
                    let at = BOUNDS.iter().position(|name| name == keyword).unwrap_or(0);
                    rules.bounds[at].push(number.to_string());
                    kind::NUMBER
                }
                "minLength" | "maxLength" => {
                    rules.length[usize::from(keyword == "maxLength")] = count(value, &path)?;
                    kind::STRING
                }
                "pattern" => {
                    let Some(text) = value.as_str() else { return refuse(&path, "expected a string") };
                    let regex = strings::pattern(text).and_then(|regex| Dfa::new(&regex).map(|_| regex));
                    rules.patterns.push(regex.or_else(|what| refuse(&path, what))?);
                    kind::STRING
                }
                "format" => {
                    let format = value.as_str().and_then(strings::format);
                    let known = "date, date-time, time, uuid, email";
                    let Some(regex) = format else { return refuse(&path, format!("{value}: expected one of {known}")) };
                    rules.patterns.push(regex);
                    kind::STRING
                }
                "items" => {
                    rules.items = Some(value.clone());
                    kind::ARRAY
                }
                "prefixItems" => {
                    let Some(list) = value.as_array() else { return refuse(&path, "expected a list of schemas") };
                    rules.prefix.clone_from(list);
                    kind::ARRAY
                }
                "minItems" | "maxItems" => {
                    rules.count[usize::from(keyword == "maxItems")] = count(value, &path)?;
                    kind::ARRAY
                }
                "properties" => {
                    let Some(map) = value.as_object() else { return refuse(&path, "expected an object of schemas") };
                    rules.properties = map.iter().map(|(name, schema)| (name.clone(), schema.clone())).collect();
                    kind::OBJECT
                }
                "required" => {
                    let names = value.as_array().and_then(|names| {
                        names.iter().map(|name| name.as_str().map(String::from)).collect::<Option<Vec<_>>>()
                    });
                    let Some(names) = names else { return refuse(&path, "expected a list of names") };
                    rules.required = names;
                    kind::OBJECT
                }
                "additionalProperties" => {
                    rules.additional = Some(value.clone());
                    kind::OBJECT
                }
                "$schema" if !value.as_str().is_some_and(|uri| uri.contains("2020-12")) => {
                    return refuse(&path, format!("{value}: expected https://json-schema.org/draft/2020-12/schema"));
                }
                "$defs" | "definitions" if !value.is_object() => {
                    return refuse(&path, "expected an object of schemas");
                }
                "$ref" | "anyOf" | "oneOf" | "allOf" => continue,
                known if ANNOTATIONS.contains(&known) => continue,
                _ => return refuse(&path, "this keyword is not supported"),
            };
        }
        // A schema that speaks of properties means objects, even where it forgets to say so.
        if about != 0 && !keywords.contains_key("type") {
            rules.kinds &= about;
        }
        Ok(rules)
    }
}

fn kinds(value: &Value, path: &str) -> Result<u8> {
    let one = |name: &Value| {
        Ok(match name.as_str() {
            Some("null") => kind::NULL,
            Some("boolean") => kind::BOOLEAN,
            Some("integer") => kind::INTEGER,
            Some("number") => kind::NUMBER,
            Some("string") => kind::STRING,
            Some("array") => kind::ARRAY,
            Some("object") => kind::OBJECT,
            _ => return refuse(path, format!("{name} is no type of JSON")),
        })
    };
    match value {
        Value::Array(names) => names.iter().try_fold(0, |all, name| Ok(all | one(name)?)),
        name => one(name),
    }
}

fn count(value: &Value, path: &str) -> Result<u32> {
    let whole = value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64));
    match whole.and_then(|n| u32::try_from(n).ok()).filter(|n| *n < u32::MAX) {
        Some(n) => Ok(n),
        None => refuse(path, format!("expected a whole number from 0 to {}", u32::MAX - 1)),
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = if bytes[at] == b'%' { text.get(at + 1..at + 3) } else { None };
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
