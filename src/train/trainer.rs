//! The training loop.
//!
//! Book: [training](../../../../book/training.html)

use super::adamw::AdamW;
use super::evaluate::{Evaluation, EvaluationSet, evaluate};
use super::metrics::Metrics;
use super::recorder::Recorder;
use super::run::{SavedRun, State};
use super::settings::Settings;
use crate::data::{Batches, Windows};
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::model::Transformer;
use crate::ops::elementwise::scale;
use crate::tensor::Gradients;
use std::time::Instant;

// The data marks targets that do not count with the id that the loss ignores.
const _: () = assert!(crate::data::IGNORE == crate::ops::cross_entropy::IGNORE);

/// Displays the progress of a run. All methods do nothing by default.
pub trait Monitor {
    /// Called after every step; with `metrics` if the step is logged, see [`Settings::log_every`].
    fn stepped(&mut self, trainer: &Trainer, loss: f32, metrics: Option<&Metrics>) {
        _ = (trainer, loss, metrics);
    }

    /// Called after an evaluation. `best` says whether the validation loss is the lowest so far; `sample` shows what the
    /// model can do.
    fn evaluated(&mut self, trainer: &Trainer, evaluation: &Evaluation, best: bool, sample: Option<&str>) {
        _ = (trainer, evaluation, best, sample);
    }

    /// Returns whether the user asked to stop.
    fn interrupted(&self) -> bool {
        false
    }
}

/// A monitor that displays nothing.
impl Monitor for () {}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were taken.
    Finished,
    /// The monitor asked to stop; everything is saved.
    Interrupted,
}

/// A model in training.
pub struct Trainer {
    /// The model.
    pub model: Transformer,
    /// The settings of the run.
    pub settings: Settings,
    /// The optimizer, with its moments and step count.
    pub optimizer: AdamW,
    /// The training text.
    pub batches: Batches,
    /// The validation text.
    pub evaluation: Option<EvaluationSet>,
    /// The lowest validation loss so far.
    pub best_loss: Option<f64>,
}

/// The measurements of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Mean cross-entropy of the micro-batches, nats per token.
    pub loss: f32,
    /// Mean of their load-balancing losses.
    pub load_balancing: f32,
    /// The norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The learning rate.
    pub lr: f64,
    /// Visits per expert.
    pub expert_load: Vec<usize>,
}

impl Trainer {
    /// Creates a trainer for a model that has not been trained.
    pub fn new(model: Transformer, settings: Settings, batches: Batches, evaluation: Option<EvaluationSet>) -> Self {
        let optimizer = AdamW::new(settings.adamw.clone(), &model.parameters());
        Self { model, settings, optimizer, batches, evaluation, best_loss: None }
    }

    /// Creates a trainer that continues a saved run on the same `windows`.
    ///
    /// # Errors
    /// If the saved position is not in the windows.
    pub fn resume(
        saved: SavedRun,
        settings: Settings,
        windows: Windows,
        evaluation: Option<EvaluationSet>,
    ) -> Result<Self> {
        let SavedRun { model, optimizer, cursor, best_loss, .. } = saved;
        let batches = Batches::from_cursor(windows, settings.batch_size, settings.seed, cursor)?;
        Ok(Self { model, settings, optimizer, batches, evaluation, best_loss })
    }

    /// Returns how many steps were taken.
    pub fn step_count(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Returns the number of tokens per step.
    pub fn tokens_per_step(&self) -> usize {
        self.settings.batch_size * self.settings.context * self.settings.accumulate
    }

    // ANCHOR: step
    /// Takes one optimizer step over `accumulate` micro-batches.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the loss or a gradient is not finite; the model has not changed then.
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
    /// Trains to the end, or until `monitor` interrupts. The recorder, if there is one, writes the run directory.
    ///
    /// # Errors
    /// Those of [`Trainer::step`] and of the recorder. The last checkpoint is kept.
    pub fn run(&mut self, recorder: Option<&Recorder>, monitor: &mut dyn Monitor) -> Result<Outcome> {
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
            if let Some((recorder, metrics)) = recorder.zip(log.as_ref()) {
                recorder.logged(metrics)?;
            }
            monitor.stepped(self, report.loss, log.as_ref());
            if let Some(evaluation) = evaluation {
                let best = self.best_loss.is_none_or(|best| evaluation.loss < best);
                if best {
                    self.best_loss = Some(evaluation.loss);
                }
                let sample = recorder.map_or(Ok(None), |recorder| recorder.evaluated(&self.model, step, best))?;
                monitor.evaluated(self, &evaluation, best, sample.as_deref());
            }
            let interrupted = !last && monitor.interrupted();
            if let Some(recorder) = recorder.filter(|_| due(self.settings.save_every) || last || interrupted) {
                recorder.save(&self.state())?;
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

    /// Returns the state from which the run can resume.
    pub fn state(&self) -> State<'_> {
        State {
            model: &self.model,
            optimizer: &self.optimizer,
            cursor: self.batches.cursor(),
            best_loss: self.best_loss,
            fingerprint: self.batches.windows().fingerprint(),
        }
    }

    /// Measures the model on the validation text; `None` if there is none.
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
