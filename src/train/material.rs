//! Training material: from paths to windows of tokens, for training and for evaluation.
//!
//! Book: [data](../../../../book/data.html)

use super::evaluate::EvaluationSet;
use super::settings::{BUILTIN, RunSettings};
use crate::data::{Corpus, Skipped, Windows, story};
use crate::error::{Error, Result};
use crate::kernels::parallel;
use crate::tasks::arithmetic;
use crate::tokenizer::{self, END_OF_TEXT, Tokenizer};
use std::path::{Path, PathBuf};

/// The seed of stories that no run is trained on.
pub const UNSEEN_SEED: u64 = u64::MAX;
/// The number of conversations of the task `arithmetic`, for training and for evaluation.
const CONVERSATIONS: [usize; 2] = [60_000, 600];
/// The largest number of built-in stories. They are made in memory, and the number may come from a flag.
const MOST_STORIES: usize = 10_000_000;

/// The material of a run: a tokenizer, and text to train and to measure on.
pub struct Material {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The windows to train on.
    pub windows: Windows,
    /// The windows to measure on.
    pub evaluation: EvaluationSet,
}

/// Called with the lines of a data file that are not documents, as soon as the file is read.
pub type SkippedLines<'s> = &'s mut dyn FnMut(&[Skipped]);

impl Material {
    /// Reads or makes the text that the settings describe. Without a tokenizer, trains one with at most `vocab_size` tokens.
    ///
    /// # Errors
    /// If the text cannot be read, or is too short.
    pub fn new(
        settings: &RunSettings,
        tokenizer: Option<Tokenizer>,
        vocab_size: usize,
        skipped: SkippedLines,
    ) -> Result<Self> {
        match settings.task {
            Some(_) => Self::conversations(settings, tokenizer, vocab_size),
            None => Self::text(settings, tokenizer, vocab_size, skipped),
        }
    }

    fn text(
        settings: &RunSettings,
        tokenizer: Option<Tokenizer>,
        vocab_size: usize,
        skipped: SkippedLines,
    ) -> Result<Self> {
        let (train, validation) = read_texts(settings, skipped)?;
        let tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            None => tokenizer::train(train.iter().map(String::as_str), vocab_size, &[END_OF_TEXT])?,
        };
        let context = settings.settings.context;
        let windows = windows(&train, &tokenizer, context)?;
        let measured = if settings.eval_data.is_empty() { &settings.data } else { &settings.eval_data };
        let evaluation = match is_builtin(measured) {
            true => EvaluationSet::of_stories(&validation, &tokenizer, context)?,
            false => EvaluationSet::of_documents(&validation, &tokenizer, context)?,
        };
        Ok(Self { tokenizer, windows, evaluation })
    }

    fn conversations(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize) -> Result<Self> {
        let tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            None => arithmetic::tokenizer(vocab_size)?,
        };
        let (end, context) = (tokenizer.end_of_text().unwrap_or(0), settings.settings.context);
        let windows = |count, seed, held_out| {
            let documents = arithmetic::documents(&tokenizer, count, seed, held_out)?;
            let learned = documents.iter().flat_map(|d| d.ids.iter().zip(&d.learned)).filter(|(_, learned)| **learned);
            let bytes = learned.map(|(&id, _)| tokenizer.token_bytes(id).map_or(0, <[u8]>::len)).sum();
            Ok::<_, Error>((Windows::masked(&documents, end, context)?, bytes))
        };
        let [training, measuring] = CONVERSATIONS;
        let (evaluation, bytes) = windows(measuring, UNSEEN_SEED, true)?;
        // The right answer follows from the question, to the digit: its entropy is 0.
        let evaluation = EvaluationSet { windows: evaluation, entropy_floor: Some(0.0), bytes };
        let (windows, _) = windows(training, settings.settings.seed, false)?;
        Ok(Self { windows, evaluation, tokenizer })
    }
}

/// Returns the documents to train on and to measure on.
fn read_texts(settings: &RunSettings, skipped: SkippedLines) -> Result<(Vec<String>, Vec<String>)> {
    let mut read = |names: &[String], seed: u64| {
        let corpus = match is_builtin(names) {
            true => stories(settings.stories, seed)?,
            false => Corpus::read(&names.iter().map(PathBuf::from).collect::<Vec<_>>(), &settings.field)?,
        };
        skipped(&corpus.skipped);
        Ok::<_, Error>(corpus)
    };
    let corpus = read(&settings.data, settings.settings.seed)?;
    if !settings.eval_data.is_empty() {
        return Ok((corpus.documents, read(&settings.eval_data, UNSEEN_SEED)?.documents));
    }
    if corpus.documents.len() == 1 {
        return Err(Error::argument("found 1 document, expected 2 or more to put one aside; give --eval-data"));
    }
    let split = corpus.split(settings.validation_fraction, settings.settings.seed)?;
    Ok((split.train, split.validation))
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

/// Checks a number of built-in stories.
///
/// # Errors
/// If there are more than 10 million.
pub fn check_stories(count: usize) -> Result<()> {
    match count {
        0..=MOST_STORIES => Ok(()),
        _ => Err(Error::argument(format!("{count} stories: expected at most {MOST_STORIES}"))),
    }
}

/// Encodes documents, on all cores, and cuts them into windows of `context` tokens.
///
/// # Errors
/// If the tokenizer has no `<|endoftext|>`, which separates documents, or the documents have no token.
pub fn windows(documents: &[String], tokenizer: &Tokenizer, context: usize) -> Result<Windows> {
    let end = tokenizer.end_of_text();
    let end =
        end.ok_or_else(|| Error::argument(format!("the tokenizer has no {END_OF_TEXT}, which ends documents")))?;
    let encoded = parallel::map(documents.len(), |i| tokenizer.encode(&documents[i]));
    Windows::new(&encoded, end, context)
}

impl EvaluationSet {
    /// Prepares documents to be measured on.
    ///
    /// # Errors
    /// Those of [`windows`].
    pub fn of_documents(documents: &[String], tokenizer: &Tokenizer, context: usize) -> Result<Self> {
        let windows = windows(documents, tokenizer, context)?;
        Ok(Self { windows, entropy_floor: None, bytes: documents.iter().map(String::len).sum() })
    }

    /// Prepares built-in stories to be measured on. Their exact probability is known, and so is the entropy floor.
    ///
    /// # Errors
    /// Those of [`windows`].
    pub fn of_stories(documents: &[String], tokenizer: &Tokenizer, context: usize) -> Result<Self> {
        let mut set = Self::of_documents(documents, tokenizer, context)?;
        let nats: Option<f64> = documents.iter().map(|text| story::log_probability(text)).sum();
        set.entropy_floor = nats.map(|nats| -nats / set.windows.tokens() as f64);
        Ok(set)
    }
}
