//! The cover: a story, with the probability of each piece.

use super::check;
use crate::Live;
use ossia::error::Result;
use ossia::generate::Sampling;
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
    p: f64,
}

pub fn answer(live: &mut Live, Question { model, temperature, seed }: Question) -> Result<Answer> {
    check("temperature", temperature, 0.0..=100.0)?;
    let model = live.models.get(&model)?;
    let drawn =
        model.transformer.draw_document(&model.tokenizer, Sampling { temperature, seed, ..Sampling::default() })?;
    let piece = |(token, p)| Ok(Piece { text: model.tokenizer.decode(&[token])?, p });
    let pieces = drawn.into_iter().map(piece).collect::<Result<_>>()?;
    Ok(Answer { pieces })
}
