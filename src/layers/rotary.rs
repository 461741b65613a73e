//! Rotary positions: the angles of RoPE, and YaRN.
//!
//! Pair i of a head is rotated by position·θᵢ with θᵢ = θ^(−2i/D): the first pairs rotate fast, the last ones hardly at
//! all. YaRN extends a model trained on 4,096 positions to 131,072. Pairs that rotate often within the original context
//! keep their frequency, pairs that rotate less than once have it divided by 32, and the pairs between are blended. cos
//! and sin are multiplied by 0.1·ln 32 + 1, which sharpens attention.
//! Peng et al. 2023, <https://arxiv.org/abs/2309.00071>
//!
//! Book: [rotary](../../../../book/rotary.html)

use crate::config::{ModelConfig, Yarn};
use crate::tensor::{Array, array};
use std::f64::consts::TAU;

/// cos and sin of the angles of T positions. They already contain YaRN's concentration.
#[derive(Clone)]
pub struct Angles {
    /// (T, D/2)
    pub cos: Array,
    /// (T, D/2)
    pub sin: Array,
}

/// The inverse frequencies, from which the angles of any position follow.
#[derive(Clone)]
pub struct Rotary {
    inverse_frequencies: Vec<f32>, // (D/2,)
    concentration: f32,
}

// ANCHOR: frequencies
impl Rotary {
    /// Computes the frequencies of a configuration.
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

    /// Returns the two pair indices between which the blend goes from the original frequency to the divided one: the
    /// pairs that rotate `beta_fast` and `beta_slow` times within the original context. For gpt-oss 8.0928 and 17.3980.
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

    /// Returns the angle between two neighbouring positions, per pair. (D/2,)
    pub fn inverse_frequencies(&self) -> &[f32] {
        &self.inverse_frequencies
    }

    /// Returns the factor of cos and sin.
    pub fn concentration(&self) -> f32 {
        self.concentration
    }

    // ANCHOR: tables
    /// Returns the angles of T positions.
    pub fn angles(&self, positions: impl ExactSizeIterator<Item = usize>) -> Angles {
        let shape = [positions.len(), self.inverse_frequencies.len()];
        // The angle is rounded to f32 before its cosine is taken, as in PyTorch: at position 100,000 this rounding is
        // the largest error of all.
        let angles =
            positions.flat_map(|position| self.inverse_frequencies.iter().map(move |f| f64::from(position as f32 * f)));
        let concentration = f64::from(self.concentration);
        let (sin, cos): (Vec<f32>, Vec<f32>) =
            angles.map(|angle| ((angle.sin() * concentration) as f32, (angle.cos() * concentration) as f32)).unzip();
        Angles { cos: array(&shape, cos), sin: array(&shape, sin) }
    }
    // ANCHOR_END: tables
}
