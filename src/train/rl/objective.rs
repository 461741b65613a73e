//! The objective: how much more or less probable each token should become.
//!
//! Every variant has a loss whose gradient is that of a weighted cross-entropy, Σ wₜ · (−ln π(oₜ)), in which the weights are
//! constants. A is the advantage of a rollout, N the number of tokens of all rollouts that the model wrote, |o| that of one rollout,
//! M the number of rollouts, and ρ = π/π_old the ratio between the policy and the one that wrote the token.
//!
//! | objective | loss | wₜ |
//! |---|---|---|
//! | REINFORCE | −Σ A · ln π / N | A / N |
//! | CISPO | −Σ stop(min(ρ, 1 + ε)) · A · ln π / N | min(ρ, 1 + ε) · A / N |
//! | GSPO | −Σ over rollouts of min(s·A, clip(s, 1 − ε, 1 + ε)·A) / M, with s = e^(mean of ln ρ) | s·A / (\|o\|·M), or 0 where clipped |
//! | + β·KL | + β · Σ (q − ln q − 1) / N, with q = π_start/π | + β·(q − 1) / N |
//!
//! Group mean without σ, sum over tokens: Liu et al. 2025, Understanding R1-Zero-Like Training, <https://arxiv.org/abs/2503.20783>
//! (Dr. GRPO). CISPO: MiniMax 2025, <https://arxiv.org/abs/2506.13585>. GSPO: Zheng et al. 2025, <https://arxiv.org/abs/2507.18071>.
//! The estimator of KL: Schulman 2020, <http://joschu.net/blog/kl-approx.html>
//!
//! Book: [reinforcement](../../../../../book/reinforcement.html)

use serde::{Deserialize, Serialize};

/// The objective of reinforcement learning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// REINFORCE with the mean of the group as its baseline.
    Reinforce,
    /// Weights of importance per token, clipped from above at 1 + ε.
    Cispo {
        /// ε
        clip: f32,
    },
    /// Weights of importance per rollout; a rollout beyond 1 ± ε no longer counts.
    Gspo {
        /// ε
        clip: f32,
    },
}

// ANCHOR: advantages
/// Returns the advantages of a group of rollouts of the same question: reward minus mean. `None` if all rewards are equal, because
/// then the group teaches nothing.
///
/// # Panics
/// If the group is empty.
pub fn advantages(rewards: &[f32]) -> Option<Vec<f32>> {
    assert!(!rewards.is_empty(), "a group has rollouts");
    if rewards.iter().all(|reward| *reward == rewards[0]) {
        return None;
    }
    let mean = rewards.iter().map(|&reward| f64::from(reward)).sum::<f64>() / rewards.len() as f64;
    Some(rewards.iter().map(|&reward| (f64::from(reward) - mean) as f32).collect())
}
// ANCHOR_END: advantages

/// The tokens of a rollout that the model wrote, and how probable they are.
#[derive(Debug, Clone, Copy)]
pub struct Written<'r> {
    /// The advantage of the rollout.
    pub advantage: f32,
    /// ln π_old of each token: that of the policy that wrote it.
    pub old: &'r [f32],
    /// ln π of each token now.
    pub now: &'r [f32],
    /// ln π_start of each token, if the policy is kept near the model with which it started.
    pub start: Option<&'r [f32]>,
}

/// What the sums are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// N, the tokens of all rollouts.
    pub tokens: usize,
    /// M, the rollouts.
    pub rollouts: usize,
}

impl Objective {
    // ANCHOR: weights
    /// Returns the weight of each token of a rollout. `kl` is β.
    pub fn weights(self, rollout: Written, kl: f32, of: Counts) -> Vec<f32> {
        let Written { advantage, old, now, start } = rollout;
        let (tokens, rollouts) = (of.tokens as f32, of.rollouts as f32);
        let length = old.len() as f32;
        let log_ratio = |t: usize| now[t] - old[t];
        let sequence_ratio = ((0..old.len()).map(log_ratio).sum::<f32>() / length).exp();
        let weight = |t: usize| {
            let policy = match self {
                Objective::Reinforce => advantage / tokens,
                Objective::Cispo { clip } => log_ratio(t).exp().min(1.0 + clip) * advantage / tokens,
                Objective::Gspo { clip } => {
                    let s = sequence_ratio;
                    let beyond = if advantage > 0.0 { s > 1.0 + clip } else { s < 1.0 - clip };
                    if beyond { 0.0 } else { s * advantage / (length * rollouts) }
                }
            };
            let pull = start.map_or(0.0, |start| kl * ((start[t] - now[t]).exp() - 1.0) / tokens);
            policy + pull
        };
        (0..old.len()).map(weight).collect()
    }
    // ANCHOR_END: weights

    /// Returns whether the weights depend on what the policy is now, and not only on the rewards.
    pub fn needs_ratio(self) -> bool {
        self != Objective::Reinforce
    }
}
