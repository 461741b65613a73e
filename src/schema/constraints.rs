//! Constraints that hold together.

use super::decimal::Decimal;
use super::numbers::Bound;
use serde_json::{Number, Value};
use std::collections::{HashMap, HashSet};

/// The kinds of JSON values, as bits. Every integer is a number, too.
pub mod kind {
    pub const NULL: u8 = 1;
    pub const BOOLEAN: u8 = 2;
    pub const INTEGER: u8 = 4;
    pub const FRACTION: u8 = 8;
    pub const NUMBER: u8 = INTEGER | FRACTION;
    pub const STRING: u8 = 16;
    pub const ARRAY: u8 = 32;
    pub const OBJECT: u8 = 64;
    pub const ALL: u8 = 127;
}

/// Schemas that all hold for the same value. An empty list allows every value.
pub type Schemas<'a> = Vec<&'a Value>;

/// Constraints that hold together. A constraint that belongs to one kind of values applies to values of this kind only.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraints<'a> {
    /// The allowed kinds of values, as bits of [`kind`].
    pub kinds: u8,
    /// The values of `enum` and `const`.
    pub values: Option<Vec<&'a Value>>,
    /// The bounds of numbers.
    pub bounds: Vec<Bound>,
    /// The limits `minLength` and `maxLength`.
    pub length: [u32; 2],
    /// The regular expressions of `pattern` and `format`, each for the whole string.
    pub patterns: Vec<String>,
    /// The schemas of `prefixItems`.
    pub prefix: Vec<Schemas<'a>>,
    /// The schemas of `items`.
    pub items: Schemas<'a>,
    /// The limits `minItems` and `maxItems`.
    pub count: [u32; 2],
    /// The names and schemas of `properties`.
    pub properties: Vec<(&'a str, Schemas<'a>)>,
    /// The names of `required`.
    pub required: Vec<&'a str>,
    /// The schemas of `additionalProperties`.
    pub additional: Schemas<'a>,
}

impl Default for Constraints<'_> {
    fn default() -> Self {
        Self {
            kinds: kind::ALL,
            values: None,
            bounds: Vec::new(),
            length: [0, u32::MAX],
            patterns: Vec::new(),
            prefix: Vec::new(),
            items: Vec::new(),
            count: [0, u32::MAX],
            properties: Vec::new(),
            required: Vec::new(),
            additional: Vec::new(),
        }
    }
}

/// Returns the kind of a value.
pub fn kind_of(value: &Value) -> u8 {
    match value {
        Value::Null => kind::NULL,
        Value::Bool(_) => kind::BOOLEAN,
        Value::Number(number) if decimal(number).is_none_or(|number| number.is_integer()) => kind::INTEGER,
        Value::Number(_) => kind::FRACTION,
        Value::String(_) => kind::STRING,
        Value::Array(_) => kind::ARRAY,
        Value::Object(_) => kind::OBJECT,
    }
}

fn decimal(number: &Number) -> Option<Decimal> {
    Decimal::parse(&number.to_string())
}

/// Returns a text that is the same for equal values only. By the rules of JSON Schema 1 equals 1.0, and the order of
/// members does not matter.
fn identity(value: &Value) -> String {
    match value {
        Value::Number(number) => decimal(number).map_or(number.to_string(), |number| format!("{number:?}")),
        Value::Array(items) => format!("[{}]", items.iter().map(identity).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{name:?}:{}", identity(value));
            let mut members: Vec<String> = members.iter().map(member).collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        Value::String(text) => format!("{text:?}"),
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

/// Returns the values that are in both lists.
fn common<'a>(a: &[&'a Value], b: &[&'a Value]) -> Vec<&'a Value> {
    let in_b: HashSet<String> = b.iter().map(|value| identity(value)).collect();
    a.iter().copied().filter(|value| in_b.contains(&identity(value))).collect()
}

/// Returns the elements of both lists, each once.
fn union<T: Clone + PartialEq>(a: &[T], b: &[T]) -> Vec<T> {
    let mut all = a.to_vec();
    all.extend(b.iter().filter(|element| !a.contains(element)).cloned());
    all
}

/// Returns the schemas of both lists. A schema that is in both is included only once, because otherwise combining
/// schemas that refer to themselves would never end.
fn both<'a>(a: &[&'a Value], b: &[&'a Value]) -> Schemas<'a> {
    let mut all = a.to_vec();
    all.extend(b.iter().copied().filter(|schema| !a.iter().any(|known| std::ptr::eq(*known, *schema))));
    all
}

impl<'a> Constraints<'a> {
    /// Returns the constraints that hold if both do.
    pub fn and(&self, other: &Self) -> Self {
        let kinds = self.kinds & other.kinds;
        let values = match (&self.values, &other.values) {
            (Some(a), Some(b)) => Some(common(a, b)),
            (values, None) | (None, values) => values.clone(),
        };
        let narrower = |a: &[u32; 2], b: &[u32; 2]| [a[0].max(b[0]), a[1].min(b[1])];
        let required: HashSet<&str> = self.required.iter().copied().collect();
        let more = other.required.iter().copied().filter(|name| !required.contains(name));
        let longest = self.prefix.len().max(other.prefix.len());
        Self {
            kinds,
            values: values.map(|values| values.into_iter().filter(|value| kinds & kind_of(value) != 0).collect()),
            bounds: union(&self.bounds, &other.bounds),
            length: narrower(&self.length, &other.length),
            patterns: union(&self.patterns, &other.patterns),
            prefix: (0..longest).map(|i| both(self.item(i), other.item(i))).collect(),
            items: both(&self.items, &other.items),
            count: narrower(&self.count, &other.count),
            properties: self.properties_of_both(other),
            required: self.required.iter().copied().chain(more).collect(),
            additional: both(&self.additional, &other.additional),
        }
    }

    fn properties_of_both(&self, other: &Self) -> Vec<(&'a str, Schemas<'a>)> {
        let (own, theirs) = (self.by_name(), other.by_name());
        let names = self.properties.iter().chain(other.properties.iter().filter(|(name, _)| !own.contains_key(name)));
        let merged = names.map(|(name, _)| {
            let left = own.get(name).copied().unwrap_or(&self.additional);
            let right = theirs.get(name).copied().unwrap_or(&other.additional);
            (*name, both(left, right))
        });
        merged.collect()
    }

    /// Returns the schemas of `properties` by their names.
    pub fn by_name(&self) -> HashMap<&'a str, &Schemas<'a>> {
        self.properties.iter().map(|(name, schemas)| (*name, schemas)).collect()
    }

    /// Returns the schemas of item number `i`.
    pub fn item(&self, i: usize) -> &Schemas<'a> {
        self.prefix.get(i).unwrap_or(&self.items)
    }

    /// Returns the number of parts, as a measure of the time that a combination takes.
    pub fn size(&self) -> usize {
        let values = self.values.as_ref().map_or(0, Vec::len);
        1 + values + self.prefix.len() + self.properties.len() + self.required.len()
    }

    /// Returns whether no value fits, as far as kinds and listed values tell.
    pub fn is_empty(&self) -> bool {
        self.kinds == 0 || self.values.as_ref().is_some_and(Vec::is_empty)
    }

    /// Returns the kinds of which all values fit.
    pub fn unconstrained_kinds(&self) -> u8 {
        if self.values.is_some() {
            return 0;
        }
        let any = Self::default();
        let constrained = [
            (kind::NUMBER, self.bounds != any.bounds || self.kinds & kind::NUMBER != kind::NUMBER),
            (kind::STRING, self.length != any.length || self.patterns != any.patterns),
            (kind::ARRAY, self.prefix != any.prefix || self.items != any.items || self.count != any.count),
            (kind::OBJECT, !self.properties.is_empty() || !self.required.is_empty() || !self.additional.is_empty()),
        ];
        constrained.iter().filter(|(_, constrained)| *constrained).fold(self.kinds, |kinds, (kind, _)| kinds & !kind)
    }

    /// Returns the constraints without values of some kinds.
    pub fn without_kinds(&self, kinds: u8) -> Self {
        self.and(&Self { kinds: kind::ALL & !kinds, ..Self::default() })
    }
}
