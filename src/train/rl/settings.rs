//! The settings of reinforcement learning.

use super::objective::Objective;
use super::reward::{Format, Price, Reward, RightAnswer};
use crate::error::{Error, Result};
use crate::harmony::SystemContent;
use crate::train::DataPath;
use serde::{Deserialize, Serialize};

/// Everything that reinforcement learning adds to the settings of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reinforcement {
    /// The built-in task `arithmetic`, or a file of questions.
    pub task: DataPath,
    /// The system message of questions from a file.
    pub system: SystemContent,
    /// Rollouts per question.
    pub samples: usize,
    /// The most tokens that the model may write in a rollout.
    pub longest: usize,
    /// What is maximized.
    pub objective: Objective,
    /// β: how strongly the policy is pulled towards the model with which it started.
    pub kl: f32,
    /// Optimizer steps per batch of rollouts; each uses a part of the questions.
    pub updates: usize,
    /// The reward for a reply in the right format.
    pub format: f32,
    /// The price of a token.
    pub price: Price,
    /// Whether rollouts are drawn with weights and inputs rounded to int8, to be faster.
    pub fast_rollouts: bool,
    /// Whether tokens visit in the trainer the experts that they visited when they were drawn.
    pub replay: bool,
    /// Held-out questions that an evaluation asks, at each effort.
    pub measured: usize,
}

impl Default for Reinforcement {
    fn default() -> Self {
        Self {
            task: "arithmetic".into(),
            system: SystemContent::default(),
            samples: 8,
            longest: 256,
            objective: Objective::Reinforce,
            kl: 0.0,
            updates: 1,
            format: 0.0,
            price: Price::default(),
            fast_rollouts: false,
            replay: false,
            measured: 100,
        }
    }
}

impl Reinforcement {
    /// Returns the rewards.
    pub fn rewards(&self) -> Vec<Box<dyn Reward>> {
        vec![Box::new(RightAnswer), Box::new(Format(self.format)), Box::new(self.price)]
    }

    /// Checks that every number is in its range. A message names the setting as the flag of `ossia train`.
    ///
    /// # Errors
    /// The first number that is not.
    pub fn check(&self) -> Result<()> {
        let clip = match self.objective {
            Objective::Reinforce => 0.2,
            Objective::Cispo { clip } | Objective::Gspo { clip } => clip,
        };
        let Price { low, medium, high } = self.price;
        let prices = [low, medium, high];
        let checks = [
            (
                "samples",
                self.samples as f32,
                self.samples >= 2,
                "at least 2: the others of a group are the measure of each",
            ),
            ("longest", self.longest as f32, self.longest > 0, "at least 1"),
            ("clip-ratio", clip, clip > 0.0, "more than 0"),
            ("kl", self.kl, self.kl >= 0.0, "0 or more"),
            ("updates", self.updates as f32, (1..=1024).contains(&self.updates), "1 to 1024"),
            ("format-reward", self.format, self.format >= 0.0, "0 or more"),
            ("price", prices.into_iter().fold(0.0, f32::min), prices.iter().all(|price| *price >= 0.0), "0 or more"),
            ("price", prices.into_iter().sum(), true, "a finite number"),
            ("questions", self.measured as f32, self.measured > 0, "at least 1"),
        ];
        match checks.iter().find(|(_, value, in_range, _)| !in_range || !value.is_finite()) {
            Some((flag, value, _, expected)) => Err(Error::argument(format!("--{flag} {value}: expected {expected}"))),
            None => Ok(()),
        }
    }
}
