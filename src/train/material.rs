//! Training material: from paths to windows of tokens, for training and for evaluation.
//!
//! Book: [data](../../../../book/data.html)

use super::evaluate::EvaluationSet;
use super::note::{Note, Notes};
use super::paths::{BUILTIN, DataPath};
use super::settings::{RunSettings, check_stories};
use crate::data::{Corpus, Windows, story};
use crate::error::{Error, Result};
use crate::kernels::parallel;
use crate::tasks::arithmetic;
use crate::tokenizer::{self, END_OF_TEXT, Tokenizer};
use std::path::Path;

/// The seed of stories that no run is trained on.
pub const UNSEEN_SEED: u64 = u64::MAX;
/// The number of conversations of the task `arithmetic`, for training and for evaluation.
const CONVERSATIONS: [usize; 2] = [60_000, 600];

/// The material of a run: a tokenizer, and text to train and to measure on.
pub struct Material {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The windows to train on.
    pub windows: Windows,
    /// The windows to measure on.
    pub evaluation: EvaluationSet,
}

impl Material {
    /// Reads or makes the text that the settings describe. Without a tokenizer, uses the one of gpt-oss if `vocab_size` is the
    /// size of its vocabulary (and the feature `o200k` is on), and otherwise trains one with at most `vocab_size` tokens.
    ///
    /// # Errors
    /// If the text cannot be read, or is too short.
    pub fn new(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize, notes: Notes) -> Result<Self> {
        match settings.task {
            Some(_) => Self::conversations(settings, tokenizer, vocab_size),
            None => Self::text(settings, tokenizer, vocab_size, notes),
        }
    }

    fn text(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize, notes: Notes) -> Result<Self> {
        let (train, validation) = read_texts(settings, notes)?;
        let tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            #[cfg(feature = "o200k")]
            None if vocab_size == tokenizer::o200k_harmony::VOCAB as usize => tokenizer::o200k_harmony().clone(),
            None => tokenizer::train(train.iter().map(String::as_str), vocab_size, &[END_OF_TEXT])?,
        };
        // In the stream of the training text, every document stands behind the end of the one before it.
        let start = tokenizer.end_of_text();
        let tokenizer = tokenizer.with_start(start);
        let context = settings.settings.context;
        let windows = windows(&train, &tokenizer, context)?;
        let measured = if settings.eval_data.is_empty() { &settings.data } else { &settings.eval_data };
        let shortened = settings.eval_tokens.and_then(|most| shortened(&validation, &tokenizer, most));
        if let Some((documents, tokens)) = &shortened {
            notes(Note::EvaluationShortened { tokens: *tokens, documents: documents.len(), of: validation.len() });
        }
        let validation = shortened.map_or(validation, |(documents, _)| documents);
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
fn read_texts(settings: &RunSettings, notes: Notes) -> Result<(Vec<String>, Vec<String>)> {
    let mut read = |paths: &[DataPath], seed: u64| {
        let mut corpus = match is_builtin(paths) {
            true => stories(settings.stories, seed)?,
            false => Corpus::read(paths, &settings.field)?,
        };
        if !corpus.skipped.is_empty() {
            notes(Note::Skipped(std::mem::take(&mut corpus.skipped)));
        }
        Ok::<_, Error>(corpus)
    };
    let corpus = read(&settings.data, settings.settings.seed)?;
    if !settings.eval_data.is_empty() {
        return Ok((corpus.documents, read(&settings.eval_data, UNSEEN_SEED)?.documents));
    }
    if let [document] = &corpus.documents[..] {
        if is_builtin(&settings.data) {
            return Err(Error::argument("--stories 1: expected 2 or more to set one aside, or --eval-data"));
        }
        let (training, evaluation) = cut(document, settings.validation_fraction)?;
        notes(Note::TailSetAside { training: training.len(), evaluation: evaluation.len() });
        return Ok((vec![training.to_string()], vec![evaluation.to_string()]));
    }
    let split = corpus.split(settings.validation_fraction, settings.settings.seed)?;
    Ok((split.train, split.validation))
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

/// Returns the first documents that have at most `most` tokens together, and their tokens; `None` if that is all of them. If
/// the first document is longer, returns its beginning.
fn shortened(documents: &[String], tokenizer: &Tokenizer, most: usize) -> Option<(Vec<String>, usize)> {
    let (mut kept, mut tokens) = (Vec::new(), 0);
    for document in documents {
        let ids = tokenizer.encode(document);
        if tokens + ids.len() < most {
            tokens += ids.len() + 1; // and the end of the text
            kept.push(document.clone());
            continue;
        }
        if kept.is_empty() {
            let bytes: usize =
                ids[..most.min(ids.len())].iter().filter_map(|&id| tokenizer.token_bytes(id)).map(<[u8]>::len).sum();
            let whole = (0..=bytes).rev().find(|&at| document.is_char_boundary(at)).unwrap_or(0); // not half a character
            kept.push(document[..whole].to_string());
            tokens = most;
        }
        return Some((kept, tokens));
    }
    None
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
