//! Converts the keywords of a single schema object to constraints, without its references and combinations.

use super::automata::Automata;
use super::constraints::{Constraints, kind};
use super::decimal::Decimal;
use super::draft::Draft;
use super::error::{SchemaProblem, SchemaResult, at, refuse};
use super::formats;
use super::numbers::Bound;
use super::pattern;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Keywords that constrain values and are not enforced. A schema that uses them is refused. All other unknown keywords
/// are annotations.
const UNSUPPORTED: [&str; 21] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "multipleOf",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "unevaluatedItems",
    "$dynamicRef",
    "$recursiveRef",
    "$anchor",
];

/// The keywords of one schema, and where they are.
pub struct Keywords<'a, 'p> {
    /// The keywords and their values.
    pub map: &'a Map<String, Value>,
    /// The JSON pointer of the schema.
    pub path: &'p str,
    /// The version of the document.
    pub draft: Draft,
    /// The automata of the document.
    pub automata: &'p Automata,
}

impl<'a> Keywords<'a, '_> {
    /// Returns the constraints. Appends the unknown formats to `unknown_formats`.
    ///
    /// # Errors
    /// If a keyword is malformed, or cannot be enforced.
    pub fn constraints(&self, unknown_formats: &mut Vec<&'a str>) -> SchemaResult<Constraints<'a>> {
        let mut constraints = Constraints::default();
        for (keyword, value) in self.map.iter().filter(|(keyword, _)| self.draft.knows(keyword)) {
            let path = format!("{}/{keyword}", self.path);
            self.add(&mut constraints, keyword, value, &path, unknown_formats)?;
        }
        Ok(constraints)
    }

    fn add(
        &self,
        constraints: &mut Constraints<'a>,
        keyword: &str,
        value: &'a Value,
        path: &str,
        unknown_formats: &mut Vec<&'a str>,
    ) -> SchemaResult<()> {
        match keyword {
            "type" => constraints.kinds &= kinds(value, path)?,
            "enum" | "const" => add_values(constraints, keyword, value, path)?,
            "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" => {
                constraints.bounds.extend(self.bound(keyword, value, path)?);
            }
            "minLength" | "maxLength" | "pattern" => self.add_string_keyword(constraints, keyword, value, path)?,
            "format" => unknown_formats.extend(add_format(constraints, value, path)?),
            "items" | "prefixItems" | "minItems" | "maxItems" | "additionalItems" => {
                self.add_array_keyword(constraints, keyword, value, path)?;
            }
            "properties" | "required" | "additionalProperties" => {
                add_object_keyword(constraints, keyword, value, path)?;
            }
            // Below the root, only a schema with an identifier of its own may be of another draft.
            "$schema" if self.map.contains_key("$id") && Draft::of(Some(value), path)? != self.draft => {
                return refuse(path, SchemaProblem::OtherDraft);
            }
            "$defs" | "definitions" if !value.is_object() => {
                return refuse(path, SchemaProblem::Expected("an object of schemas"));
            }
            "contentEncoding" | "contentMediaType" if self.draft.content_may_constrain() => {
                return refuse(path, SchemaProblem::UnsupportedKeyword);
            }
            keyword if UNSUPPORTED.contains(&keyword) && constrains(keyword, value) => {
                return refuse(path, SchemaProblem::UnsupportedKeyword);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a bound. In draft 4, `exclusiveMinimum` says what kind of bound the `minimum` beside it is.
    fn bound(&self, keyword: &str, value: &Value, path: &str) -> SchemaResult<Option<Bound>> {
        let is_lower = keyword.ends_with("inimum");
        let mut is_exclusive = keyword.starts_with("exclusive");
        if self.draft.exclusive_is_boolean() {
            if is_exclusive {
                return if value.is_boolean() {
                    Ok(None)
                } else {
                    refuse(path, SchemaProblem::Expected("true or false"))
                };
            }
            let exclusive = if is_lower { "exclusiveMinimum" } else { "exclusiveMaximum" };
            is_exclusive = self.map.get(exclusive) == Some(&Value::Bool(true));
        }
        let Value::Number(number) = value else { return refuse(path, SchemaProblem::Expected("a number")) };
        match Decimal::exact(number) {
            Some(limit) => Ok(Some(Bound { limit, is_lower, is_exclusive })),
            None => refuse(path, SchemaProblem::InexactNumber(number.to_string())),
        }
    }

    fn add_string_keyword(
        &self,
        constraints: &mut Constraints<'_>,
        keyword: &str,
        value: &Value,
        path: &str,
    ) -> SchemaResult<()> {
        match keyword {
            "minLength" => constraints.length[0] = constraints.length[0].max(count(value, path)?),
            "maxLength" => constraints.length[1] = constraints.length[1].min(count(value, path)?),
            "pattern" => {
                let Some(text) = value.as_str() else { return refuse(path, SchemaProblem::Expected("a string")) };
                let regex = pattern::translate(text).map_err(at(path))?;
                self.automata.regex(&regex).map_err(at(path))?;
                constraints.patterns.push(regex);
            }
            _ => unreachable!("{keyword} is not a keyword of strings"),
        }
        Ok(())
    }

    fn add_array_keyword(
        &self,
        constraints: &mut Constraints<'a>,
        keyword: &str,
        value: &'a Value,
        path: &str,
    ) -> SchemaResult<()> {
        let list_of_items = self.map.get("items").filter(|items| items.is_array() && self.draft.items_may_be_list());
        match keyword {
            "minItems" => constraints.count[0] = count(value, path)?,
            "maxItems" => constraints.count[1] = count(value, path)?,
            "items" if list_of_items.is_none() => constraints.items = vec![value],
            "additionalItems" if list_of_items.is_none() => {} // it concerns the items after a list of items only
            "additionalItems" => constraints.items = vec![value],
            "items" | "prefixItems" => {
                let Some(list) = value.as_array() else {
                    return refuse(path, SchemaProblem::Expected("a list of schemas"));
                };
                constraints.prefix = list.iter().map(|schema| vec![schema]).collect();
            }
            _ => unreachable!("{keyword} is not a keyword of arrays"),
        }
        Ok(())
    }
}

/// Returns whether an unsupported keyword constrains anything: `uniqueItems: false` does not.
fn constrains(keyword: &str, value: &Value) -> bool {
    match keyword {
        "uniqueItems" => *value != Value::Bool(false),
        "minProperties" => value.as_u64() != Some(0),
        "patternProperties" | "dependencies" | "dependentRequired" | "dependentSchemas" => {
            !value.as_object().is_some_and(Map::is_empty)
        }
        _ => true,
    }
}

fn add_values<'a>(constraints: &mut Constraints<'a>, keyword: &str, value: &'a Value, path: &str) -> SchemaResult<()> {
    let values: Option<Vec<&Value>> =
        if keyword == "const" { Some(vec![value]) } else { value.as_array().map(|values| values.iter().collect()) };
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        return refuse(path, SchemaProblem::Expected("a list"));
    };
    for value in &values {
        check_numbers(value, path)?;
    }
    *constraints = constraints.and(&Constraints { values: Some(values), ..Constraints::default() });
    Ok(())
}

/// Checks that all numbers in a listed value were read exactly.
fn check_numbers(value: &Value, path: &str) -> SchemaResult<()> {
    match value {
        Value::Number(number) if Decimal::exact(number).is_none() => {
            refuse(path, SchemaProblem::InexactNumber(number.to_string()))
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_numbers(item, path)),
        Value::Object(members) => members.values().try_for_each(|member| check_numbers(member, path)),
        _ => Ok(()),
    }
}

/// Adds a format. Returns its name if it is unknown.
fn add_format<'a>(constraints: &mut Constraints<'_>, value: &'a Value, path: &str) -> SchemaResult<Option<&'a str>> {
    let Some(name) = value.as_str() else { return refuse(path, SchemaProblem::Expected("a string")) };
    let integers = |least: i64, most: i64| {
        let bound = |limit: i64, is_lower| {
            let limit = Decimal::exact(&limit.into())?;
            Some(Bound { limit, is_lower, is_exclusive: false })
        };
        [bound(least, true), bound(most, false)].into_iter().flatten()
    };
    match (name, formats::format(name)) {
        (_, Some(format)) => {
            constraints.patterns.extend(format.regexes);
            constraints.length[1] = constraints.length[1].min(format.longest);
        }
        (name, _) if formats::UNSUPPORTED.contains(&name) => {
            return refuse(path, SchemaProblem::UnsupportedFormat(name.to_string()));
        }
        ("int32", _) => constraints.bounds.extend(integers(i32::MIN.into(), i32::MAX.into())),
        ("int64", _) => constraints.bounds.extend(integers(i64::MIN, i64::MAX)),
        _ => return Ok(Some(name)),
    }
    Ok(None)
}

fn add_object_keyword<'a>(
    constraints: &mut Constraints<'a>,
    keyword: &str,
    value: &'a Value,
    path: &str,
) -> SchemaResult<()> {
    match keyword {
        "properties" => {
            let Some(map) = value.as_object() else {
                return refuse(path, SchemaProblem::Expected("an object of schemas"));
            };
            constraints.properties = map.iter().map(|(name, schema)| (name.as_str(), vec![schema])).collect();
        }
        "required" => {
            let names = value.as_array().and_then(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
            let Some(names) = names else { return refuse(path, SchemaProblem::Expected("a list of names")) };
            let mut seen = HashSet::new();
            constraints.required = names.into_iter().filter(|name| seen.insert(*name)).collect();
        }
        "additionalProperties" => constraints.additional = vec![value],
        _ => unreachable!("{keyword} is not a keyword of objects"),
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
