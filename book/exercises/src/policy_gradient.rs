//! The policy gradient: advantages, the weight of each token, and the loss. The chapter: reinforcement.md.
//!
//! A weight is a constant by which −ln π of a token is multiplied in the loss. All numbers are finite.

/// What follows the prompt of a rollout. All three lists have a number per token, at least one. The model wrote at least one of
/// the tokens.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// The advantage.
    pub advantage: f32,
    /// Whether the model wrote the token. The other tokens are results of tools.
    pub own: Vec<bool>,
    /// ln π_old: the log-probability that the model gave the token when it wrote it. For results of tools, the number has no
    /// meaning.
    pub old: Vec<f32>,
    /// ln π: the log-probability that the model gives the token now. For results of tools, the number has no meaning.
    pub now: Vec<f32>,
}

/// Returns the advantages of a group of rollouts: each reward minus the mean of all. Returns `None` if all rewards are equal.
/// There is at least one reward.
pub fn advantages(rewards: &[f32]) -> Option<Vec<f32>> {
    todo!("the advantages of {} rollouts", rewards.len())
}

/// Returns the weight of each token in REINFORCE: A/N for a token that the model wrote, and 0 for the others. A is the advantage
/// of the rollout, and N is the number of tokens in all rollouts together that the model wrote.
pub fn weights(rollouts: &[Rollout]) -> Vec<Vec<f32>> {
    todo!("the weights of the tokens of {} rollouts", rollouts.len())
}

/// Returns the weight of each token in CISPO: min(ρ, 1 + ε)·A/N with the ratio ρ = π/π_old of the token, and 0 for tokens that
/// the model did not write. `clip` is ε.
pub fn cispo(rollouts: &[Rollout], clip: f32) -> Vec<Vec<f32>> {
    todo!("the weights of the tokens of {} rollouts, with ε = {clip}", rollouts.len())
}

/// Returns the weight of each token in GSPO: s·A/(|o|·R) for a token that the model wrote, and 0 for the others. |o| is the
/// number of tokens in the rollout that the model wrote, R is the number of rollouts, and s is e to the power of the mean of
/// ln ρ over the |o| tokens. `clip` is ε: all weights of the rollout are 0 if A > 0 and s > 1 + ε, or if A < 0 and s < 1 − ε.
pub fn gspo(rollouts: &[Rollout], clip: f32) -> Vec<Vec<f32>> {
    todo!("the weights of the tokens of {} rollouts, with ε = {clip}", rollouts.len())
}

/// Returns the loss Σ wₜ · (−ln p(targetₜ)), and its gradient with respect to the logits (T, V). `logits` has a row of V numbers
/// per target, and p is the softmax of a row. There is at least one target.
pub fn loss(logits: &[f32], targets: &[u32], weights: &[f32]) -> (f32, Vec<f32>) {
    todo!("the loss of {} targets with {} weights, from {} logits", targets.len(), weights.len(), logits.len())
}
