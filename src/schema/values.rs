//! Compiles the values that `enum` and `const` list.

use super::compile::Compiler;
use super::constraints::{Constraints, kind_of};
use super::decimal::Decimal;
use super::error::{SchemaProblem, SchemaResult, at, refuse};
use super::grammar::{GrammarNode, Items, Members, NodeId};
use serde_json::{Number, Value};

impl<'a> Compiler<'a> {
    /// Adds the values that fit all the other constraints: one node for all strings, one for all numbers, and one for
    /// each other value.
    pub fn values(
        &mut self,
        values: &[&'a Value],
        constraints: &Constraints<'a>,
        path: &str,
        choices: &mut Vec<NodeId>,
    ) -> SchemaResult<()> {
        let (mut strings, mut numbers) = (Vec::new(), Vec::new());
        for value in values {
            if !self.fits(value, constraints, path)? {
                continue;
            }
            match value {
                Value::String(text) => strings.push(text.as_str()),
                Value::Number(number) => numbers.extend(spellings(number)),
                value => choices.push(self.value(value, path)?),
            }
        }
        if !strings.is_empty() {
            choices.push(self.words(&strings, path)?);
        }
        if !numbers.is_empty() {
            choices.push(self.spelled(&numbers, path)?);
        }
        Ok(())
    }

    /// Adds a node for exactly these texts.
    fn spelled(&mut self, texts: &[String], path: &str) -> SchemaResult<NodeId> {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let dfa = self.automata().words(&texts).map_err(at(path))?;
        Ok(self.grammar.regular(dfa))
    }

    /// Adds a node for a value. The members of an object are written in the order of the schema.
    fn value(&mut self, value: &Value, path: &str) -> SchemaResult<NodeId> {
        Ok(match value {
            Value::Null | Value::Bool(_) => self.bytes(&value.to_string()),
            Value::Number(number) => self.spelled(&spellings(number), path)?,
            Value::String(text) => self.words(&[text], path)?,
            Value::Array(items) => {
                let prefix = items.iter().map(|item| self.value(item, path)).collect::<SchemaResult<Vec<_>>>()?;
                let rest = self.grammar.add(GrammarNode::Nothing);
                let count = prefix.len() as u32;
                self.list(Items { prefix, rest, least: count, most: count, separator: self.separator })
            }
            Value::Object(members) => {
                let mut known = Vec::new();
                for (name, value) in members {
                    let (key, value) = (self.words(&[name], path)?, self.value(value, path)?);
                    known.push(self.member(key, value, true));
                }
                let members = Members { known, others: None, separator: self.separator };
                self.enclosed("{", GrammarNode::Members(members), "}")
            }
        })
    }

    /// Returns whether a listed value fits all the other constraints.
    fn fits(&mut self, value: &Value, constraints: &Constraints<'a>, path: &str) -> SchemaResult<bool> {
        if constraints.kinds & kind_of(value) == 0 {
            return Ok(false);
        }
        match value {
            Value::Number(number) => {
                let number = Decimal::exact(number);
                Ok(number.is_some_and(|number| constraints.bounds.iter().all(|bound| bound.contains(&number))))
            }
            Value::String(text) => {
                let length = text.chars().count() as u32;
                let [least, most] = constraints.length;
                let mut fits = (least..=most).contains(&length);
                for pattern in &constraints.patterns {
                    fits = fits && self.automata().regex(pattern).map_err(at(path))?.matches(text.as_bytes());
                }
                Ok(fits)
            }
            Value::Array(_) | Value::Object(_) => {
                let kinds_only = Constraints { values: None, kinds: kind_of(value), ..constraints.clone() };
                match kinds_only.unconstrained_kinds() {
                    0 => refuse(path, SchemaProblem::ListedCompounds),
                    _ => Ok(true),
                }
            }
            Value::Null | Value::Bool(_) => Ok(true),
        }
    }
}

/// Returns how a number may be written: as the schema writes it, without an exponent, and an integer with or without a
/// fraction of zero.
fn spellings(number: &Number) -> Vec<String> {
    let written = number.to_string();
    let Some(decimal) = Decimal::exact(number) else { return vec![written] };
    let text = |digits: Vec<u8>| String::from_utf8(digits).unwrap_or_default();
    let (whole, fraction) = decimal.split();
    let (whole, fraction) = (text(whole), text(fraction));
    let sign = if decimal.is_negative() { "-" } else { "" };
    let mut all = vec![written];
    if fraction.is_empty() {
        all.push(format!("{sign}{whole}"));
        all.push(format!("{sign}{whole}.0"));
    } else {
        all.push(format!("{sign}{whole}.{fraction}"));
    }
    all
}
