//! Constraints that hold together.

use serde_json::{Value, json};

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

/// Constraints that hold together. A constraint that belongs to one kind of values applies to values of this kind only.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraints {
    /// The allowed kinds of values, as bits of [`kind`].
    pub kinds: u8,
    /// The values of `enum` and `const`.
    pub values: Option<Vec<Value>>,
    /// The bounds `minimum`, `exclusiveMinimum`, `maximum` and `exclusiveMaximum`, as they are written.
    pub bounds: [Vec<String>; 4],
    /// The limits `minLength` and `maxLength`.
    pub length: [u32; 2],
    /// The regular expressions of `pattern` and `format`, each for the whole string.
    pub patterns: Vec<String>,
    /// The schemas of `prefixItems`.
    pub prefix: Vec<Value>,
    /// The schema of `items`.
    pub items: Option<Value>,
    /// The limits `minItems` and `maxItems`.
    pub count: [u32; 2],
    /// The names and schemas of `properties`.
    pub properties: Vec<(String, Value)>,
    /// The names of `required`.
    pub required: Vec<String>,
    /// The schema of `additionalProperties`.
    pub additional: Option<Value>,
}

impl Default for Constraints {
    fn default() -> Self {
        Self {
            kinds: kind::ALL,
            values: None,
            bounds: Default::default(),
            length: [0, u32::MAX],
            patterns: Vec::new(),
            prefix: Vec::new(),
            items: None,
            count: [0, u32::MAX],
            properties: Vec::new(),
            required: Vec::new(),
            additional: None,
        }
    }
}

/// Returns the kind of a value.
pub fn kind_of(value: &Value) -> u8 {
    match value {
        Value::Null => kind::NULL,
        Value::Bool(_) => kind::BOOLEAN,
        Value::Number(n) if n.as_f64().is_some_and(|n| n.fract() == 0.0) => kind::INTEGER,
        Value::Number(_) => kind::FRACTION,
        Value::String(_) => kind::STRING,
        Value::Array(_) => kind::ARRAY,
        Value::Object(_) => kind::OBJECT,
    }
}

/// Compares two values by the rules of JSON Schema, for which 1 equals 1.0.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Returns a schema that demands both. A part that is in both is included only once, because otherwise combining
/// schemas that refer to themselves would never end.
fn both(a: &Value, b: &Value) -> Value {
    let parts = |schema: &Value| match schema.get("allOf").and_then(Value::as_array) {
        Some(parts) if schema.as_object().is_some_and(|object| object.len() == 1) => parts.clone(),
        _ => vec![schema.clone()],
    };
    let mut all: Vec<Value> = Vec::new();
    for part in parts(a).into_iter().chain(parts(b)) {
        if part != Value::Bool(true) && !all.contains(&part) {
            all.push(part);
        }
    }
    match all.len() {
        0 => Value::Bool(true),
        1 => all.remove(0),
        _ => json!({"allOf": all}),
    }
}

impl Constraints {
    /// Returns the constraints that hold if both do.
    pub fn and(&self, other: &Self) -> Self {
        let values = match (&self.values, &other.values) {
            (Some(a), Some(b)) => Some(a.iter().filter(|a| b.iter().any(|b| equal(a, b))).cloned().collect()),
            (values, None) | (None, values) => values.clone(),
        };
        let kinds = self.kinds & other.kinds;
        let values = values.map(|values| values.into_iter().filter(|value| kinds & kind_of(value) != 0).collect());
        let narrower = |a: &[u32; 2], b: &[u32; 2]| [a[0].max(b[0]), a[1].min(b[1])];
        let mut names: Vec<&String> = self.properties.iter().map(|(name, _)| name).collect();
        names.extend(other.properties.iter().map(|(name, _)| name).filter(|name| self.own_property(name).is_none()));
        let property = |name: &String| (name.clone(), both(self.property(name), other.property(name)));
        let mut required = self.required.clone();
        required.extend(other.required.iter().filter(|name| !self.required.contains(name)).cloned());
        let longest = self.prefix.len().max(other.prefix.len());
        let option = |a: &Option<Value>, b: &Option<Value>| match (a, b) {
            (Some(a), Some(b)) => Some(both(a, b)),
            (one, None) | (None, one) => one.clone(),
        };
        Self {
            kinds,
            values,
            bounds: std::array::from_fn(|i| [&self.bounds[i][..], &other.bounds[i]].concat()),
            length: narrower(&self.length, &other.length),
            patterns: [&self.patterns[..], &other.patterns].concat(),
            prefix: (0..longest).map(|i| both(self.item(i), other.item(i))).collect(),
            items: option(&self.items, &other.items),
            count: narrower(&self.count, &other.count),
            properties: names.into_iter().map(property).collect(),
            required,
            additional: option(&self.additional, &other.additional),
        }
    }

    fn own_property(&self, name: &str) -> Option<&Value> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, schema)| schema)
    }

    /// Returns the schema of the member with this name.
    pub fn property(&self, name: &str) -> &Value {
        self.own_property(name).or(self.additional.as_ref()).unwrap_or(&Value::Bool(true))
    }

    /// Returns the schema of item number `i`.
    pub fn item(&self, i: usize) -> &Value {
        self.prefix.get(i).or(self.items.as_ref()).unwrap_or(&Value::Bool(true))
    }
}
