//! MXFP4: a block of 32 numbers, its codes and its scale, and what they decode to.

use crate::Live;
use crate::number::{Shown, Typed};
use ossia::error::{Error, Result};
use ossia::mxfp4::{BLOCK, Codes, decode, encode, scale};
use ossia::parameter::{Init, Random, Role, Scope};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    Numbers(Vec<Typed>),
    Preset(Preset),
}

/// Blocks to start with.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Normally distributed numbers with a standard deviation of 1.
    Normal,
    /// The same, but one is 30.
    Outlier,
    /// The same, 1,000 times smaller.
    Small,
}

#[derive(Serialize)]
pub struct Answer {
    numbers: Vec<f32>,
    scale_byte: u8,
    scale: Shown,
    /// Two codes per byte.
    bytes: Codes,
    numbers_decoded: Vec<Shown>,
    errors: Vec<Shown>,
    largest_error: Shown,
}

pub fn answer(_: &mut Live, question: Question) -> Result<Answer> {
    let numbers: Vec<f32> = match question {
        Question::Numbers(numbers) => numbers.iter().map(|number| number.single("a number")).collect::<Result<_>>()?,
        Question::Preset(preset) => block(&preset)?,
    };
    let Ok(block) = <&[f32; BLOCK]>::try_from(&numbers[..]) else {
        return Err(Error::argument(format!("{} numbers: a block has {BLOCK}", numbers.len())));
    };
    let (bytes, scale_byte) = encode(block);
    let decoded: Vec<f32> = (0..BLOCK).map(|i| decode(bytes[i / 2] >> (4 * (i % 2)), scale_byte)).collect();
    let errors: Vec<f32> = decoded.iter().zip(block).map(|(decoded, number)| decoded - number).collect();
    let largest = errors.iter().fold(0.0, |largest: f32, error| largest.max(error.abs()));
    let shown = |numbers: Vec<f32>| numbers.into_iter().map(Shown).collect();
    Ok(Answer {
        scale_byte,
        scale: Shown(scale(scale_byte)),
        bytes,
        numbers_decoded: shown(decoded),
        errors: shown(errors),
        largest_error: Shown(largest),
        numbers,
    })
}

fn block(preset: &Preset) -> Result<Vec<f32>> {
    let std = if matches!(preset, Preset::Small) { 1e-3 } else { 1.0 };
    let mut random = Random::new(0);
    let drawn = Scope::new(&mut random).take("block", &[BLOCK], Role::Matrix, Init::Normal(std))?;
    let mut numbers = drawn.value().to_f32();
    if matches!(preset, Preset::Outlier) {
        numbers[BLOCK / 3] = 30.0;
    }
    Ok(numbers)
}
