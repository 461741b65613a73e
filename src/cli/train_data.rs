//! From paths to windows of tokens, for training and for evaluation.

use crate::data::{Corpus, Skipped, Windows, story};
use crate::error::{Error, Result};
use crate::kernels::parallel;
use crate::tasks::arithmetic;
use crate::tokenizer::{self, Tokenizer};
use crate::train::EvaluationSet;
use crate::train::run::RunSettings;
use std::path::PathBuf;

/// The token between documents.
const END: &str = tokenizer::END_OF_TEXT;
/// The stories that `--data builtin` tells for training, unless told otherwise.
pub const STORIES: usize = 20_000;
/// The seed of stories that no run was trained on.
pub const UNSEEN_SEED: u64 = u64::MAX;
/// Skipped lines that are shown one by one.
const SHOWN: usize = 5;

/// The conversations that `--task arithmetic` makes for training, and to measure on.
const CONVERSATIONS: [usize; 2] = [60_000, 600];

/// What a run learns from.
pub struct Material {
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    /// To train on.
    pub windows: Windows,
    /// To measure on.
    pub evaluation: EvaluationSet,
}

impl Material {
    /// As the settings say. Without a tokenizer one of at most `vocab_size` ids is learned.
    ///
    /// # Errors
    /// If the text cannot be read, or is too little.
    pub fn new(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize) -> Result<Self> {
        match settings.task {
            Some(_) => Self::conversations(settings, tokenizer, vocab_size),
            None => Self::text(settings, tokenizer, vocab_size),
        }
    }

    fn text(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize) -> Result<Self> {
        let (text, eval_text) = read_text(settings)?;
        let tokenizer = match tokenizer {
            Some(tokenizer) => tokenizer,
            None => tokenizer::train(text.iter().map(String::as_str), vocab_size, &[END])?,
        };
        let end = tokenizer.end_of_text();
        let end = end.ok_or_else(|| Error::argument(format!("the tokenizer has no {END}, which ends documents")))?;
        let context = settings.settings.context;
        let windows = Windows::new(&encode(&text, &tokenizer), end, context)?;
        let measured = if settings.eval_data.is_empty() { &settings.data } else { &settings.eval_data };
        let evaluation = evaluation_set(&eval_text, &tokenizer, context, measured == &["builtin"])?;
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
            let bytes = documents.iter().flat_map(|d| d.ids.iter().zip(&d.learned)).filter(|(_, learned)| **learned);
            let bytes = bytes.map(|(&id, _)| tokenizer.token_bytes(id).map_or(0, <[u8]>::len)).sum();
            Ok::<_, Error>((Windows::masked(&documents, end, context)?, bytes))
        };
        let [training, measuring] = CONVERSATIONS;
        let (evaluation, bytes) = windows(measuring, UNSEEN_SEED, true)?;
        // What the assistant should say follows from the question, to the digit: nothing in it is left to chance.
        let evaluation = EvaluationSet { windows: evaluation, entropy_floor: Some(0.0), bytes };
        Ok(Self { windows: windows(training, settings.settings.seed, false)?.0, evaluation, tokenizer })
    }
}

/// The documents to train on, and to measure on.
fn read_text(settings: &RunSettings) -> Result<(Vec<String>, Vec<String>)> {
    let read = |names: &[String], seed: u64| {
        let paths = names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let corpus = match is_builtin(&paths) {
            true => Corpus::builtin(settings.stories, seed),
            false => Corpus::read(&paths, &settings.field)?,
        };
        report_skipped(&corpus.skipped);
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

/// Whether the paths mean the built-in grammar.
pub fn is_builtin(paths: &[PathBuf]) -> bool {
    paths == [PathBuf::from("builtin")]
}

/// Says which lines of a corpus were left out, and why.
pub fn report_skipped(skipped: &[Skipped]) {
    skipped.iter().take(SHOWN).for_each(|line| say!("skipped {line}"));
    if skipped.len() > SHOWN {
        say!("skipped {} lines in all", skipped.len());
    }
}

/// Documents as ids, on all cores.
fn encode(documents: &[String], tokenizer: &Tokenizer) -> Vec<Vec<u32>> {
    parallel::map(documents.len(), |i| tokenizer.encode(&documents[i]))
}

/// Documents to measure on. Of built-in stories the exact probability is known, and so is the floor.
///
/// # Errors
/// If they hold no token.
pub fn evaluation_set(
    documents: &[String],
    tokenizer: &Tokenizer,
    context: usize,
    builtin: bool,
) -> Result<EvaluationSet> {
    let end = tokenizer.end_of_text().unwrap_or(0);
    let windows = Windows::new(&encode(documents, tokenizer), end, context)?;
    let nats = || documents.iter().map(|text| story::log_probability(text)).sum::<Option<f64>>();
    let entropy_floor = if builtin { nats().map(|nats| -nats / windows.tokens() as f64) } else { None };
    Ok(EvaluationSet { windows, entropy_floor, bytes: documents.iter().map(String::len).sum() })
}

/// Stories are made in memory: a number of them that comes from a flag has to stay within reason.
pub fn check_stories(count: usize) -> Result<()> {
    const MOST: usize = 10_000_000;
    match count {
        0..=MOST => Ok(()),
        _ => Err(Error::argument(format!("{count} stories: expected at most {MOST}"))),
    }
}
