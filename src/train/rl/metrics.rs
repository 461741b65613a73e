//! What is measured in reinforcement learning, one line of `metrics.jsonl` per step.

use super::mismatch::Mismatch;
use crate::harmony::Effort;
use crate::tasks::{Problem, Rollout};
use crate::train::metrics::Logged;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// The rollouts of one effort.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The number of rollouts.
    pub rollouts: usize,
    /// Those whose answer is right.
    pub right: usize,
    /// Those that are well-formed.
    pub well_formed: usize,
    /// The tokens that the model wrote in all of them.
    pub tokens: usize,
    /// The sum of their rewards.
    pub reward: f64,
}

impl Tally {
    /// Counts one rollout.
    pub fn of(problem: &Problem, rollout: &Rollout, reward: f32) -> Self {
        Self {
            rollouts: 1,
            right: usize::from(problem.answer.accepts(&rollout.answer())),
            well_formed: usize::from(rollout.well_formed),
            tokens: rollout.length(),
            reward: reward.into(),
        }
    }

    /// Returns the share of right answers.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.rollouts.max(1) as f64
    }

    /// Returns the mean length of a rollout in tokens.
    pub fn length(&self) -> f64 {
        self.tokens as f64 / self.rollouts.max(1) as f64
    }

    /// Returns the mean reward.
    pub fn mean_reward(&self) -> f64 {
        self.reward / self.rollouts.max(1) as f64
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.rollouts += other.rollouts;
        self.right += other.right;
        self.well_formed += other.well_formed;
        self.tokens += other.tokens;
        self.reward += other.reward;
    }
}

/// The rollouts of each effort.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ByEffort {
    /// At low effort.
    pub low: Tally,
    /// At medium effort.
    pub medium: Tally,
    /// At high effort.
    pub high: Tally,
}

impl ByEffort {
    /// Adds a rollout.
    pub fn add(&mut self, effort: Effort, tally: Tally) {
        *match effort {
            Effort::Low => &mut self.low,
            Effort::Medium => &mut self.medium,
            Effort::High => &mut self.high,
        } += tally;
    }

    /// Returns the three, from low to high.
    pub fn all(&self) -> [Tally; 3] {
        [self.low, self.medium, self.high]
    }

    /// Returns the sum of the three.
    pub fn total(&self) -> Tally {
        let mut sum = Tally::default();
        self.all().into_iter().for_each(|tally| sum += tally);
        sum
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RlMetrics {
    /// The step, counted from 1: one batch of rollouts.
    pub step: u64,
    /// The rollouts of the step.
    pub rollouts: ByEffort,
    /// The number of groups whose rewards are all equal, which teach nothing.
    pub skipped: usize,
    /// The loss of the last update.
    pub loss: f32,
    /// The learning rate.
    pub lr: f64,
    /// The norm of the gradient of the last update, before clipping; 0 if there was none.
    pub grad_norm: f64,
    /// How far the trainer is from the sampler, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
    /// Answers to held-out questions, if they were asked: before the first step, and after some others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<ByEffort>,
}

impl Logged for RlMetrics {
    fn step(&self) -> u64 {
        self.step
    }
}
