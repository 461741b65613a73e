//! Reinforcement learning: a model answers questions, and answers that earn more than others become more probable.
//!
//! Book: [reinforcement](../../../../../book/reinforcement.html)

use super::metrics::{ByEffort, RlMetrics, Tally};
use super::mismatch::{Mismatch, mismatch};
use super::objective::{Counts, Written, advantages};
use super::policy::{PackedRollouts, gradients, log_probabilities};
use super::reward::total;
use super::settings::Reinforcement;
use crate::error::{Error, Result};
use crate::harmony::Harmony;
use crate::layers::{Layer, qat};
use crate::model::Transformer;
use crate::tasks::{Problem, Rollout, Rollouts, Task, Tools};
use crate::tokenizer::Tokenizer;
use crate::train::{Optimizer, Settings};

/// A model that learns from rewards.
pub struct Learner<'t> {
    /// The model: the policy.
    pub model: Transformer,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The settings that all runs have. `batch_size` is the number of questions of a step.
    pub settings: Settings,
    /// The settings of reinforcement learning.
    pub rl: Reinforcement,
    /// The questions.
    pub task: Task,
    /// The tokenizer.
    pub tokenizer: &'t Tokenizer,
    /// The model with which learning started, if the policy is pulled towards it.
    pub start: Option<Transformer>,
    /// Makes the tools of a rollout.
    pub tools: &'t dyn Fn() -> Tools,
    /// The number of steps that were taken.
    pub step: u64,
}

/// A rollout to learn from.
struct Lesson<'r> {
    rollout: &'r Rollout,
    advantage: f32,
    old: Vec<f32>, // ln π_old of the tokens that the model wrote
}

impl Learner<'_> {
    // ANCHOR: step
    /// Takes a step: draws rollouts of some questions, and learns from them.
    ///
    /// # Errors
    /// If a question does not fit in the context, a reward is not a number, or a gradient is not finite.
    pub fn take_step(&mut self) -> Result<RlMetrics> {
        let first = self.step * self.settings.batch_size as u64;
        let questions = first..first + self.settings.batch_size as u64;
        let problems: Vec<Problem> = questions.map(|i| self.task.problem(self.settings.seed, i, false)).collect();
        let groups = self.draw(&problems, self.rl.samples, self.settings.seed.rotate_left(32) ^ self.step)?;

        let (rewards, mut tallies) = (self.rl.rewards(), ByEffort::default());
        let (mut lessons, mut skipped) = (Vec::new(), 0);
        for (problem, group) in problems.iter().zip(&groups) {
            let earned = group.iter().map(|rollout| total(&rewards, problem, rollout)).collect::<Result<Vec<f32>>>()?;
            for (rollout, reward) in group.iter().zip(&earned) {
                tallies.add(problem.effort, Tally::of(problem, rollout, *reward));
            }
            match advantages(&earned) {
                None => skipped += 1,
                Some(advantages) => lessons.extend(group.iter().zip(advantages).map(|(rollout, advantage)| Lesson {
                    rollout,
                    advantage,
                    old: rollout.own_log_probabilities(),
                })),
            }
        }

        let lr = self.settings.learning_rate(self.step + 1);
        let found = self.rl.fast_rollouts.then(|| self.compare(&groups));
        let (mut loss, mut grad_norm) = (0.0, 0.0);
        for part in lessons.chunks(lessons.len().div_ceil(self.rl.updates).max(1)) {
            (loss, grad_norm) = self.update(part, lr)?;
        }
        self.step += 1;
        Ok(RlMetrics {
            step: self.step,
            rollouts: tallies,
            skipped,
            loss,
            lr,
            grad_norm,
            mismatch: found,
            held_out: None,
        })
    }
    // ANCHOR_END: step

    /// Returns the model that draws rollouts: with `--qat`, the one that is quantized; with `--fast-rollouts`, the one that rounds
    /// to int8.
    fn sampler(&self) -> Transformer {
        let mut sampler = match self.settings.qat {
            Some(_) => qat::quantized(&self.model),
            None => self.model.frozen(),
        };
        if self.rl.fast_rollouts {
            sampler.parameters_mut().into_iter().for_each(|parameter| parameter.make_fast());
        }
        sampler
    }

    /// Draws rollouts of some problems.
    fn draw(&self, problems: &[Problem], samples: usize, seed: u64) -> Result<Vec<Vec<Rollout>>> {
        let rollouts = Rollouts {
            harmony: Harmony::new(self.tokenizer)?,
            longest: self.rl.longest,
            temperature: 1.0,
            tools: self.tools,
            record_routing: self.rl.replay || self.rl.fast_rollouts,
        };
        rollouts.draw(&self.sampler(), problems, samples, seed)
    }

    // ANCHOR: update
    /// Takes an optimizer step on some rollouts. Returns the loss, and the norm of the gradient.
    fn update(&mut self, lessons: &[Lesson], lr: f64) -> Result<(f32, f64)> {
        let rollouts: Vec<&Rollout> = lessons.iter().map(|lesson| lesson.rollout).collect();
        let batches = PackedRollouts::all(&rollouts, &self.model, self.rl.replay);
        let start = self.start.as_ref().map(|start| log_probabilities(start, &batches));
        let changed = self.rl.objective.needs_ratio() || start.is_some();
        let now = changed.then(|| log_probabilities(&self.model, &batches));
        let counts = Counts { tokens: lessons.iter().map(|lesson| lesson.old.len()).sum(), rollouts: lessons.len() };
        let weights_of = |(i, lesson): (usize, &Lesson)| {
            let now = now.as_ref().map_or(&lesson.old, |now| &now[i]);
            let start = start.as_ref().map(|start| &start[i][..]);
            let written = Written { advantage: lesson.advantage, old: &lesson.old, now, start };
            self.rl.objective.weights(written, self.rl.kl, counts)
        };
        let weights: Vec<Vec<f32>> = lessons.iter().enumerate().map(weights_of).collect();
        let (loss, gradients) = gradients(&self.model, &batches, &weights);
        if !loss.is_finite() {
            return Err(Error::NotFinite { step: self.step + 1, tensor: "the loss".into() });
        }
        let norm = self.optimizer.step(self.model.parameters_mut(), &gradients, lr)?;
        Ok((loss, norm))
    }
    // ANCHOR_END: update

    /// Measures how far the trainer is from the sampler.
    fn compare(&self, groups: &[Vec<Rollout>]) -> Mismatch {
        let rollouts: Vec<&Rollout> = groups.iter().flatten().collect();
        mismatch(&self.model, &PackedRollouts::all(&rollouts, &self.model, self.rl.replay))
    }

    /// Answers held-out questions, at temperature 1 as the rollouts: this is the policy that learns.
    ///
    /// # Errors
    /// If a question does not fit in the context.
    pub fn evaluate(&self) -> Result<ByEffort> {
        let problems: Vec<Problem> =
            (0..3 * self.rl.measured as u64).map(|i| self.task.problem(HELD_OUT_SEED, i, true)).collect();
        let groups = self.draw(&problems, 1, HELD_OUT_SEED)?;
        let rewards = self.rl.rewards();
        let mut tallies = ByEffort::default();
        for (problem, rollout) in problems.iter().zip(groups.iter().flatten()) {
            tallies.add(problem.effort, Tally::of(problem, rollout, total(&rewards, problem, rollout)?));
        }
        Ok(tallies)
    }
}

/// The seed of the held-out questions, which are the same in every run.
const HELD_OUT_SEED: u64 = u64::MAX;
