//! Reads a schema as a list of alternatives.
//!
//! All parts of `allOf` and `$ref` must hold together, and one of the branches of `anyOf` and `oneOf`. Multiplied out,
//! a schema is a list of [`Constraints`], and a value has to fit one of them. Subschemas (of properties and items) are
//! kept as they are and read later, so a schema may refer to itself.

use super::automata::Automata;
use super::constraints::Constraints;
use super::draft::Draft;
use super::error::{SchemaProblem, SchemaResult, refuse};
use super::keywords::Keywords;
use super::pattern::hex_number;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// The largest number of alternatives of a schema.
const MOST_ALTERNATIVES: usize = 512;
/// The greatest depth of references to references and of combinations within combinations.
const DEEPEST: usize = 100;
/// The largest number of pairs of alternatives that are combined in a whole document, each counted by its size.
const MOST_WORK: usize = 1 << 21;

/// A list of alternatives.
pub type Alternatives<'a> = Vec<Constraints<'a>>;

/// Reads the schemas of one document.
pub struct SchemaReader<'a> {
    /// The whole document, which references point into.
    root: &'a Value,
    draft: Draft,
    /// The alternatives of schemas that references point to, by their addresses; `None` while they are being read.
    referenced: RefCell<HashMap<*const Value, Option<Rc<Alternatives<'a>>>>>,
    /// The formats that are not enforced.
    unknown_formats: RefCell<Vec<&'a str>>,
    work: Cell<usize>,
    /// The automata of patterns, numbers and listed values.
    pub automata: Automata,
}

impl<'a> SchemaReader<'a> {
    /// Starts to read a document.
    ///
    /// # Errors
    /// If its `$schema` is unknown.
    pub fn new(root: &'a Value) -> SchemaResult<Self> {
        let draft = Draft::of(root.get("$schema"), "/$schema")?;
        let (referenced, unknown_formats, work, automata) = Default::default();
        Ok(Self { root, draft, referenced, unknown_formats, work, automata })
    }

    /// Returns the formats that were read and are not enforced, each once.
    pub fn unknown_formats(self) -> Vec<&'a str> {
        let mut all = self.unknown_formats.into_inner();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns the alternatives of schemas that all hold. `path` is the JSON pointer of the first.
    ///
    /// # Errors
    /// If a keyword is malformed, or cannot be enforced.
    pub fn alternatives_of_all(&self, schemas: &[&'a Value], path: &str) -> SchemaResult<Alternatives<'a>> {
        let mut all = vec![Constraints::default()];
        for schema in schemas {
            all = self.multiply(all, &self.alternatives(schema, path, 0)?, path)?;
        }
        Ok(all)
    }

    // ANCHOR: alternatives
    /// Returns the alternatives of a schema. `path` is its JSON pointer.
    fn alternatives(&self, schema: &'a Value, path: &str, depth: usize) -> SchemaResult<Alternatives<'a>> {
        if depth > DEEPEST {
            return refuse(path, SchemaProblem::EndlessReferences(DEEPEST));
        }
        let map = match schema {
            Value::Bool(true) => return Ok(vec![Constraints::default()]),
            Value::Bool(false) => return Ok(Vec::new()),
            Value::Object(map) => map,
            _ => return refuse(path, SchemaProblem::Expected("an object, true or false")),
        };
        if let Some(reference) = map.get("$ref").filter(|_| self.draft.ref_stands_alone()) {
            return self.referenced(reference, &format!("{path}/$ref"), depth).map(|all| all.to_vec());
        }
        self.check_identifier(schema, path)?;
        let keywords = Keywords { map, path, draft: self.draft, automata: &self.automata };
        let mut all = vec![keywords.constraints(&mut self.unknown_formats.borrow_mut())?];
        for (keyword, value) in map {
            let path = format!("{path}/{keyword}");
            match keyword.as_str() {
                "$ref" => all = self.multiply(all, &self.referenced(value, &path, depth)?, &path)?,
                "anyOf" => all = self.multiply(all, &self.branches(value, &path, depth)?.concat(), &path)?,
                "oneOf" => {
                    let branches = self.exclusive(self.branches(value, &path, depth)?, &path)?;
                    all = self.multiply(all, &branches.concat(), &path)?;
                }
                "allOf" => {
                    for branch in self.branches(value, &path, depth)? {
                        all = self.multiply(all, &branch, &path)?;
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }
    // ANCHOR_END: alternatives

    fn branches(&self, value: &'a Value, path: &str, depth: usize) -> SchemaResult<Vec<Alternatives<'a>>> {
        let Some(branches) = value.as_array().filter(|branches| !branches.is_empty()) else {
            return refuse(path, SchemaProblem::Expected("a list of schemas"));
        };
        let read = |(i, schema): (usize, &'a Value)| self.alternatives(schema, &format!("{path}/{i}"), depth + 1);
        branches.iter().enumerate().map(read).collect()
    }

    /// Combines each alternative of one list with each of another one.
    fn multiply(
        &self,
        left: Alternatives<'a>,
        right: &[Constraints<'a>],
        path: &str,
    ) -> SchemaResult<Alternatives<'a>> {
        let anything = [Constraints::default()];
        if right == anything {
            return Ok(left);
        }
        if left == anything {
            return Ok(right.to_vec());
        }
        if left.len() * right.len() > MOST_ALTERNATIVES {
            return refuse(path, SchemaProblem::TooManyCombinations(MOST_ALTERNATIVES));
        }
        let mut all = Vec::new();
        for (left, right) in left.iter().flat_map(|left| right.iter().map(move |right| (left, right))) {
            self.spend(left.size() + right.size(), path)?;
            all.extend(Some(left.and(right)).filter(|both| !both.is_empty()));
        }
        Ok(all)
    }

    /// Counts the work of combining two alternatives.
    ///
    /// # Errors
    /// If the whole document needs too much of it.
    pub fn spend(&self, work: usize, path: &str) -> SchemaResult<()> {
        self.work.set(self.work.get() + work);
        if self.work.get() > MOST_WORK { refuse(path, SchemaProblem::TooManyCombinations(MOST_WORK)) } else { Ok(()) }
    }

    /// Returns the alternatives of the schema that a reference points to. They are read only once.
    fn referenced(&self, reference: &'a Value, path: &str, depth: usize) -> SchemaResult<Rc<Alternatives<'a>>> {
        let schema = self.resolve(reference, path)?;
        let known = self.referenced.borrow().get(&std::ptr::from_ref(schema)).cloned();
        match known {
            Some(Some(alternatives)) => Ok(alternatives),
            Some(None) => refuse(path, SchemaProblem::EndlessReferences(DEEPEST)),
            None => {
                self.referenced.borrow_mut().insert(schema, None);
                let alternatives = self.alternatives(schema, path, depth + 1).map(Rc::new);
                let mut referenced = self.referenced.borrow_mut();
                match &alternatives {
                    Ok(alternatives) => referenced.insert(schema, Some(alternatives.clone())),
                    Err(_) => referenced.remove(&std::ptr::from_ref(schema)),
                };
                alternatives
            }
        }
    }

    /// Returns the schema that a reference within the document points to.
    fn resolve(&self, reference: &Value, path: &str) -> SchemaResult<&'a Value> {
        let text = reference.as_str().unwrap_or_default();
        // A reference may begin with the identifier of the document.
        let identifier = self.root.get(self.draft.identifier()).and_then(Value::as_str);
        let identifier = identifier.map(|identifier| identifier.trim_end_matches('#')).filter(|id| !id.is_empty());
        let text = identifier.and_then(|identifier| text.strip_prefix(identifier)).unwrap_or(text);
        let Some(pointer) = text.strip_prefix('#') else {
            let expected = "a reference within the schema, such as \"#/$defs/name\"";
            return refuse(path, SchemaProblem::Expected(expected));
        };
        let pointer = percent_decoded(pointer);
        let Some(schema) = self.root.pointer(&pointer) else {
            return refuse(path, SchemaProblem::MissingReference(pointer));
        };
        let ends = pointer.match_indices('/').map(|(end, _)| end).filter(|&end| end > 0);
        let mut passed = ends.filter_map(|end| self.root.pointer(&pointer[..end]));
        if passed.any(|outer| self.has_identifier(outer)) && has_reference(schema) {
            return refuse(path, SchemaProblem::EmbeddedIdentifier);
        }
        Ok(schema)
    }

    /// Checks that references within a schema mean what they seem to. Below the root, an identifier changes that: they
    /// are relative to the schema that has the identifier.
    fn check_identifier(&self, schema: &Value, path: &str) -> SchemaResult<()> {
        if !std::ptr::eq(schema, self.root) && self.has_identifier(schema) && has_reference(schema) {
            return refuse(path, SchemaProblem::EmbeddedIdentifier);
        }
        Ok(())
    }

    /// Returns whether a schema has an identifier that is more than the name of a place (`#name`).
    fn has_identifier(&self, schema: &Value) -> bool {
        let identifier = schema.get(self.draft.identifier()).and_then(Value::as_str);
        identifier.is_some_and(|identifier| !identifier.starts_with('#'))
    }
}

/// Returns whether `$ref` occurs anywhere in a value.
fn has_reference(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_reference),
        Value::Object(members) => members.contains_key("$ref") || members.values().any(has_reference),
        _ => false,
    }
}

/// Decodes `%` escapes. Bytes that are not UTF-8 become U+FFFD.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = if bytes[at] == b'%' { text.get(at + 1..at + 3) } else { None };
        match hex.and_then(hex_number) {
            Some(byte) => {
                out.push(byte as u8);
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
