//! Stories that a model tells, compared with the grammar that they should follow.
//!
//! Book: [data](../../../../book/data.html)

use crate::data::story;
use crate::error::Result;
use crate::generate::Sampling;
use crate::kernels::parallel;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;

/// Tells one story of at most `longest` tokens. Stories of different seeds differ.
///
/// # Errors
/// If the model has tokens that the tokenizer does not have.
pub fn one(model: &Transformer, tokenizer: &Tokenizer, temperature: f32, seed: u64, longest: usize) -> Result<String> {
    model.continue_text(tokenizer, "", longest, Sampling { temperature, seed, ..Sampling::default() })
}

/// Tells the beginning of a story, to be shown during training.
///
/// # Errors
/// Those of [`one`].
pub fn sample(model: &Transformer, tokenizer: &Tokenizer, seed: u64) -> Result<String> {
    one(model, tokenizer, 0.8, seed, 120)
}

/// Tells `count` stories, on all cores.
///
/// # Errors
/// Those of [`one`].
pub fn tell(model: &Transformer, tokenizer: &Tokenizer, count: usize, temperature: f32) -> Result<Vec<String>> {
    let longest = model.config.context;
    parallel::map(count, |seed| one(model, tokenizer, temperature, seed as u64, longest)).into_iter().collect()
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
    format!("{share:.1} % of {} told stories are well-formed and consistent (temperature {temperature})", told.len())
}
