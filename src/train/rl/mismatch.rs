//! The mismatch between the sampler and the trainer: how differently they see the same tokens.
//!
//! Rollouts are drawn by a program that is made for speed, and learned by one that is made for training. Elsewhere these are two
//! engines with different kernels and number formats. Then the policy that wrote a token is not the one that is trained.
//!
//! Book: [reinforcement](../../../../../book/reinforcement.html)

use super::policy::PackedRollouts;
use crate::layers::Layer;
use crate::model::Transformer;
use serde::{Deserialize, Serialize};

/// How far the trainer is from the sampler, over the tokens that the model wrote.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Mismatch {
    /// The mean of |ln π − ln π_sampler| per token.
    pub mean: f64,
    /// The largest of these.
    pub largest: f32,
    /// The mean of ρ − ln ρ − 1 with ρ = π/π_sampler: an estimate of the Kullback–Leibler divergence from the sampler in nats per
    /// token.
    pub divergence: f64,
    /// The share of tokens that visit other experts in the trainer than in the sampler, layer by layer, if the sampler recorded them.
    pub other_experts: Vec<f64>,
    /// The number of compared tokens.
    pub tokens: usize,
}

/// Compares what a model makes of rollouts with what the sampler that wrote them did. What the trainer does includes the replay of
/// experts, if the batches have it.
pub fn mismatch(model: &Transformer, batches: &[PackedRollouts]) -> Mismatch {
    let (model, active) = (model.detached(), model.config.experts_per_token);
    let mut found = Mismatch::default();
    let (mut visited, mut other): (usize, Vec<usize>) = (0, Vec::new());
    for batch in batches {
        let output = batch.forward(&model);
        for (rollout, now) in batch.rollouts().iter().zip(batch.log_probabilities(&model, &output)) {
            for (now, old) in now.iter().zip(rollout.own_log_probabilities()) {
                let log_ratio = now - old;
                found.mean += f64::from(log_ratio.abs());
                found.largest = found.largest.max(log_ratio.abs());
                found.divergence += f64::from(log_ratio).exp() - f64::from(log_ratio) - 1.0;
                found.tokens += 1;
            }
        }
        other.resize(output.routing.len(), 0);
        let recorded = batch.routing();
        visited += recorded.len();
        for (layer, routing) in output.routing.iter().enumerate() {
            let chosen = routing.chosen.chunks(active);
            let of_sampler = recorded.iter().map(|experts| &experts[layer * active..][..active]);
            other[layer] += chosen.zip(of_sampler).filter(|(now, then)| sorted(now) != sorted(then)).count();
        }
    }
    let tokens = found.tokens.max(1) as f64;
    let other_experts = other.iter().filter(|_| visited > 0).map(|&n| n as f64 / visited as f64).collect();
    Mismatch { mean: found.mean / tokens, divergence: found.divergence / tokens, other_experts, ..found }
}

/// Returns the experts of a token in the order of their numbers.
fn sorted(experts: &[u32]) -> Vec<u32> {
    let mut sorted = experts.to_vec();
    sorted.sort_unstable();
    sorted
}
