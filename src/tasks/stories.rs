//! Stories that a model tells, compared with the grammar that they should follow.
//!
//! Book: [data](../../../../book/data.html)

use crate::data::story;
use crate::error::Result;
use crate::generate::Sampling;
use crate::kernels::parallel;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use std::ops::Range;

/// Tells one story of at most `longest` tokens. Stories of different seeds differ.
///
/// # Errors
/// If the model has tokens that the tokenizer does not have.
pub fn one(model: &Transformer, tokenizer: &Tokenizer, temperature: f32, seed: u64, longest: usize) -> Result<String> {
    model.continue_text(tokenizer, "", longest, Sampling { temperature, seed, ..Sampling::default() })
}

/// Tells the beginning of a story, to be shown during training: at most 120 tokens, of which `show` gets every piece.
///
/// # Errors
/// Those of [`one`].
pub fn sample(model: &Transformer, tokenizer: &Tokenizer, seed: u64, show: &mut dyn FnMut(&str)) -> Result<String> {
    model.stream_text(tokenizer, "", 120, Sampling { temperature: 0.8, seed, ..Sampling::default() }, show)
}

/// The most tokens of a story that is generated to be checked. The built-in stories are shorter.
const LONGEST: usize = 512;

/// Tells stories with the given seeds, on all cores.
///
/// # Errors
/// Those of [`one`].
pub fn tell(model: &Transformer, tokenizer: &Tokenizer, seeds: Range<u64>, temperature: f32) -> Result<Vec<String>> {
    let (first, count) = (seeds.start, seeds.end.saturating_sub(seeds.start) as usize);
    let story = |i: usize| one(model, tokenizer, temperature, first + i as u64, model.config.context.min(LONGEST));
    parallel::map(count, story).into_iter().collect()
}

/// Returns where the first `most` stories that do not follow the grammar leave it, one line each.
pub fn departures(told: &[String], most: usize) -> Vec<String> {
    let lines = told.iter().filter_map(|text| {
        let departure = story::parse(text).err()?;
        let before = text.get(..departure.offset)?;
        let from = before.char_indices().rev().nth(40).map_or(0, |(at, _)| at);
        Some(format!("  … {} ← {departure}", before[from..].replace('\n', " ")))
    });
    lines.take(most).collect()
}

/// Says how many stories follow the grammar to the end.
pub fn summary(told: &[String], temperature: f32) -> String {
    let good = told.iter().filter(|text| story::well_formed(text)).count();
    let share = 100.0 * good as f64 / told.len().max(1) as f64;
    format!(
        "{share:.1} % of {} generated stories are well-formed and consistent (temperature {temperature})",
        told.len()
    )
}
