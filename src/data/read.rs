//! Reads files and directories, part by part.
//!
//! A text file has one part. A file of JSON Lines (<https://jsonlines.org>) has one per line, and a JSON array one per item. The
//! content tells which of the three a file is, whatever its name. A directory consists of all `.txt`, `.md`, `.json`, `.jsonl` and
//! `.ndjson` files below it, in sorted order, so that the same directory gives the same parts everywhere.

use super::json::{self, LineError};
use crate::error::{Error, Result};
use crate::files::foreign_kind;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The extensions of files that are read in a directory. A file that is named directly may have any extension.
const EXTENSIONS: [&str; 5] = ["txt", "md", "json", "jsonl", "ndjson"];

/// The file of tokens in a directory of prepared text.
pub const PREPARED: &str = "tokens.safetensors";
/// The file with its evaluation text.
pub const PREPARED_EVALUATION: &str = "evaluation.jsonl";

/// A part of a file.
pub enum Part<'f> {
    /// A line of JSON Lines or an item of an array; an error if it is not UTF-8, or if the file has neither.
    Json(std::result::Result<&'f str, LineError>),
    /// The text of a whole file.
    Text(&'f str),
}

/// Receives the parts of a file: its path, the line at which a part begins, and the part. Returns whether it wants more.
pub type Visit<'v> = &'v mut dyn FnMut(&Path, usize, Part) -> Result<bool>;

/// Reads files and directories, in the order given.
///
/// # Errors
/// If a path cannot be read, or a file is not UTF-8; and the errors of `visit`.
pub fn read<P: AsRef<Path>>(paths: &[P], visit: Visit) -> Result<()> {
    let mut reader = Reader { seen: BTreeSet::new(), visit };
    for path in paths {
        if !reader.read(path.as_ref())? {
            break;
        }
    }
    Ok(())
}

struct Reader<'v> {
    seen: BTreeSet<PathBuf>, // directories
    visit: Visit<'v>,
}

impl Reader<'_> {
    /// Reads a file or a directory. Like all that follow, returns whether more is wanted.
    fn read(&mut self, path: &Path) -> Result<bool> {
        let kind = fs::metadata(path).map_err(|e| Error::io(path, "read", e))?;
        if kind.is_dir() { self.read_directory(path) } else { self.read_file(path) }
    }

    /// Reads a directory. Each directory is read at most once, so that circular links cause no endless loop.
    fn read_directory(&mut self, path: &Path) -> Result<bool> {
        let cannot_read = |e| Error::io(path, "read", e);
        if !self.seen.insert(path.canonicalize().map_err(cannot_read)?) {
            return Ok(true);
        }
        let prepared = path.join(PREPARED_EVALUATION).exists() && path.join("tokenizer.json").exists();
        if prepared && !path.join(PREPARED).exists() {
            return Err(Error::file(
                path,
                format!(
                    "has no {PREPARED}; ossia tokenizer prepare was stopped: remove the directory, and run it again"
                ),
            ));
        }
        if path.join(PREPARED).exists() {
            let text = path.join(PREPARED_EVALUATION);
            return Err(Error::file(
                path,
                format!("has tokens, to train on; its text to measure on is {}", text.display()),
            ));
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(cannot_read)? {
            entries.push(entry.map_err(cannot_read)?.path());
        }
        entries.sort();
        for entry in entries {
            if entry.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            let kind = fs::metadata(&entry).map_err(|e| Error::io(&entry, "read", e))?;
            let is_text = kind.is_file() && EXTENSIONS.iter().any(|extension| has_extension(&entry, extension));
            if (kind.is_dir() || is_text) && !self.read(&entry)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read_file(&mut self, path: &Path) -> Result<bool> {
        let mut file = BufReader::new(File::open(path).map_err(|e| Error::io(path, "read", e))?);
        let start = file.fill_buf().map_err(|e| Error::io(path, "read", e))?;
        if let Some(kind) = foreign_kind(start) {
            return Err(Error::file(path, kind));
        }
        if ["csv", "tsv"].iter().any(|extension| has_extension(path, extension)) {
            let hint = "is a table; convert it to JSON Lines, one object per row: \
                        python3 -c 'import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(sys.stdin)]'";
            return Err(Error::file(path, hint));
        }
        if json::begins_array(start) {
            let text = text_of(path)?;
            if let Some(items) = json::items(without_byte_order_mark(&text)) {
                for (line, item) in items {
                    if !(self.visit)(path, line, Part::Json(Ok(item)))? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
        }
        let has = |extensions: &[&str]| extensions.iter().any(|extension| has_extension(path, extension));
        if json::begins_lines(start) || has(&["jsonl", "ndjson"]) {
            return self.read_json_lines(path, file);
        }
        if has(&["json"]) {
            return (self.visit)(path, 1, Part::Json(Err(LineError::NoLines)));
        }
        let text = text_of(path)?;
        (self.visit)(path, 1, Part::Text(without_byte_order_mark(&text)))
    }

    fn read_json_lines(&mut self, path: &Path, mut file: impl BufRead) -> Result<bool> {
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            if file.read_until(b'\n', &mut bytes).map_err(|e| Error::io(path, "read", e))? == 0 {
                break;
            }
            let text = str::from_utf8(&bytes).map(without_byte_order_mark).map_err(LineError::from);
            if !(self.visit)(path, line, Part::Json(text))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// Removes the byte order mark that some editors write at the start of a file.
fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a whole file as text.
fn text_of(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    String::from_utf8(bytes).map_err(|e| not_utf8(path, e.utf8_error().valid_up_to() as u64))
}

fn not_utf8(path: &Path, offset: u64) -> Error {
    Error::file(path, format!("byte {offset} is not UTF-8; convert the file to UTF-8 or leave it out"))
}
