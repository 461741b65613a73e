//! The training loop.
//!
//! Book: [training](../../../../book/training.html)

use super::evaluate::{Evaluation, EvaluationSet, evaluate_with, forward_drafting, parts};
use super::metrics::Metrics;
use super::optimizer::Optimizer;
use super::pace::Pace;
use super::recorder::Recorder;
use super::run::{Position, RunState, SavedRun, config_fingerprint};
use super::settings::Settings;
use super::together::Together;
use crate::collective::Collective;
use crate::data::{Batch, Batches, IGNORE, Windows};
use crate::error::{Error, Result};
use crate::kernels::parallel;
use crate::layers::{Layer, QuantizedFormat, qat};
use crate::model::{Output, Totals, Transformer, count_drafted};
use crate::ops::load_balancing::ExpertLoad;
use crate::tensor::Gradients;
use std::borrow::Cow;
use std::sync::Arc;
use web_time::Instant;

// The data marks targets that do not count with the id that the loss ignores.
const _: () = assert!(crate::data::IGNORE == crate::ops::cross_entropy::IGNORE);

/// Displays the progress of a run. All methods do nothing by default.
pub trait Monitor {
    /// Called after every step; with `metrics` if the step is logged, see [`Settings::log_every`].
    fn stepped(&mut self, trainer: &Trainer, loss: f32, metrics: Option<&Metrics>) {
        _ = (trainer, loss, metrics);
    }

    /// Called during an evaluation, with the number of tokens that were measured and of those that there are.
    fn evaluating(&mut self, measured: usize, tokens: usize) {
        _ = (measured, tokens);
    }

    /// Called after an evaluation. `best` says whether the validation loss is the lowest so far.
    fn evaluated(&mut self, trainer: &Trainer, evaluation: &Evaluation, best: bool) {
        _ = (trainer, evaluation, best);
    }

    /// Called after an evaluation with a sample of what the model can do, piece by piece, as it is generated; and at its end
    /// with `None`.
    fn sampled(&mut self, piece: Option<&str>) {
        _ = piece;
    }

    /// Called when a run on several ranks ends.
    fn paced(&mut self, pace: &Pace) {
        _ = pace;
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
    pub optimizer: Optimizer,
    /// The training text.
    pub batches: Batches,
    /// The validation text.
    pub evaluation: Option<EvaluationSet>,
    /// The lowest validation loss so far.
    pub best_loss: Option<f64>,
    /// The other ranks, if there are any.
    together: Option<Together>,
}

/// Prepares a model to be trained.
fn prepare(model: &mut Transformer, settings: &Settings) {
    if settings.qat.is_some() {
        qat::attach(model);
    }
}

/// The measurements of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Mean cross-entropy over all targets of the step that count, nats per token.
    pub loss: f32,
    /// The load-balancing loss over the tokens of these targets.
    pub load_balancing: f32,
    /// Mean cross-entropy of the drafts, nats per token, if the model has a module for multi-token prediction.
    pub draft_loss: Option<f32>,
    /// The norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The learning rate.
    pub lr: f64,
    /// Visits of these tokens per expert, over all layers. (E,)
    pub expert_load: Vec<usize>,
}

impl Trainer {
    /// Creates a trainer for a model that has not been trained.
    pub fn new(
        mut model: Transformer,
        settings: Settings,
        batches: Batches,
        evaluation: Option<EvaluationSet>,
    ) -> Self {
        prepare(&mut model, &settings);
        let optimizer = Optimizer::new(settings.optimizer, settings.adamw.clone(), &model.parameters());
        Self { model, settings, optimizer, batches, evaluation, best_loss: None, together: None }
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
        let SavedRun { mut model, optimizer, position: Position { cursor, best_loss, .. } } = saved;
        prepare(&mut model, &settings);
        let batches = Batches::from_cursor(windows, settings.batch_size, settings.seed, cursor)?;
        Ok(Self { model, settings, optimizer, batches, evaluation, best_loss, together: None })
    }

    /// Trains with other ranks from now on: R ranks divide the micro-batches of a step, the moments, and the evaluation. All of
    /// them have to have the same settings and data, and a model of the same configuration: they get the weights and the moments
    /// of rank 0.
    ///
    /// `group` ranks hold the experts together (expert parallelism); 1: each rank has all of them.
    ///
    /// # Errors
    /// If there are more ranks than micro-batches in a step, the experts cannot be divided, or a rank is gone.
    pub fn join(&mut self, ranks: Arc<dyn Collective>, group: usize) -> Result<()> {
        self.settings.check_ranks(ranks.size())?;
        self.settings.check_group(&self.model.config, ranks.size(), group)?;
        let several = ranks.size() > 1;
        let together = several.then(|| Together::new(ranks, group, &mut self.model, &mut self.optimizer));
        self.together = together.transpose()?;
        Ok(())
    }

    /// Returns a trainer of its own that takes the same steps.
    pub fn copy(&self) -> Self {
        Self {
            model: self.model.clone(),
            settings: self.settings.clone(),
            optimizer: self.optimizer.clone(),
            batches: self.batches.clone(),
            evaluation: self.evaluation.clone(),
            best_loss: self.best_loss,
            together: None,
        }
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
    /// Takes one optimizer step over `accumulate` micro-batches. It equals a step over one batch that contains them all.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the loss or a gradient is not finite; the model has not changed then.
    pub fn step(&mut self) -> Result<StepReport> {
        match self.together.clone() {
            None => parallel::inside(|| self.accumulate_and_update()),
            Some(together) => together.timed(|| self.step_together(&together)),
        }
    }

    fn accumulate_and_update(&mut self) -> Result<StepReport> {
        let step = self.step_count() + 1;
        let batches: Vec<Batch> = (0..self.settings.accumulate).map(|_| self.batches.next_batch()).collect();
        self.check_ids(&batches)?;
        let mut totals = (batches.len() > 1).then(|| self.totals(&batches));
        let mut gradients = Gradients::default();
        let (mut loss_sum, mut balance_sum, mut draft_loss) = (0.0, 0.0, None);
        for batch in &batches {
            let (output, targets) = self.forward(&self.model, batch);
            let totals = totals.get_or_insert_with(|| self.model.totals(&output, targets));
            let loss = self.model.partial_loss(&output, targets, totals);
            if !loss.total.item().is_finite() {
                return Err(Error::NotFinite { step, tensor: "the loss".into() });
            }
            drop(output);
            gradients.accumulate(loss.total.backward());
            loss_sum += loss.cross_entropy;
            balance_sum += loss.load_balancing;
            draft_loss = loss.draft.map(|loss| loss + draft_loss.unwrap_or(0.0));
        }
        let lr = self.settings.learning_rate(step);
        let grad_norm = self.optimizer.step(self.model.parameters_mut(), &gradients, lr)?;
        let expert_load = totals.map_or_else(Vec::new, |totals| totals.load.visits);
        Ok(StepReport { loss: loss_sum, load_balancing: balance_sum, draft_loss, grad_norm, lr, expert_load })
    }

    /// Returns the results of the model, or of a detached copy, for a batch to learn from, and the targets.
    pub(super) fn forward<'b>(&self, model: &Transformer, batch: &'b Batch) -> (Output, &'b [u32]) {
        forward_drafting(model, batch, self.model.trains_mtp().then(|| self.settings.mtp_weight()))
    }

    /// Counts the targets and the visits of all micro-batches of a step. The visits are known only after a forward pass,
    /// but every backward pass needs their sum, so this takes a forward pass more per micro-batch.
    pub(super) fn totals(&self, batches: &[Batch]) -> Totals {
        let drafted = |batch| {
            let (_, targets, sequences) = parts(batch);
            count_drafted(targets, &sequences)
        };
        let drafted = if self.model.trains_mtp() { batches.iter().map(drafted).sum() } else { 0 };
        let targets = batches.iter().map(Batch::counted).sum();
        let mut totals = Totals { targets, drafted, load: ExpertLoad::default() };
        let model = self.model.detached();
        let with_experts = model.config.layers > model.config.dense_layers.len();
        for batch in if with_experts { batches } else { &[] } {
            let (output, targets) = self.forward(&model, batch);
            totals.load.add(&model.totals(&output, targets).load);
        }
        totals
    }
    // ANCHOR_END: step

    /// Checks that the model has a row for each id. A file of tokens is not read as a whole, so its ids are checked when they are
    /// used.
    pub(super) fn check_ids(&self, batches: &[Batch]) -> Result<()> {
        let rows = self.model.config.vocab_size;
        let targets = |batch: &Batch| batch.targets.iter().copied().filter(|&id| id != IGNORE).max();
        let largest = batches.iter().flat_map(|batch| batch.inputs.iter().copied().max().max(targets(batch))).max();
        match largest.filter(|&id| id as usize >= rows) {
            Some(id) => {
                Err(Error::argument(format!("the training text has id {id}, but the model has only {rows} rows")))
            }
            None => Ok(()),
        }
    }

    // ANCHOR: run
    /// Trains to the end, or until `monitor` interrupts. The recorder, if there is one, writes the run directory. Of several
    /// ranks, only rank 0 has a recorder.
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
            let evaluate = due(self.settings.eval_every) || last;
            let evaluation = if evaluate { self.measure(&mut |done, of| monitor.evaluating(done, of))? } else { None };
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
                monitor.evaluated(self, &evaluation, best);
                let whole = self.whole()?;
                if let Some(recorder) = recorder {
                    let model = whole.as_ref().unwrap_or(&self.model);
                    let measured = self.as_measured(model);
                    recorder.evaluated(model, &measured, step, best, &mut |piece| monitor.sampled(piece))?;
                }
            }
            let interrupted = !last && self.any(monitor.interrupted())?;
            if due(self.settings.save_every) || last || interrupted {
                self.save(recorder)?;
            }
            if interrupted {
                self.end(monitor)?;
                return Ok(Outcome::Interrupted);
            }
            if log.is_some() {
                logged = (Instant::now(), step);
            }
        }
        self.end(monitor)?;
        Ok(Outcome::Finished)
    }
    // ANCHOR_END: run

    /// Returns the state from which the run can resume. It has no moments of other ranks.
    pub fn state(&self) -> RunState<'_> {
        let position = Position {
            step: self.step_count(),
            cursor: self.batches.cursor(),
            best_loss: self.best_loss,
            fingerprint: self.batches.windows().fingerprint(),
            evaluation: self.evaluation.as_ref().map(|set| set.windows.fingerprint()),
            config: Some(config_fingerprint(&self.model.config)),
        };
        RunState { model: &self.model, optimizer: &self.optimizer, position }
    }

    /// Saves the run. Of several ranks, rank 0 gets the moments and the experts of all.
    fn save(&self, recorder: Option<&Recorder>) -> Result<()> {
        let gather = |together: &Together| together.gathered(&self.model, &self.optimizer);
        let gathered = self.together.as_ref().map(gather).transpose()?;
        let whole = self.whole()?;
        let Some(recorder) = recorder else { return Ok(()) };
        let (model, optimizer) = (whole.as_ref().unwrap_or(&self.model), gathered.as_ref().unwrap_or(&self.optimizer));
        recorder.save(&RunState { model, optimizer, ..self.state() })
    }

    /// Ends a run: rank 0 gets all experts, and learns how fast the ranks were.
    fn end(&mut self, monitor: &mut dyn Monitor) -> Result<()> {
        let pace = self.together.as_ref().and_then(|together| together.pace().transpose()).transpose()?;
        pace.iter().for_each(|pace| monitor.paced(pace));
        if let Some(whole) = self.whole()? {
            self.model = whole;
        }
        Ok(())
    }

    /// Returns the model with all experts on rank 0, if they are spread.
    fn whole(&self) -> Result<Option<Transformer>> {
        self.together.as_ref().map_or(Ok(None), |together| together.whole(&self.model))
    }

    /// Returns whether any rank says yes.
    fn any(&self, yes: bool) -> Result<bool> {
        self.together.as_ref().map_or(Ok(yes), |together| together.any(yes))
    }

    /// Measures the model on the validation text, together with the other ranks.
    fn measure(&self, progress: &mut dyn FnMut(usize, usize)) -> Result<Option<Evaluation>> {
        match (&self.together, &self.evaluation) {
            (Some(together), Some(set)) => self.evaluate_together(together, set, progress).map(Some),
            _ => Ok(self.evaluate(progress)),
        }
    }

    /// Measures the model on the validation text, and calls `progress` as [`evaluate_with`] does; `None` if there is no text.
    pub fn evaluate(&self, progress: &mut dyn FnMut(usize, usize)) -> Option<Evaluation> {
        self.evaluation.as_ref().map(|set| evaluate_with(&self.measured(), set, self.settings.batch_size, progress))
    }

    /// Returns the model that evaluations measure: in quantization-aware training, the one that `ossia quantize` will write.
    pub fn measured(&self) -> Cow<'_, Transformer> {
        self.as_measured(&self.model)
    }

    fn as_measured<'m>(&self, model: &'m Transformer) -> Cow<'m, Transformer> {
        match self.settings.qat {
            Some(QuantizedFormat::Mxfp4) => Cow::Owned(qat::quantized(model)),
            None => Cow::Borrowed(model),
        }
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
            draft_loss: report.draft_loss,
            expert_load: report.expert_load.iter().map(|&n| n as f32 / visits).collect(),
            eval_loss: evaluation.map(|e| e.loss),
            entropy_floor: evaluation.and_then(|e| e.entropy_floor),
        }
    }
}
