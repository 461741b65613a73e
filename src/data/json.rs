//! Documents in JSON: lines of objects (<https://jsonlines.org>), or one array.

use serde_json::Value;
use serde_json::value::RawValue;

/// A line of JSON Lines, or an item of an array, that is not a document.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The line has a byte that is not UTF-8.
    #[error("byte {} is not UTF-8", .0.valid_up_to())]
    NotUtf8(#[from] std::str::Utf8Error),
    /// The line has no character except spaces.
    #[error("found an empty line, expected a JSON object")]
    Empty,
    /// The file is empty.
    #[error("found an empty file")]
    EmptyFile,
    /// The file is neither.
    #[error("found neither JSON Lines nor a JSON array")]
    NoLines,
    /// The line is not JSON.
    #[error("found malformed JSON at column {}", .0.column())]
    NotJson(#[from] serde_json::Error),
    /// The line is JSON, but neither an object nor a string.
    #[error("found {found}, expected an object with the field `{field}`")]
    NotAnObject {
        /// The type that was found.
        found: &'static str,
        /// The field with the text.
        field: String,
    },
    /// The text is empty.
    #[error("found an empty text in the field `{0}`")]
    EmptyText(String),
    /// The field has no text.
    #[error("found {found} in the field `{field}`, expected a string")]
    NotAString {
        /// The type that was found.
        found: &'static str,
        /// The field with the text.
        field: String,
    },
    /// The object does not have the field.
    #[error("found no field `{field}`, only: {fields}")]
    NoField {
        /// The field with the text.
        field: String,
        /// The first fields of the object.
        fields: String,
    },
}

/// Returns the text in a line of JSON Lines or in an item of an array: that of a field, or the string itself.
///
/// # Errors
/// If there is no such text, or it is empty.
pub fn document(line: &str, field: &str) -> std::result::Result<String, LineError> {
    if line.trim().is_empty() {
        return Err(LineError::Empty);
    }
    let mut object = match serde_json::from_str(line)? {
        Value::Object(object) => object,
        Value::String(text) if text.trim().is_empty() => return Err(LineError::Empty),
        Value::String(text) => return Ok(text),
        other => return Err(LineError::NotAnObject { found: kind(&other), field: field.into() }),
    };
    match object.remove(field) {
        Some(Value::String(text)) if text.trim().is_empty() => Err(LineError::EmptyText(field.into())),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(LineError::NotAString { found: kind(&other), field: field.into() }),
        None => {
            let names: Vec<&str> = object.keys().take(5).map(String::as_str).collect();
            Err(LineError::NoField { field: field.into(), fields: names.join(", ") })
        }
    }
}

/// Returns whether a file that begins with these bytes consists of JSON Lines: whether its first line with content is a JSON
/// object, or the beginning of one that is longer than these bytes.
pub fn begins_lines(start: &[u8]) -> bool {
    let start = without_mark(start).trim_ascii_start();
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or(start);
    if !line.starts_with(b"{") {
        return false;
    }
    match serde_json::from_slice::<&RawValue>(line) {
        Ok(_) => true,
        Err(error) => error.is_eof() && line.len() == start.len() && start.len() > 1,
    }
}

/// Returns whether a file that begins with these bytes may be a JSON array of objects or strings.
pub fn begins_array(start: &[u8]) -> bool {
    let start = without_mark(start).trim_ascii_start();
    let inside = start.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(b"{") || inside.starts_with(b"\""))
}

/// Returns the items of a JSON array, each with the line at which it begins; `None` if the text is not a JSON array.
pub fn items(text: &str) -> Option<Vec<(usize, &str)>> {
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let (mut line, mut read) = (1, 0);
    let located = items.into_iter().map(|item| {
        let at = item.get().as_ptr() as usize - text.as_ptr() as usize;
        line += text.as_bytes()[read..at].iter().filter(|&&byte| byte == b'\n').count();
        read = at;
        (line, item.get())
    });
    Some(located.collect())
}

fn without_mark(start: &[u8]) -> &[u8] {
    start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start)
}

/// Returns the type of a value, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
