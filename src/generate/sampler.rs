//! One token out of V logits.       Book: sampling.md
//!
//! In this order, as in transformers: repetition penalty, temperature, top-k, top-p, min-p, then a draw.

use crate::kernels;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// How to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the most probable token.
    pub temperature: f32,
    /// Only the k most probable; 0 for all.
    pub top_k: usize,
    /// Only the most probable ones that together reach this probability; 1 for all.
    /// Holtzman et al. 2020, <https://arxiv.org/abs/1904.09751>
    pub top_p: f32,
    /// Only those at least this share of the most probable one; 0 for all.
    /// Nguyen et al. 2024, <https://arxiv.org/abs/2407.01082>
    pub min_p: f32,
    /// Logits of tokens that already stand in the text are divided by it (multiplied where negative); 1 for none.
    /// Keskar et al. 2019, <https://arxiv.org/abs/1909.05858>
    pub repetition_penalty: f32,
    /// Seeds the draws.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0 }
    }
}

/// Draws tokens.
pub struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// The same sampling draws the same tokens from the same logits.
    pub fn new(sampling: Sampling) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(sampling.seed), sampling }
    }

    // ANCHOR: sample
    /// A token, given the logits (V,) and the text so far.
    pub fn sample(&mut self, logits: &[f32], text: &[u32]) -> u32 {
        let candidates = distribution(logits, text, &self.sampling);
        // In f64: beside a draw near 1, an f32 would not see the many tokens that are less probable than 10⁻⁷.
        let mut draw = self.rng.random::<f64>() * candidates.iter().map(|&(_, p)| f64::from(p)).sum::<f64>();
        for &(token, p) in &candidates {
            draw -= f64::from(p);
            if draw < 0.0 {
                return token;
            }
        }
        // Rounding left a crumb: the most probable one takes it.
        candidates.into_iter().min_by(most_probable_first).map_or(0, |(token, _)| token)
    }
    // ANCHOR_END: sample
}

// ANCHOR: distribution
/// The tokens that may be drawn, with their probabilities (before they are scaled to sum to 1); most probable first
/// where `top_p` needs that.
pub fn distribution(logits: &[f32], text: &[u32], sampling: &Sampling) -> Vec<(u32, f32)> {
    // What is not a number is never drawn.
    let mut logits: Vec<f32> = logits.iter().map(|z| if z.is_nan() { f32::NEG_INFINITY } else { *z }).collect();
    penalize(&mut logits, text, sampling.repetition_penalty);
    let best = (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
    let largest = logits[best];
    // An infinity leaves nothing to divide; it wins, as the highest does at temperature 0.
    if sampling.temperature == 0.0 || !largest.is_finite() {
        return vec![(best as u32, 1.0)];
    }
    let mut candidates: Vec<(u32, f32)> = (0..).zip(logits).collect();
    if (1..candidates.len()).contains(&sampling.top_k) {
        candidates.select_nth_unstable_by(sampling.top_k - 1, most_probable_first);
        candidates.truncate(sampling.top_k);
    }
    let mut p: Vec<f32> = candidates.iter().map(|&(_, z)| (z - largest) / sampling.temperature).collect();
    let total = kernels::exp_sum(&mut p, 0.0);
    candidates.iter_mut().zip(p).for_each(|((_, z), p)| *z = p / total);
    if sampling.top_p < 1.0 {
        // Those below have less than 1 − top_p together: the others reach top_p without them, and are few to sort.
        let least = (1.0 - sampling.top_p) / candidates.len() as f32;
        candidates.retain(|&(_, p)| p >= least);
        candidates.sort_unstable_by(most_probable_first);
        let mut before = 0.0;
        let reached = candidates.iter().position(|&(_, p)| {
            before += p;
            before >= sampling.top_p
        });
        candidates.truncate(reached.map_or(candidates.len(), |last| last + 1));
    }
    candidates.retain(|&(_, p)| p >= sampling.min_p / total);
    candidates
}
// ANCHOR_END: distribution

/// Of equal ones the lower id comes first.
fn most_probable_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

// ANCHOR: penalize
fn penalize(logits: &mut [f32], text: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let seen: std::collections::HashSet<u32> = text.iter().copied().collect();
    for token in seen {
        // A prompt may hold an id that is not to be drawn.
        if let Some(z) = logits.get_mut(token as usize) {
            *z = if *z > 0.0 { *z / penalty } else { *z * penalty };
        }
    }
}
// ANCHOR_END: penalize
