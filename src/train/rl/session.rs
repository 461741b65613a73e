//! A run of reinforcement learning: its directory, its loop, and how it resumes.
//!
//! Book: [reinforcement](../../../../../book/reinforcement.html)

use super::learner::Learner;
use super::metrics::RlMetrics;
use crate::checkpoint;
use crate::collective::Alone;
use crate::config::ModelConfig;
use crate::data::Cursor;
use crate::error::{Error, Result};
use crate::files::Lock;
use crate::layers::{Layer, qat};
use crate::model::Transformer;
use crate::tasks::{Task, Tools};
use crate::tokenizer::Tokenizer;
use crate::train::card::{Card, describe};
use crate::train::job::{Found, Job, Opened};
use crate::train::metrics::{self, Logged};
use crate::train::run::{Position, RunDirectory, RunState, config_fingerprint};
use crate::train::start::{check_frozen, check_quantized, starting_model};
use crate::train::{Optimizer, Outcome, RunSettings, memory};

/// Displays the progress of a run. All methods do nothing by default.
pub trait RlMonitor {
    /// Called after every step.
    fn stepped(&mut self, metrics: &RlMetrics, steps: u64) {
        _ = (metrics, steps);
    }

    /// Returns whether the user asked to stop.
    fn interrupted(&self) -> bool {
        false
    }
}

impl RlMonitor for () {}

/// A run that is ready to learn, and holds the lock of its directory.
pub struct RlSession {
    /// The settings of the run.
    pub settings: RunSettings,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The configuration of the model.
    pub config: ModelConfig,
    /// The questions.
    pub task: Task,
    directory: RunDirectory,
    model: Transformer,
    optimizer: Optimizer,
    step: u64,
    _lock: Lock,
}

impl RlSession {
    /// Starts a new run.
    ///
    /// # Errors
    /// If a setting is out of its range, the model is too large, the questions cannot be read, or the directory is not empty.
    pub fn start(
        config: ModelConfig,
        settings: RunSettings,
        tokenizer: Tokenizer,
        directory: RunDirectory,
    ) -> Result<Self> {
        settings.check()?;
        if settings.lora.is_none() {
            check_frozen(&config, settings.freeze)?;
        }
        check_quantized(&config, &settings)?;
        memory::check(&config, &settings, 1)?;
        let task = task_of(&settings)?;
        let mut model = starting_model(&settings, &config)?;
        model.config = checkpoint::config_as_saved(&model);
        let config = model.config.clone();
        let settings = settings.with_absolute_paths()?;
        let lock = directory.create(&settings, &config, Some(&tokenizer))?;
        describe(&settings, &config, &tokenizer, &directory)?;
        let optimizer =
            Optimizer::new(settings.settings.optimizer, settings.settings.adamw.clone(), &model.parameters());
        Ok(Self { settings, tokenizer, config, task, directory, model, optimizer, step: 0, _lock: lock })
    }

    /// Continues a run that was stopped, with its own settings; only the number of steps may be raised.
    ///
    /// # Errors
    /// If the directory has no run of this kind, another process works in it, the run is finished or damaged, or its questions have
    /// changed.
    pub fn resume(directory: RunDirectory, steps: Option<u64>) -> Result<Self> {
        let mut opened = Opened::read(&directory, steps, &Job::alone())?;
        let Found { settings, config, tokenizer, position, .. } =
            Found::share(Some(&opened), &directory, &Alone::default())?;
        let task = task_of(&settings)?;
        if position.is_some_and(|position| position.fingerprint != task.fingerprint()) {
            return Err(Error::file(directory.path(), "the questions are not those with which the run was started"));
        }
        let (method, adamw) = (settings.settings.optimizer, settings.settings.adamw.clone());
        let (model, optimizer, step) = match opened.saved.take().zip(position) {
            Some((saved, position)) => {
                let moments = saved.optimizer.moments().to_vec();
                (saved.model, Optimizer::resume(method, adamw, position.cursor.epoch, moments), position.step)
            }
            None => {
                let model = starting_model(&settings, &config)?;
                let optimizer = Optimizer::new(method, adamw, &model.parameters());
                (model, optimizer, 0)
            }
        };
        metrics::truncate::<RlMetrics>(&directory.metrics(), step)?;
        directory.write_settings(&settings)?;
        if step == 0 {
            describe(&settings, &config, &tokenizer, &directory)?; // the process may have been killed before it had done so
        }
        Ok(Self { settings, tokenizer, config, task, directory, model, optimizer, step, _lock: opened.lock })
    }

    /// Returns the run directory.
    pub fn directory(&self) -> &RunDirectory {
        &self.directory
    }

    /// Returns the number of steps that were taken.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    // ANCHOR: run
    /// Learns to the end, or until the monitor interrupts; keeps the run directory up to date.
    ///
    /// # Errors
    /// Those of a step, and of the operating system. The last checkpoint is kept.
    pub fn run(self, tools: &dyn Fn() -> Tools, monitor: &mut dyn RlMonitor) -> Result<Outcome> {
        let RunSettings { settings, reinforcement, .. } = self.settings.clone();
        let rl = reinforcement.expect("a run of reinforcement learning");
        let mut model = self.model;
        if settings.qat.is_some() {
            qat::attach(&mut model);
        }
        let start = (rl.kl > 0.0).then(|| starting_model(&self.settings, &self.config)).transpose()?;
        let mut learner = Learner {
            model,
            optimizer: self.optimizer,
            task: self.task,
            tokenizer: &self.tokenizer,
            start: start.map(|start| start.detached()),
            tools,
            step: self.step,
            settings,
            rl,
        };
        while learner.step < learner.settings.steps {
            let before = (learner.step == 0).then(|| learner.evaluate()).transpose()?;
            let mut metrics = learner.take_step()?;
            let due = |every: u64| every > 0 && learner.step.is_multiple_of(every);
            let last = learner.step == learner.settings.steps;
            metrics.held_out = before;
            if due(learner.settings.eval_every) || last {
                metrics.held_out = Some(learner.evaluate()?);
            }
            metrics.append(&self.directory.metrics())?;
            monitor.stepped(&metrics, learner.settings.steps);
            let interrupted = !last && monitor.interrupted();
            if due(learner.settings.save_every) || last || interrupted {
                #[cfg(feature = "plots")]
                super::chart::draw(
                    &metrics::read_logged(&self.directory.metrics(), learner.step)?,
                    &self.directory.file("rewards.svg"),
                )?;
                save(&self.directory, &learner)?;
            }
            if interrupted {
                return Ok(Outcome::Interrupted);
            }
        }
        let card = Card { settings: &self.settings, config: &self.config, steps: learner.step, loss: None };
        card.save(self.directory.path())?;
        Ok(Outcome::Finished)
    }
    // ANCHOR_END: run
}

/// Opens the questions of a run.
fn task_of(settings: &RunSettings) -> Result<Task> {
    let rl = settings.reinforcement.as_ref();
    let rl = rl.ok_or_else(|| Error::argument("the run does not learn by reinforcement"))?;
    Task::open(rl.task.as_ref(), rl.system.clone())
}

/// Saves a run.
fn save(directory: &RunDirectory, learner: &Learner) -> Result<()> {
    let position = Position {
        step: learner.step,
        // Some steps teach nothing, so the optimizer may have taken fewer; or more, if a step has several updates.
        cursor: Cursor { epoch: learner.optimizer.steps(), position: 0 },
        best_loss: None,
        fingerprint: learner.task.fingerprint(),
        evaluation: None,
        config: Some(config_fingerprint(&learner.model.config)),
    };
    directory.save(&RunState { model: &learner.model, optimizer: &learner.optimizer, position })
}
