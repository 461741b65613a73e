//! Sampling: draws one token from V logits.
//!
//! The steps are in the order of transformers: repetition penalty, temperature, top-k, top-p, min-p, then a draw.
//!
//! Book: [sampling](../../../../book/sampling.html)

use crate::kernels;
use crate::tokenizer::Tokenizer;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;

/// The settings of sampling.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Logits are divided by this number; 0 takes the most probable token.
    pub temperature: f32,
    /// Only the k most probable tokens may be drawn; 0 for all.
    pub top_k: usize,
    /// Only the most probable tokens that together reach this probability may be drawn; 1 for all.
    /// Holtzman et al. 2020, <https://arxiv.org/abs/1904.09751>
    pub top_p: f32,
    /// Only tokens with at least this share of the probability of the most probable one may be drawn; 0 for all.
    /// Nguyen et al. 2024, <https://arxiv.org/abs/2407.01082>
    pub min_p: f32,
    /// Logits of tokens that the text already has are divided by this number, or multiplied if they are negative; 1 for no
    /// penalty. Keskar et al. 2019, <https://arxiv.org/abs/1909.05858>
    pub repetition_penalty: f32,
    /// Only ids below this number may be drawn: the size of the tokenizer. `None`: all of the model. A model may have more
    /// rows than its tokenizer has tokens (gpt-oss has 201,088 rows for 200,019 tokens). No text belongs to the other rows,
    /// and training makes them improbable but not impossible.
    pub vocabulary: Option<usize>,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, vocabulary: None, seed: 0 }
    }
}

impl Sampling {
    /// Returns the same settings, limited to the tokens of a tokenizer.
    #[must_use]
    pub fn within(self, tokenizer: &Tokenizer) -> Self {
        Self { vocabulary: Some(tokenizer.vocab_size()), ..self }
    }
}

/// Draws tokens, and remembers which ones the text has, for the repetition penalty.
pub struct Sampler {
    sampling: Sampling,
    seen: HashSet<u32>,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// Creates a sampler. The same sampling draws the same tokens from the same logits.
    pub fn new(sampling: Sampling) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(sampling.seed), seen: HashSet::new(), sampling }
    }

    /// Takes note of a token of the text.
    pub fn see(&mut self, token: u32) {
        self.seen.insert(token);
    }

    /// Takes note of a new text that replaces the old one.
    pub fn restart(&mut self, text: &[u32]) {
        self.seen = text.iter().copied().collect();
    }

    /// Returns the ids of `logits` that may be drawn: those of the tokenizer.
    fn drawable<'l>(&self, logits: &'l [f32]) -> &'l [f32] {
        &logits[..self.sampling.vocabulary.unwrap_or(logits.len()).clamp(1, logits.len())]
    }

    /// Returns the tokens that may be drawn after logits (V,), and their probabilities before these are scaled to sum to 1.
    fn candidates(&self, logits: &[f32]) -> Vec<(u32, f32)> {
        let logits = self.drawable(logits);
        if self.sampling.repetition_penalty == 1.0 {
            return distribution(logits, &self.sampling);
        }
        let mut logits = logits.to_vec();
        penalize(&mut logits, &self.seen, self.sampling.repetition_penalty);
        distribution(&logits, &self.sampling)
    }

    /// Returns the probability with which each token is drawn after logits (V,). (V,)
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f64> {
        let (candidates, mut p) = (self.candidates(logits), vec![0.0; logits.len()]);
        let total: f64 = candidates.iter().map(|&(_, p)| f64::from(p)).sum();
        candidates.into_iter().for_each(|(token, x)| p[token as usize] = f64::from(x) / total);
        p
    }

    /// Draws a number from 0 to 1, without 1.
    pub fn uniform(&mut self) -> f64 {
        self.rng.random()
    }

    // ANCHOR: sample
    /// Draws a token from the logits (V,).
    pub fn sample(&mut self, logits: &[f32]) -> u32 {
        let candidates = self.candidates(logits);
        // In f64, because an f32 near 1 cannot resolve the many tokens that are less probable than 10⁻⁷.
        let mut draw = self.rng.random::<f64>() * candidates.iter().map(|&(_, p)| f64::from(p)).sum::<f64>();
        for &(token, p) in &candidates {
            draw -= f64::from(p);
            if draw < 0.0 {
                return token;
            }
        }
        // Rounding left a remainder, which goes to the most probable token.
        candidates.into_iter().min_by(most_probable_first).map_or(0, |(token, _)| token)
    }
    // ANCHOR_END: sample
}

// ANCHOR: distribution
/// Returns the tokens that may be drawn, with their probabilities before these are scaled to sum to 1. They are sorted, the
/// most probable first, if `top_p` needs that. The repetition penalty is already in the logits.
pub fn distribution(logits: &[f32], sampling: &Sampling) -> Vec<(u32, f32)> {
    // A token whose logit is NaN is never drawn.
    let logits: Vec<f32> = logits.iter().map(|z| if z.is_nan() { f32::NEG_INFINITY } else { *z }).collect();
    let best = (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
    let largest = logits[best];
    // An infinite logit wins, as the largest does at temperature 0.
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
        // Tokens below this have less than 1 − top_p together, so the others reach top_p without them and are few to sort.
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

/// Orders the most probable token first. If two are equally probable, the lower id comes first.
fn most_probable_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

// ANCHOR: penalize
/// Applies the repetition penalty to the logits of the tokens that the text already has.
pub fn penalize(logits: &mut [f32], seen: &HashSet<u32>, penalty: f32) {
    for &token in seen {
        // A prompt may have an id that is not to be drawn.
        if let Some(z) = logits.get_mut(token as usize) {
            *z = if *z > 0.0 { *z / penalty } else { *z * penalty };
        }
    }
}
// ANCHOR_END: penalize
