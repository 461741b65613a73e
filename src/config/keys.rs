//! Typed access to the keys of a `config.json`.

use super::error::{ConfigError, ConfigResult};
use serde_json::{Map, Value};

/// The keys of a file that have not been read yet. A key is removed when it is read, so that the unknown keys remain.
pub(super) struct ConfigKeys {
    pub map: Map<String, Value>,
    /// The text before a key in a message, such as `rope_parameters.`
    pub prefix: &'static str,
}

impl ConfigKeys {
    /// Parses the text of a file.
    pub fn parse(text: &str) -> ConfigResult<Self> {
        match serde_json::from_str(text)? {
            Value::Object(map) => Ok(Self { map, prefix: "" }),
            _ => Err(ConfigError::NotAnObject),
        }
    }

    /// Removes a key and returns its value, unless it is null.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// Returns the error that a key has an unexpected value.
    pub fn unexpected<T>(&self, key: &str, found: &Value, expected: impl Into<String>) -> ConfigResult<T> {
        Err(ConfigError::unexpected(format!("{}{key}", self.prefix), found, expected))
    }

    /// Reads a number of type `usize`.
    pub fn integer(&mut self, key: &str) -> ConfigResult<Option<usize>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) => Ok(Some(n)),
            None => self.unexpected(key, &value, "a whole number"),
        }
    }

    /// Reads a number that must be there.
    pub fn required(&mut self, key: &str) -> ConfigResult<usize> {
        let missing = ConfigError::Missing { key: format!("{}{key}", self.prefix), reason: "expected a whole number" };
        self.integer(key)?.ok_or(missing)
    }

    /// Reads a number that must be there under one of two keys. If both are there, the first one counts.
    pub fn one_of(&mut self, [first, second]: [&str; 2]) -> ConfigResult<usize> {
        let (a, b) = (self.integer(first)?, self.integer(second)?);
        a.or(b).ok_or_else(|| ConfigError::Missing { key: first.into(), reason: "expected a whole number" })
    }

    /// Reads a number.
    pub fn number(&mut self, key: &str) -> ConfigResult<Option<f64>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_f64() {
            Some(n) => Ok(Some(n)),
            None => self.unexpected(key, &value, "a number"),
        }
    }

    /// Reads a boolean.
    pub fn flag(&mut self, key: &str) -> ConfigResult<Option<bool>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_bool() {
            Some(flag) => Ok(Some(flag)),
            None => self.unexpected(key, &value, "true or false"),
        }
    }

    /// Reads an object. `prefix` is that of its keys in messages.
    pub fn object(&mut self, key: &'static str, prefix: &'static str) -> ConfigResult<Option<Self>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self { map, prefix })),
            Some(other) => self.unexpected(key, &other, "an object"),
        }
    }

    /// Reads a key for which ossia supports only one value.
    pub fn only(&mut self, key: &str, accepted: &Value) -> ConfigResult<()> {
        match self.take(key) {
            Some(value) if value != *accepted => self.unexpected(key, &value, format!("{accepted}, as gpt-oss has it")),
            _ => Ok(()),
        }
    }
}

/// Returns the shortest decimal that reads back as this `f32`: 1e-5 instead of 9.999999747378752e-6.
pub(super) fn shortest_decimal(x: f32) -> f64 {
    x.to_string().parse().expect("the text of a float is a float")
}
