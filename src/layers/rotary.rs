//! The angles of RoPE, and YaRN.       Book: rotary.md
//!
//! Pair i of a head turns by position·θᵢ with θᵢ = θ^(−2i/D): the first pairs spin fast, the last ones hardly.
//! YaRN makes a model trained on 4,096 positions read 131,072: pairs that turn often within the old context are left
//! alone, pairs that turn less than once have their angles divided by 32, those between are blended, and cos and sin
//! are multiplied by 0.1·ln 32 + 1, which sharpens attention.
//! Peng et al. 2023, <https://arxiv.org/abs/2309.00071>

use crate::config::{ModelConfig, Yarn};
use crate::tensor::{Array, array};
use std::f64::consts::TAU;

/// Inverse frequencies, from which cos and sin of any position follow.
#[derive(Clone)]
pub struct Rotary {
    inverse_frequencies: Vec<f32>, // (D/2,)
    concentration: f32,
}

// ANCHOR: frequencies
impl Rotary {
    /// The frequencies of a configuration.
    pub fn new(config: &ModelConfig) -> Self {
        let (dim, theta) = (config.head_dim as f64, config.rope_theta);
        let plain = (0..config.head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim));
        let Some(yarn) = &config.yarn else {
            return Self { inverse_frequencies: plain.map(|f| f as f32).collect(), concentration: 1.0 };
        };
        let (low, high) = Self::ramp(yarn, dim, theta);
        let stretched = plain.enumerate().map(|(i, f)| {
            let blend = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
            (f / yarn.factor * blend + f * (1.0 - blend)) as f32
        });
        let concentration = yarn.attention_factor.unwrap_or(0.1 * yarn.factor.ln() + 1.0) as f32;
        Self { inverse_frequencies: stretched.collect(), concentration }
    }

    /// Between which pairs the blend goes from "as it is" to "divided": where a pair turns `beta_fast` and
    /// `beta_slow` times within the original context. For gpt-oss 8.0928 and 17.3980.
    pub fn ramp(yarn: &Yarn, dim: f64, theta: f64) -> (f64, f64) {
        let pair = |turns: f64| dim * (yarn.original_context as f64 / (turns * TAU)).ln() / (2.0 * theta.ln());
        let (mut low, mut high) = (pair(yarn.beta_fast), pair(yarn.beta_slow));
        if yarn.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, high) = (low.max(0.0), high.min(dim - 1.0));
        if low == high { (low, high + 0.001) } else { (low, high) }
    }
    // ANCHOR_END: frequencies

    /// (D/2,), the angle between two neighbouring positions.
    pub fn inverse_frequencies(&self) -> &[f32] {
        &self.inverse_frequencies
    }

    /// What cos and sin are multiplied with.
    pub fn concentration(&self) -> f32 {
        self.concentration
    }

    // ANCHOR: tables
    /// cos and sin, (T, D/2) each, of the positions `start .. start + tokens`.
    pub fn tables(&self, start: usize, tokens: usize) -> (Array, Array) {
        // The angle is rounded to f32 before its cosine is taken, as PyTorch does: at position 100,000 that
        // rounding is the largest difference there is.
        let angles = (start..start + tokens)
            .flat_map(|position| self.inverse_frequencies.iter().map(move |f| f64::from(position as f32 * f)));
        let concentration = f64::from(self.concentration);
        let (sin, cos): (Vec<f32>, Vec<f32>) =
            angles.map(|angle| ((angle.sin() * concentration) as f32, (angle.cos() * concentration) as f32)).unzip();
        let shape = [tokens, self.inverse_frequencies.len()];
        (array(&shape, cos), array(&shape, sin))
    }
    // ANCHOR_END: tables
}
