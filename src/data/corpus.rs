//! Texts to train on: files, directories, JSON Lines, or the built-in stories.
//!
//! A corpus is a list of documents. A text file is one document. A file of JSON Lines has one document per line, in a field of a
//! JSON object or as a string; a JSON array has one per item. A bad line should not stop a run with millions of lines: it is
//! skipped, counted and reported. A file that is not text is an error.

use super::json::{self, LineError};
use super::read::{Part, read};
use super::story;
use crate::error::{Error, Result};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::fmt;
use std::path::{Path, PathBuf};

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

/// Documents in two parts, each in their order.
#[derive(Clone, Debug)]
pub struct Split<D> {
    /// The documents to train on.
    pub train: Vec<D>,
    /// The documents to measure on.
    pub validation: Vec<D>,
}

impl<D> Split<D> {
    /// Sets a random `fraction` of the documents aside for validation: at least one if there are two, and never all.
    /// The same seed selects the same documents.
    ///
    /// # Errors
    /// If the fraction is not in 0..1.
    pub fn of(documents: Vec<D>, fraction: f64, seed: u64) -> Result<Self> {
        if !(0.0..1.0).contains(&fraction) {
            return Err(Error::argument(format!(
                "the validation fraction is {fraction}, expected at least 0 and less than 1"
            )));
        }
        let n = documents.len();
        let wanted = ((n as f64 * fraction).round() as usize).max(1).min(n.saturating_sub(1));
        // Selection sampling takes document i with probability (still wanted) / (still to come).
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut split = Self { train: Vec::new(), validation: Vec::new() };
        for (index, document) in documents.into_iter().enumerate() {
            let still_wanted = wanted - split.validation.len();
            if (rng.random_range(0..(n - index) as u64) as usize) < still_wanted {
                split.validation.push(document);
            } else {
                split.train.push(document);
            }
        }
        Ok(split)
    }
}

impl Corpus {
    /// Reads files and directories, in the order given. `field` is the field of a JSON Lines object that contains the
    /// text, usually `text`.
    ///
    /// # Errors
    /// If a path cannot be read, a file is not UTF-8, or there is no document at all.
    pub fn read<P: AsRef<Path>>(paths: &[P], field: &str) -> Result<Self> {
        let mut corpus = Self::default();
        read(paths, &mut |path, line, part| {
            let document = match part {
                Part::Json(text) => text.and_then(|text| json::document(text, field)),
                Part::Text(text) if text.trim().is_empty() => Err(LineError::EmptyFile),
                Part::Text(text) => Ok(text.to_string()),
            };
            match document {
                Ok(document) => corpus.documents.push(document),
                Err(error) => corpus.skip(path, line, error.to_string()),
            }
            Ok(true)
        })?;
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
    /// Those of [`Split::of`].
    pub fn split(self, fraction: f64, seed: u64) -> Result<Split<String>> {
        Split::of(self.documents, fraction, seed)
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
