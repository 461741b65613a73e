//! SwiGLU of one gate and one up, and its gradients.

use crate::Live;
use crate::number::Typed;
use ossia::config::ModelConfig;
use ossia::error::Result;
use ossia::ops::swiglu::{backward, forward};
use serde::{Deserialize, Serialize};

/// The largest gate and up, and the steps of the curve per unit.
const LARGEST: i16 = 10;
const STEPS: i16 = 20;

#[derive(Deserialize)]
pub struct Question {
    gate: Typed,
    up: Typed,
}

#[derive(Serialize)]
pub struct Answer {
    y: f32,
    dgate: f32,
    dup: f32,
    alpha: f32,
    limit: f32,
    /// Gates, and the results for them with this up.
    curve: Vec<(f32, f32)>,
}

pub fn answer(_: &mut Live, question: Question) -> Result<Answer> {
    let largest = f64::from(LARGEST);
    let gate = question.gate.between("gate", -largest, largest)? as f32;
    let up = question.up.between("up", -largest, largest)? as f32;
    let ModelConfig { swiglu_alpha: alpha, swiglu_limit: limit, .. } = ModelConfig::gpt_oss_20b();
    let y = forward(&[gate, up], alpha, limit)[0];
    let gradient = backward(&[1.0], &[gate, up], alpha, limit);
    let gates = (-LARGEST * STEPS..=LARGEST * STEPS).map(|i| f32::from(i) / f32::from(STEPS));
    let curve = gates.map(|gate| (gate, forward(&[gate, up], alpha, limit)[0])).collect();
    Ok(Answer { y, dgate: gradient[0], dup: gradient[1], alpha, limit, curve })
}
