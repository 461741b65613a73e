//! Rewards: what a rollout is worth.
//!
//! Book: [reinforcement](../../../../../book/reinforcement.html)

use crate::error::{Error, Result};
use crate::harmony::Effort;
use crate::tasks::{Problem, Rollout};
use serde::{Deserialize, Serialize};

/// Says what a rollout is worth. The rewards of several are added.
pub trait Reward {
    /// The name, for messages.
    fn name(&self) -> &'static str;

    /// Returns the reward of a rollout.
    fn reward(&self, problem: &Problem, rollout: &Rollout) -> f32;
}

// ANCHOR: rewards
/// 1 for a right answer, 0 for a wrong one or none.
pub struct RightAnswer;

impl Reward for RightAnswer {
    fn name(&self) -> &'static str {
        "answer right"
    }
    fn reward(&self, problem: &Problem, rollout: &Rollout) -> f32 {
        if problem.answer.accepts(&rollout.answer()) { 1.0 } else { 0.0 }
    }
}

/// So much for a reply that ends by itself and follows the harmony format.
pub struct Format(pub f32);

impl Reward for Format {
    fn name(&self) -> &'static str {
        "format"
    }
    fn reward(&self, _: &Problem, rollout: &Rollout) -> f32 {
        if rollout.well_formed { self.0 } else { 0.0 }
    }
}

/// The price of each token that the model writes, which depends on the effort: thinking is cheap if much of it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Price {
    /// At low effort.
    pub low: f32,
    /// At medium effort.
    pub medium: f32,
    /// At high effort.
    pub high: f32,
}

impl Reward for Price {
    fn name(&self) -> &'static str {
        "price per token"
    }
    fn reward(&self, problem: &Problem, rollout: &Rollout) -> f32 {
        -self.of(problem.effort) * rollout.length() as f32
    }
}
// ANCHOR_END: rewards

impl Price {
    /// Returns the price of a token at an effort.
    pub fn of(&self, effort: Effort) -> f32 {
        match effort {
            Effort::Low => self.low,
            Effort::Medium => self.medium,
            Effort::High => self.high,
        }
    }
}

/// Returns the sum of the rewards of a rollout.
///
/// # Errors
/// If a reward is not a finite number.
pub fn total(rewards: &[Box<dyn Reward>], problem: &Problem, rollout: &Rollout) -> Result<f32> {
    let mut sum = 0.0;
    for reward in rewards {
        let value = reward.reward(problem, rollout);
        if !value.is_finite() {
            return Err(Error::argument(format!(
                "the reward \"{}\" is {value}; expected a finite number",
                reward.name()
            )));
        }
        sum += value;
    }
    Ok(sum)
}
