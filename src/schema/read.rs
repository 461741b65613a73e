//! Reads a schema as a list of alternatives.
//!
//! All parts of `allOf` and `$ref` must hold together, and one of the branches of `anyOf` and `oneOf`. Multiplied out,
//! a schema is a list of [`Constraints`], and a value has to fit one of them. Subschemas (of properties and items) are
//! kept as they are and read later, so a schema may refer to itself.

use super::constraints::{Constraints, kind};
use super::error::{SchemaProblem, SchemaResult, refuse};
use super::keywords;
use serde_json::Value;

/// The largest number of alternatives of a schema.
const MOST_ALTERNATIVES: usize = 512;
/// The greatest depth of references to references and of combinations within combinations.
const DEEPEST: usize = 32;

/// Reads the schemas of one document.
pub struct SchemaReader<'a> {
    /// The whole document, which references point into.
    pub root: &'a Value,
}

impl SchemaReader<'_> {
    // ANCHOR: alternatives
    /// Returns the alternatives of a schema. `path` is its JSON pointer.
    ///
    /// # Errors
    /// If a keyword is unknown, malformed, or cannot be enforced.
    pub fn alternatives(&self, schema: &Value, path: &str, depth: usize) -> SchemaResult<Vec<Constraints>> {
        if depth > DEEPEST {
            return refuse(path, SchemaProblem::EndlessReferences(DEEPEST));
        }
        let keywords = match schema {
            Value::Bool(true) => return Ok(vec![Constraints::default()]),
            Value::Bool(false) => return Ok(Vec::new()),
            Value::Object(keywords) => keywords,
            _ => return refuse(path, SchemaProblem::Expected("an object, true or false")),
        };
        let mut all = vec![keywords::constraints(keywords, path)?];
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

    fn branches(&self, value: &Value, path: &str, depth: usize) -> SchemaResult<Vec<Vec<Constraints>>> {
        let Some(branches) = value.as_array().filter(|branches| !branches.is_empty()) else {
            return refuse(path, SchemaProblem::Expected("a list of schemas"));
        };
        let read = |(i, schema): (usize, &Value)| self.alternatives(schema, &format!("{path}/{i}"), depth + 1);
        branches.iter().enumerate().map(read).collect()
    }

    fn multiply(&self, left: &[Constraints], right: &[Constraints], path: &str) -> SchemaResult<Vec<Constraints>> {
        if left.len() * right.len() > MOST_ALTERNATIVES {
            return refuse(path, SchemaProblem::TooManyCombinations(MOST_ALTERNATIVES));
        }
        let pairs = left.iter().flat_map(|left| right.iter().map(move |right| left.and(right)));
        Ok(pairs
            .filter(|constraints| constraints.kinds != 0 && constraints.values.as_ref().is_none_or(|v| !v.is_empty()))
            .collect())
    }

    /// Returns the schema that a reference within the document points to.
    fn resolve(&self, reference: &Value, path: &str) -> SchemaResult<&Value> {
        let Some(pointer) = reference.as_str().and_then(|text| text.strip_prefix('#')) else {
            let expected = "a reference within the schema, such as \"#/$defs/name\"";
            return refuse(path, SchemaProblem::Expected(expected));
        };
        let pointer = percent_decoded(pointer);
        match self.root.pointer(&pointer) {
            Some(schema) => Ok(schema),
            None => refuse(path, SchemaProblem::MissingReference(pointer)),
        }
    }

    /// Checks that no value fits two branches. If this cannot be shown, the schema is refused.
    fn check_exclusive(&self, branches: &[Vec<Constraints>], path: &str, depth: usize) -> SchemaResult<()> {
        for (i, left) in branches.iter().enumerate() {
            for (j, right) in branches.iter().enumerate().skip(i + 1) {
                let apart = |(l, r): (&Constraints, &Constraints)| self.are_exclusive(l, r, path, depth);
                let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
                if !pairs.map(apart).collect::<SchemaResult<Vec<_>>>()?.into_iter().all(|apart| apart) {
                    return refuse(path, SchemaProblem::OverlappingBranches(i, j));
                }
            }
        }
        Ok(())
    }

    fn are_exclusive(&self, left: &Constraints, right: &Constraints, path: &str, depth: usize) -> SchemaResult<bool> {
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
}

/// Decodes `%` escapes. Bytes that are not UTF-8 become U+FFFD.
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
