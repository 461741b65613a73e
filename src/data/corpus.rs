//! Reads texts to train on: files, directories, JSON Lines, or the built-in stories.
//!
//! A corpus is a list of documents. A text file is one document. A file of JSON Lines (<https://jsonlines.org>) has one
//! document per line, in a field of a JSON object or as a string; a JSON array has one per item. The content tells which of
//! the three a file is, whatever its name. A directory consists of all `.txt`, `.md`, `.json`, `.jsonl` and `.ndjson` files
//! below it, in sorted order, so that the same directory gives the same corpus everywhere. A bad line should not stop a run
//! with millions of lines: it is skipped, counted and reported. A file that is not text is an error.

use super::json::{self, LineError};
use super::story;
use crate::error::{Error, Result};
use crate::files::foreign_kind;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The extensions of files that are read in a directory. A file that is named directly may have any extension.
const EXTENSIONS: [&str; 5] = ["txt", "md", "json", "jsonl", "ndjson"];

/// The file of tokens in a directory of prepared text.
pub const PREPARED: &str = "tokens.safetensors";
/// The file with its evaluation text.
pub const PREPARED_EVALUATION: &str = "evaluation.jsonl";

/// The documents in order, and the lines that could not be used.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// The documents. None of them is empty.
    pub documents: Vec<String>,
    /// The lines that were skipped, in the order in which they were found.
    pub skipped: Vec<Skipped>,
}

/// A line that is not a document. It is displayed as `path:line: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// The number of the line, from 1.
    pub line: usize,
    /// A description of what was found and what was expected.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.reason)
    }
}

/// A corpus in two parts, which share no document.
#[derive(Clone, Debug)]
pub struct Split {
    /// The training documents, in the order of the corpus.
    pub train: Vec<String>,
    /// The validation documents, in the order of the corpus.
    pub validation: Vec<String>,
}

impl Corpus {
    /// Reads files and directories, in the order given. `field` is the field of a JSON Lines object that contains the
    /// text, usually `text`.
    ///
    /// # Errors
    /// If a path cannot be read, a file is not UTF-8, or there is no document at all.
    pub fn read<P: AsRef<Path>>(paths: &[P], field: &str) -> Result<Self> {
        let mut corpus = Self::default();
        let mut directories = BTreeSet::new();
        for path in paths {
            let path = path.as_ref();
            let kind = fs::metadata(path).map_err(|e| Error::io(path, "read", e))?;
            if kind.is_dir() {
                corpus.read_directory(path, field, &mut directories)?;
            } else {
                corpus.read_file(path, field)?;
            }
        }
        if corpus.documents.is_empty() { Err(corpus.no_documents(paths)) } else { Ok(corpus) }
    }

    /// Draws `documents` stories from the built-in grammar. The same seed gives the same stories on every machine.
    pub fn builtin(documents: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let documents = (0..documents).map(|_| story::sample(&mut rng).text).collect();
        Self { documents, skipped: Vec::new() }
    }

    /// Sets a random `fraction` of the documents aside for validation: at least one if there are two, and never all.
    /// The same seed selects the same documents.
    ///
    /// # Errors
    /// If the fraction is not in 0..1.
    pub fn split(self, fraction: f64, seed: u64) -> Result<Split> {
        if !(0.0..1.0).contains(&fraction) {
            return Err(Error::argument(format!(
                "the validation fraction is {fraction}, expected at least 0 and less than 1"
            )));
        }
        let n = self.documents.len();
        let wanted = ((n as f64 * fraction).round() as usize).max(1).min(n.saturating_sub(1));
        // Selection sampling takes document i with probability (still wanted) / (still to come).
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut split = Split { train: Vec::new(), validation: Vec::new() };
        for (index, document) in self.documents.into_iter().enumerate() {
            let still_wanted = wanted - split.validation.len();
            if (rng.random_range(0..(n - index) as u64) as usize) < still_wanted {
                split.validation.push(document);
            } else {
                split.train.push(document);
            }
        }
        Ok(split)
    }

    /// Reads a directory. Each directory is read at most once, so that circular links cause no endless loop.
    fn read_directory(&mut self, path: &Path, field: &str, seen: &mut BTreeSet<PathBuf>) -> Result<()> {
        let cannot_read = |e| Error::io(path, "read", e);
        if !seen.insert(path.canonicalize().map_err(cannot_read)?) {
            return Ok(());
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
            if kind.is_dir() {
                self.read_directory(&entry, field, seen)?;
            } else if kind.is_file() && EXTENSIONS.iter().any(|extension| has_extension(&entry, extension)) {
                self.read_file(&entry, field)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path, field: &str) -> Result<()> {
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
        if json::begins_array(start) && self.read_json_array(path, field)? {
            return Ok(());
        }
        let has = |extensions: &[&str]| extensions.iter().any(|extension| has_extension(path, extension));
        if json::begins_lines(start) || has(&["jsonl", "ndjson"]) {
            return self.read_json_lines(path, file, field);
        }
        if has(&["json"]) {
            self.skip(path, 1, "found neither JSON Lines nor a JSON array".to_string());
            return Ok(());
        }
        self.read_text(path)
    }

    fn read_text(&mut self, path: &Path) -> Result<()> {
        let text = text_of(path)?;
        let text = without_byte_order_mark(&text);
        if text.trim().is_empty() {
            self.skip(path, 1, "found an empty file".to_string());
        } else {
            self.documents.push(text.to_string());
        }
        Ok(())
    }

    fn read_json_lines(&mut self, path: &Path, mut file: impl BufRead, field: &str) -> Result<()> {
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            if file.read_until(b'\n', &mut bytes).map_err(|e| Error::io(path, "read", e))? == 0 {
                break;
            }
            let text = str::from_utf8(&bytes).map_err(LineError::from);
            match text.and_then(|text| json::document(without_byte_order_mark(text), field)) {
                Ok(document) => self.documents.push(document),
                Err(error) => self.skip(path, line, error.to_string()),
            }
        }
        Ok(())
    }

    /// Reads a JSON array with a document per item. Returns `false` if the file is not one, as a text that begins with a
    /// bracket; then nothing was read.
    fn read_json_array(&mut self, path: &Path, field: &str) -> Result<bool> {
        let text = text_of(path)?;
        let Some(items) = json::items(without_byte_order_mark(&text)) else { return Ok(false) };
        for (line, item) in items {
            match json::document(item, field) {
                Ok(document) => self.documents.push(document),
                Err(error) => self.skip(path, line, error.to_string()),
            }
        }
        Ok(true)
    }

    fn skip(&mut self, path: &Path, line: usize, reason: String) {
        self.skipped.push(Skipped { path: path.to_path_buf(), line, reason });
    }

    fn no_documents<P: AsRef<Path>>(&self, paths: &[P]) -> Error {
        let names: Vec<String> = paths.iter().map(|path| path.as_ref().display().to_string()).collect();
        let details = match self.skipped.as_slice() {
            [] => "expected text files, JSON Lines, JSON arrays, or directories with .txt, .md, .json or .jsonl files"
                .to_string(),
            [first, ..] => format!("skipped {}, the first: {first}", self.skipped.len()),
        };
        Error::argument(format!(
            "found no document in {}; {details}",
            if names.is_empty() { "no path".into() } else { names.join(", ") }
        ))
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
