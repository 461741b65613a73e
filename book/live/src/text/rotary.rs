//! Rotary positions: the wavelength of each pair of a head of gpt-oss, with YaRN and without.

use crate::Live;
use crate::number::Typed;
use ossia::config::{ModelConfig, Yarn};
use ossia::error::Result;
use ossia::layers::Rotary;
use serde::{Deserialize, Serialize};
use std::f32::consts::TAU;

#[derive(Deserialize)]
pub struct Question {
    factor: Typed,
    beta_fast: Typed,
    beta_slow: Typed,
    original_context: Typed,
}

#[derive(Serialize)]
pub struct Answer {
    pairs: Vec<Pair>,
    /// The pairs between which the frequencies are blended.
    ramp: (f64, f64),
    /// The factor of cos and sin.
    concentration: f32,
}

/// The positions after which a pair has come full circle.
#[derive(Serialize)]
struct Pair {
    plain: f32,
    yarn: f32,
    /// The frequency without YaRN, divided by the one with it.
    slower: f32,
}

pub fn answer(_: &mut Live, question: Question) -> Result<Answer> {
    let yarn = Yarn {
        factor: question.factor.between("factor", 1.0, 64.0)?,
        beta_fast: question.beta_fast.between("β_fast", 0.01, 10_000.0)?,
        beta_slow: question.beta_slow.between("β_slow", 0.01, 10_000.0)?,
        original_context: question.original_context.between("original context", 1.0, 1e7)? as usize,
        ..Yarn::gpt_oss()
    };
    let config = ModelConfig::gpt_oss_20b();
    let ramp = Rotary::ramp(&yarn, config.head_dim as f64, config.rope_theta);
    let plain = Rotary::new(&ModelConfig { yarn: None, ..config.clone() });
    let with_yarn = Rotary::new(&ModelConfig { yarn: Some(yarn), ..config });
    let frequencies = plain.inverse_frequencies().iter().zip(with_yarn.inverse_frequencies());
    let pairs = frequencies.map(|(&plain, &yarn)| Pair { plain: TAU / plain, yarn: TAU / yarn, slower: plain / yarn });
    Ok(Answer { pairs: pairs.collect(), ramp, concentration: with_yarn.concentration() })
}
