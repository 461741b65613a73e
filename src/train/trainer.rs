//! The training loop.       Book: training.md

use super::adamw::{AdamW, Hyperparameters};
use super::evaluate::{Evaluation, EvaluationSet, evaluate};
use super::metrics::Metrics;
use super::schedule::Schedule;
use crate::data::Batches;
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::model::Transformer;
use crate::ops::elementwise::scale;
use crate::tensor::Gradients;
use serde::{Deserialize, Serialize};
use std::time::Instant;

// What data calls "does not count" is what the loss ignores.
const _: () = assert!(crate::data::IGNORE == crate::ops::cross_entropy::IGNORE);

/// Everything that decides how a run goes, apart from the model and the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How many optimizer steps the run has.
    pub steps: u64,
    /// Windows in a micro-batch.
    pub batch_size: usize,
    /// Tokens in a window.
    pub context: usize,
    /// Micro-batches whose gradients are averaged into one step.
    pub accumulate: usize,
    /// The peak.
    pub learning_rate: f64,
    /// Steps of linear increase.
    pub warmup: u64,
    /// What follows.
    pub schedule: Schedule,
    /// The optimizer's own.
    pub adamw: Hyperparameters,
    /// Seeds the parameters, and the order of the windows.
    pub seed: u64,
    /// Log every so many steps.
    pub log_every: u64,
    /// Evaluate, and show samples, every so many steps, and after the last.
    pub eval_every: u64,
    /// Save every so many steps, and after the last.
    pub save_every: u64,
}

/// Is told what happens in a run.
pub trait Monitor {
    /// A step was taken. `metrics` is there every [`Settings::log_every`] steps.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn stepped(&mut self, trainer: &Trainer, loss: f32, metrics: Option<&Metrics>) -> Result<()>;

    /// The model was measured; `best` if never better before.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn evaluated(&mut self, trainer: &Trainer, evaluation: &Evaluation, best: bool) -> Result<()>;

    /// It is time to save: now and then, after the last step, and when the run is interrupted.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn save(&mut self, trainer: &Trainer) -> Result<()>;

    /// Whether somebody asked to stop.
    fn interrupted(&self) -> bool;
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were taken.
    Finished,
    /// The monitor was interrupted; everything is saved.
    Interrupted,
}

/// A model in training.
pub struct Trainer {
    /// The model.
    pub model: Transformer,
    /// How it is trained.
    pub settings: Settings,
    /// Its moments and step count.
    pub optimizer: AdamW,
    /// The training text.
    pub batches: Batches,
    /// The validation text.
    pub evaluation: Option<EvaluationSet>,
    /// The lowest validation loss so far.
    pub best_loss: Option<f64>,
}

/// What one step found out.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Mean cross-entropy of the micro-batches, nats per token.
    pub loss: f32,
    /// Mean of their load-balancing losses.
    pub load_balancing: f32,
    /// Length of the gradient before clipping.
    pub grad_norm: f64,
    /// The learning rate.
    pub lr: f64,
    /// Visits per expert.
    pub expert_load: Vec<usize>,
}

impl Trainer {
    /// A run at its start.
    pub fn new(model: Transformer, settings: Settings, batches: Batches, evaluation: Option<EvaluationSet>) -> Self {
        let optimizer = AdamW::new(settings.adamw.clone(), &model.parameters());
        Self { model, settings, optimizer, batches, evaluation, best_loss: None }
    }

    /// Steps taken.
    pub fn step_count(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Tokens in one step.
    pub fn tokens_per_step(&self) -> usize {
        self.settings.batch_size * self.settings.context * self.settings.accumulate
    }

    // ANCHOR: step
    /// One optimizer step over `accumulate` micro-batches.
    ///
    /// # Errors
    /// [`Error::NotFinite`], with the model as it was.
    pub fn step(&mut self) -> Result<StepReport> {
        let step = self.step_count() + 1;
        let share = 1.0 / self.settings.accumulate as f32;
        let mut gradients = Gradients::default();
        let (mut loss_sum, mut balance_sum) = (0.0, 0.0);
        let mut expert_load = vec![0; self.model.config.experts];
        for _ in 0..self.settings.accumulate {
            let batch = self.batches.next_batch();
            let targets: Vec<u32> = batch.targets.iter().copied().collect();
            let output = self.model.forward(batch.inputs.view(), None);
            let loss = self.model.loss(&output, &targets);
            if !loss.total.item().is_finite() {
                return Err(Error::NotFinite { step, tensor: "the loss".into() });
            }
            drop(output);
            gradients.accumulate(scale(&loss.total, share).backward());
            loss_sum += loss.cross_entropy;
            balance_sum += loss.load_balancing;
            loss.expert_load.iter().zip(&mut expert_load).for_each(|(visits, total)| *total += visits);
        }
        let Settings { steps, warmup, learning_rate, schedule, .. } = self.settings;
        let lr = schedule.learning_rate(step, steps, warmup, learning_rate);
        let grad_norm = self.optimizer.step(self.model.parameters_mut(), &gradients, lr)?;
        Ok(StepReport { loss: loss_sum * share, load_balancing: balance_sum * share, grad_norm, lr, expert_load })
    }
    // ANCHOR_END: step

    // ANCHOR: run
    /// Steps until the end, or until `monitor` is interrupted.
    ///
    /// # Errors
    /// Those of [`Trainer::step`] and of the monitor. What was last saved stays as it is.
    pub fn run(&mut self, monitor: &mut dyn Monitor) -> Result<Outcome> {
        let mut logged = (Instant::now(), self.step_count());
        while self.step_count() < self.settings.steps {
            let report = self.step()?;
            let step = self.step_count();
            let due = |every: u64| every > 0 && step.is_multiple_of(every);
            let last = step == self.settings.steps;
            let seconds = logged.0.elapsed().as_secs_f64().max(1e-9);
            let evaluation = if due(self.settings.eval_every) || last { self.evaluate() } else { None };
            let log = (due(self.settings.log_every) || step == 1 || last || evaluation.is_some()).then(|| {
                let steps = step - logged.1;
                self.metrics(&report, (steps * self.tokens_per_step() as u64) as f64 / seconds, evaluation.as_ref())
            });
            monitor.stepped(self, report.loss, log.as_ref())?;
            if let Some(evaluation) = evaluation {
                let best = self.best_loss.is_none_or(|best| evaluation.loss < best);
                if best {
                    self.best_loss = Some(evaluation.loss);
                }
                monitor.evaluated(self, &evaluation, best)?;
            }
            let interrupted = !last && monitor.interrupted();
            if due(self.settings.save_every) || last || interrupted {
                monitor.save(self)?;
            }
            if interrupted {
                return Ok(Outcome::Interrupted);
            }
            if log.is_some() {
                logged = (Instant::now(), step);
            }
        }
        Ok(Outcome::Finished)
    }
    // ANCHOR_END: run

    /// The validation loss of the model as it is; `None` without validation text.
    pub fn evaluate(&self) -> Option<Evaluation> {
        self.evaluation.as_ref().map(|set| evaluate(&self.model, set, self.settings.batch_size))
    }

    fn metrics(&self, report: &StepReport, tokens_per_second: f64, evaluation: Option<&Evaluation>) -> Metrics {
        let visits = report.expert_load.iter().sum::<usize>().max(1) as f32;
        Metrics {
            step: self.step_count(),
            tokens: self.step_count() * self.tokens_per_step() as u64,
            loss: report.loss,
            lr: report.lr,
            grad_norm: report.grad_norm,
            tokens_per_second,
            load_balancing: report.load_balancing,
            expert_load: report.expert_load.iter().map(|&n| n as f32 / visits).collect(),
            eval_loss: evaluation.map(|e| e.loss),
            entropy_floor: evaluation.and_then(|e| e.entropy_floor),
        }
    }
}
