//! The cover: a story, with the probability of each piece.

use super::check;
use crate::Live;
use ossia::error::{Error, Result};
use ossia::generate::sampler::distribution;
use ossia::generate::{Generator, Sampling};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct Question {
    model: String,
    temperature: f32,
    seed: u64,
}

#[derive(Serialize)]
pub struct Answer {
    pieces: Vec<Piece>,
}

#[derive(Serialize)]
struct Piece {
    text: String,
    /// The probability of this token when it was drawn.
    p: f32,
}

pub fn answer(live: &mut Live, Question { model, temperature, seed }: Question) -> Result<Answer> {
    check("temperature", temperature, 0.0..=100.0)?;
    let model = live.models.get(&model)?;
    let sampling = Sampling { temperature, seed, ..Sampling::default() }.within(&model.tokenizer);
    let end = model.tokenizer.end_of_text().ok_or_else(|| Error::argument("this model does not tell stories"))?;
    let mut generator = Generator::new(&model.transformer, &[end], sampling.clone())?;
    let mut pieces = Vec::new();
    while let Some(token) = generator.choose(None)?.filter(|&token| token != end) {
        let chances = distribution(generator.logits()?, &sampling);
        let p = chances.iter().find(|(other, _)| *other == token).map_or(0.0, |(_, p)| *p);
        pieces.push(Piece { text: model.tokenizer.decode(&[token])?, p });
        generator.push(token)?;
    }
    Ok(Answer { pieces })
}
