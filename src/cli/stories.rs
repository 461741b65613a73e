//! Stories that a model tells, held against the grammar they should follow.

use super::stop_tokens;
use crate::data::story;
use crate::error::Result;
use crate::generate::{Generator, Sampling, TextStream};
use crate::kernels::parallel;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;

/// One text from its beginning to the end that the model gives it. Stories of different seeds differ.
pub fn one(model: &Transformer, tokenizer: &Tokenizer, temperature: f32, seed: u64, longest: usize) -> Result<String> {
    let sampling = Sampling { temperature, seed, ..Sampling::default() };
    let start: Vec<u32> = tokenizer.end_of_text().into_iter().collect();
    let mut text = TextStream::new(tokenizer, &[]);
    let mut story = String::new();
    let mut failed = None;
    let mut generator = Generator::new(model, &start, sampling)?.below(tokenizer.vocab_size());
    generator.run(longest, &stop_tokens(model, tokenizer), |token| {
        match text.push(token) {
            Ok(piece) => story += &piece,
            Err(error) => failed = Some(error),
        }
        failed.is_none()
    });
    failed.map_or(Ok(story + &text.finish()), Err)
}

/// The beginning of a story, to be shown during training.
pub fn sample(model: &Transformer, tokenizer: &Tokenizer, seed: u64) -> Result<String> {
    one(model, tokenizer, 0.8, seed, 120)
}

/// Many of them, on all cores.
pub fn tell(model: &Transformer, tokenizer: &Tokenizer, count: usize, temperature: f32) -> Result<Vec<String>> {
    let longest = model.config.context;
    parallel::map(count, |seed| one(model, tokenizer, temperature, seed as u64, longest)).into_iter().collect()
}

/// Where the first few that do not follow the grammar leave it, a line each.
pub fn departures(told: &[String], most: usize) -> Vec<String> {
    let lines = told.iter().filter_map(|text| {
        let departure = story::parse(text).err()?;
        let before = text.get(..departure.offset)?;
        let from = before.char_indices().rev().nth(40).map_or(0, |(at, _)| at);
        Some(format!("  … {} ← {departure}", before[from..].replace('\n', " ")))
    });
    lines.take(most).collect()
}

/// How many follow the grammar to the end.
pub fn summary(told: &[String], temperature: f32) -> String {
    let good = told.iter().filter(|text| story::well_formed(text)).count();
    let share = 100.0 * good as f64 / told.len().max(1) as f64;
    format!("{share:.1} % of {} told stories are well-formed and consistent (temperature {temperature})", told.len())
}
