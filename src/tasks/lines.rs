//! Files that have a JSON object in each line.

use crate::data::json::LineError;
use crate::data::read::{Part, read};
use crate::error::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// Reads files line by line. `take` gets each value with the number of its line, and says what is wrong with it.
///
/// # Errors
/// The file, the line and the field of the first thing that is wrong. `what` names what a line should be.
pub fn read_lines<P: AsRef<Path>>(
    paths: &[P],
    what: &str,
    take: &mut dyn FnMut(&Value, usize) -> std::result::Result<(), String>,
) -> Result<()> {
    read(paths, &mut |path, line, part| {
        let wrong = |reason: String| Error::argument(format!("{}:{line}: {reason}", path.display()));
        let text = match part {
            Part::Json(text) => text.map_err(|error| wrong(error.to_string()))?,
            Part::Text(_) => return Err(Error::file(path, format!("is a text, expected {what} in each line"))),
        };
        if text.trim().is_empty() {
            return Err(wrong(LineError::Empty.to_string()));
        }
        let value = serde_json::from_str(text).map_err(|error| wrong(LineError::NotJson(error).to_string()))?;
        take(&value, line).map_err(wrong)?;
        Ok(true)
    })
}
