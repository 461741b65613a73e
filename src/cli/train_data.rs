//! From paths to windows of tokens, for training and for evaluation.

use crate::data::{Skipped, Windows, story};
use crate::error::{Error, Result};
use crate::kernels::parallel;
use crate::tokenizer::Tokenizer;
use crate::train::EvaluationSet;
use std::path::PathBuf;

/// The token between documents.
pub const END: &str = "<|endoftext|>";
/// The stories that `--data builtin` tells for training, unless told otherwise.
pub const STORIES: usize = 20_000;
/// The seed of stories that no run was trained on.
pub const UNSEEN_SEED: u64 = u64::MAX;
/// Skipped lines that are shown one by one.
const SHOWN: usize = 5;

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
pub fn encode(documents: &[String], tokenizer: &Tokenizer) -> Vec<Vec<u32>> {
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
