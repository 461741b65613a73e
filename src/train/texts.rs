//! Texts: documents to train on and to measure on, and how they become tokens.

use super::note::{Note, Notes};
use super::paths::{BUILTIN, DataPath};
use super::settings::{RunSettings, check_stories};
use crate::data::{Corpus, Stream};
use crate::error::{Error, Result};
use crate::kernels::parallel;
use crate::tokenizer::{self, END_OF_TEXT, Tokenizer};
use std::path::Path;

/// The seed of stories that no run is trained on.
pub const UNSEEN_SEED: u64 = u64::MAX;

/// The documents to train on and to measure on.
pub struct Texts {
    /// To train on.
    pub training: Vec<String>,
    /// To measure on.
    pub evaluation: Vec<String>,
}

impl Texts {
    /// Reads or makes the documents that the settings describe.
    ///
    /// # Errors
    /// If they cannot be read, or nothing would be left to train or to measure on.
    pub fn read(settings: &RunSettings, notes: Notes) -> Result<Self> {
        let corpus = read(&settings.data, settings, settings.settings.seed, notes)?;
        if !settings.eval_data.is_empty() {
            let evaluation = read(&settings.eval_data, settings, UNSEEN_SEED, notes)?.documents;
            return Ok(Self { training: corpus.documents, evaluation });
        }
        if let [document] = &corpus.documents[..] {
            if is_builtin(&settings.data) {
                return Err(Error::argument("--stories 1: expected 2 or more to set one aside, or --eval-data"));
            }
            let (training, evaluation) = cut(document, settings.validation_fraction)?;
            notes(Note::TailSetAside { training: training.len(), evaluation: evaluation.len() });
            return Ok(Self { training: vec![training.to_string()], evaluation: vec![evaluation.to_string()] });
        }
        let split = corpus.split(settings.validation_fraction, settings.settings.seed)?;
        Ok(Self { training: split.train, evaluation: split.validation })
    }
}

/// Reads documents, or makes built-in stories of a seed.
///
/// # Errors
/// If they cannot be read, or there are none.
pub fn read(paths: &[DataPath], settings: &RunSettings, seed: u64, notes: Notes) -> Result<Corpus> {
    let mut corpus = match is_builtin(paths) {
        true => stories(settings.stories, seed)?,
        false => Corpus::read(paths, &settings.field)?,
    };
    if !corpus.skipped.is_empty() {
        notes(Note::Skipped(std::mem::take(&mut corpus.skipped)));
    }
    Ok(corpus)
}

/// Returns the tokenizer of a text: the one that is given, the one of gpt-oss if `vocab_size` is the size of its vocabulary, or
/// a new one.
///
/// # Errors
/// If the vocabulary is too small for a new one.
pub fn choose_tokenizer(given: Option<Tokenizer>, documents: &[String], vocab_size: usize) -> Result<Tokenizer> {
    let tokenizer = match given {
        Some(tokenizer) => tokenizer,
        #[cfg(feature = "o200k")]
        None if vocab_size == tokenizer::o200k_harmony::VOCAB as usize => tokenizer::o200k_harmony().clone(),
        None => tokenizer::train(documents.iter().map(String::as_str), vocab_size, &[END_OF_TEXT])?,
    };
    Ok(starting_with_end(tokenizer))
}

/// Returns a tokenizer whose texts start with the token that ends a document: in the stream of a training text, every document
/// stands behind the end of the one before it.
pub fn starting_with_end(tokenizer: Tokenizer) -> Tokenizer {
    let start = tokenizer.end_of_text();
    tokenizer.with_start(start)
}

/// Cuts a document in two: its beginning, and about `fraction` of its bytes at its end. It cuts at the line end that is
/// nearest. If that would make the end twice as long or longer, it cuts between two characters.
fn cut(document: &str, fraction: f64) -> Result<(&str, &str)> {
    let wanted = (document.len() as f64 * (1.0 - fraction)) as usize;
    let usable = |at: &usize| !document[..*at].trim().is_empty() && !document[*at..].trim().is_empty();
    let distance = |at: &usize| at.abs_diff(wanted);
    let lines = document.match_indices('\n').map(|(at, _)| at + 1).filter(usable).min_by_key(distance);
    let characters = || document.char_indices().map(|(at, _)| at).filter(usable).min_by_key(distance);
    match lines.filter(|at| distance(at) < document.len() - wanted).or_else(characters) {
        Some(at) => Ok(document.split_at(at)),
        None => Err(Error::argument("the only document is too short to be cut into training and evaluation text")),
    }
}

/// Returns whether the paths stand for the built-in stories.
pub fn is_builtin<P: AsRef<Path>>(paths: &[P]) -> bool {
    matches!(paths, [path] if path.as_ref() == Path::new(BUILTIN))
}

/// Returns built-in stories; those of [`UNSEEN_SEED`] are in no training text.
///
/// # Errors
/// If there are more than 10 million, which would not fit in memory.
pub fn stories(count: usize, seed: u64) -> Result<Corpus> {
    check_stories(count)?;
    Ok(Corpus::builtin(count, seed))
}

/// Encodes documents, on all cores, and joins them.
///
/// # Errors
/// If the tokenizer has no `<|endoftext|>`, which separates documents, or the documents have no token.
pub fn encode(documents: &[String], tokenizer: &Tokenizer) -> Result<Stream> {
    let end = tokenizer.end_of_text();
    let end =
        end.ok_or_else(|| Error::argument(format!("the tokenizer has no {END_OF_TEXT}, which ends documents")))?;
    let encoded = parallel::map(documents.len(), |i| tokenizer.encode(&documents[i]));
    Stream::new(&encoded, end)
}
