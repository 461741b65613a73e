//! A session of a run: everything between `ossia train` and the first step.
//!
//! Book: [training](../../../../book/training.html)

use super::card::Card;
use super::material::Material;
use super::memory::{self, Needs};
use super::metrics;
use super::note::{Note, Notes};
use super::recorder::{self, Recorder};
use super::run::RunDirectory;
use super::settings::RunSettings;
use super::trainer::{Monitor, Outcome, Trainer};
use crate::checkpoint;
use crate::collective::Threads;
use crate::config::ModelConfig;
use crate::data::Batches;
use crate::error::{Error, Result};
use crate::files::{Lock, write_atomically};
use crate::harmony::{Effort, Harmony};
use crate::model::Transformer;
use crate::tasks::{arithmetic, stories};
use crate::tokenizer::Tokenizer;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// A run that is ready to train. It holds the lock of its directory.
pub struct Session {
    /// The model, the optimizer and the data.
    pub trainer: Trainer,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The settings of the run.
    pub settings: RunSettings,
    /// The number of ranks that train together, as threads of this process.
    ranks: usize,
    recorder: Recorder,
    _lock: Lock,
}

impl Session {
    /// Starts a new run: reads the material, creates the run directory, and initializes the model.
    ///
    /// # Errors
    /// If the model is too large for this machine, the text cannot be read, the tokenizer does not fit the model, or the
    /// directory is not empty.
    pub fn start(
        config: ModelConfig,
        settings: RunSettings,
        tokenizer: Option<Tokenizer>,
        directory: RunDirectory,
        notes: Notes,
    ) -> Result<Self> {
        settings.check()?;
        memory::check(&config, 1)?;
        // A run that is refused says why in one line, so other notes wait until it is created.
        let mut held = Vec::new();
        let material = Material::new(&settings, tokenizer, config.vocab_size, &mut |note| match note {
            Note::Skipped(_) => notes(note),
            note => held.push(note),
        })?;
        let config = fitted(config, &material.tokenizer, &settings)?;
        let settings = settings.with_absolute_paths()?; // after reading: messages name the paths as they were given
        // Everything that can refuse the run comes before its directory.
        let batches = Batches::new(material.windows.clone(), settings.settings.batch_size, settings.settings.seed)?;
        let lock = directory.create(&settings, &config, Some(&material.tokenizer))?;
        describe(&settings, &config, &material.tokenizer, &directory)?;
        held.into_iter().for_each(notes);
        Ok(Self::first(&config, settings, material, batches, directory, lock))
    }

    /// Continues a run that was stopped, with its own settings; only the number of steps may be raised. A run that was stopped
    /// before it saved a state starts anew.
    ///
    /// # Errors
    /// If the directory has no run, another process works in it, the run is finished or damaged, or its text or its
    /// configuration has changed.
    pub fn resume(directory: RunDirectory, steps: Option<u64>, notes: Notes) -> Result<Self> {
        let lock = directory.lock()?;
        let before = directory.read_settings()?;
        let mut settings = before.clone();
        settings.settings.steps = steps.unwrap_or(settings.settings.steps);
        settings.check()?;
        settings.renew();
        let tokenizer = Tokenizer::load(directory.file(checkpoint::TOKENIZER))?;
        // How the text was divided was said when the run was started.
        let material = Material::new(&settings, Some(tokenizer), 0, &mut |note| {
            if let Note::Skipped(_) = note {
                notes(note);
            }
        })?;
        if !directory.has_state() {
            return Self::start_anew(settings, material, directory, lock, notes);
        }
        let saved = directory.resume(&settings)?;
        if material.windows.fingerprint() != saved.position.fingerprint {
            return Err(changed(&directory, "training", &settings.data));
        }
        if saved.position.evaluation.is_some_and(|known| known != material.evaluation.windows.fingerprint()) {
            let data = if settings.eval_data.is_empty() { &settings.data } else { &settings.eval_data };
            return Err(changed(&directory, "evaluation", data));
        }
        let done = saved.position.step;
        if done >= settings.settings.steps {
            return Err(Error::file(directory.path(), format!("is finished: {done} steps; give more with --steps")));
        }
        // Everything that can refuse the run comes before the first change of its directory.
        let Material { tokenizer, windows, evaluation } = material;
        let trainer = Trainer::resume(saved, settings.settings.clone(), windows, Some(evaluation))?;
        cut_back(&directory, done)?;
        directory.write_settings(&settings)?;
        let rates = [&before, &settings].map(|settings| settings.settings.learning_rate(done + 1));
        if rates[0] != rates[1] {
            let (from, to) = (before.settings.steps, settings.settings.steps);
            notes(Note::ScheduleChanged { step: done, from, to, learning_rate: rates });
        }
        let recorder = recorder_of(directory, &settings, &tokenizer);
        Ok(Self { trainer, tokenizer, settings, ranks: 1, recorder, _lock: lock })
    }

    /// Starts a run again that was stopped before it saved a state.
    fn start_anew(
        settings: RunSettings,
        material: Material,
        directory: RunDirectory,
        lock: Lock,
        notes: Notes,
    ) -> Result<Self> {
        notes(Note::StartsAnew);
        let config = ModelConfig::load(directory.file(checkpoint::CONFIG))?;
        memory::check(&config, 1)?;
        let batches = Batches::new(material.windows.clone(), settings.settings.batch_size, settings.settings.seed)?;
        cut_back(&directory, 0)?;
        directory.write_settings(&settings)?;
        describe(&settings, &config, &material.tokenizer, &directory)?;
        Ok(Self::first(&config, settings, material, batches, directory, lock))
    }

    /// Creates the session of a run that has taken no step.
    fn first(
        config: &ModelConfig,
        settings: RunSettings,
        material: Material,
        batches: Batches,
        directory: RunDirectory,
        lock: Lock,
    ) -> Self {
        let Material { tokenizer, evaluation, .. } = material;
        let model = Transformer::random(config, settings.settings.seed);
        let trainer = Trainer::new(model, settings.settings.clone(), batches, Some(evaluation));
        let recorder = recorder_of(directory, &settings, &tokenizer);
        Self { trainer, tokenizer, settings, ranks: 1, recorder, _lock: lock }
    }

    /// Divides the run among several ranks, which are threads of this process. The results are the same.
    ///
    /// # Errors
    /// Those of [`Settings::check_ranks`](super::Settings::check_ranks), and if the memory does not suffice for so many.
    pub fn divide(&mut self, ranks: usize) -> Result<()> {
        self.trainer.settings.check_ranks(ranks)?;
        memory::check(&self.trainer.model.config, ranks)?;
        self.ranks = ranks;
        Ok(())
    }

    /// Returns the run directory.
    pub fn directory(&self) -> &RunDirectory {
        self.recorder.directory()
    }

    /// Estimates the memory and the disk that the run takes.
    pub fn needs(&self) -> Needs {
        let Trainer { model, settings, .. } = &self.trainer;
        Needs::of(&model.config, settings, model.checkpoint_activations).of_ranks(self.ranks)
    }

    /// Trains to the end, or until the monitor interrupts; keeps the run directory up to date.
    ///
    /// # Errors
    /// Those of [`Trainer::run`].
    ///
    /// # Panics
    /// If several ranks have already run: then [`Session::resume`] continues.
    pub fn run(&mut self, monitor: &mut dyn Monitor) -> Result<Outcome> {
        let outcome =
            if self.ranks > 1 { self.run_ranks(monitor)? } else { self.trainer.run(Some(&self.recorder), monitor)? };
        self.save_cards()?;
        Ok(outcome)
    }

    /// Runs rank 0 on this thread, and each other rank on one of its own, with a copy of the trainer.
    fn run_ranks(&mut self, monitor: &mut dyn Monitor) -> Result<Outcome> {
        let Self { trainer, recorder, .. } = self;
        let copies: Vec<Trainer> = (1..self.ranks).map(|_| trainer.copy()).collect();
        let mut job = Threads::job(self.ranks).into_iter();
        let first = job.next().expect("at least one rank");
        std::thread::scope(|scope| {
            let rank = |(rank, mut trainer): (Threads, Trainer)| {
                scope.spawn(move || trainer.join(Arc::new(rank)).and_then(|()| trainer.run(None, &mut ())))
            };
            let others: Vec<_> = job.zip(copies).map(rank).collect();
            let run = || trainer.join(Arc::new(first)).and_then(|()| trainer.run(Some(recorder), monitor));
            let outcome = catch_unwind(AssertUnwindSafe(run));
            trainer.leave(); // if it has failed, the others end, too
            let others: Vec<_> = others.into_iter().map(|other| other.join()).collect();
            let outcome = outcome.unwrap_or_else(|panic| resume_unwind(panic));
            let others = others.into_iter().map(|other| other.unwrap_or_else(|panic| resume_unwind(panic)));
            // If a rank fails, the others only see that it is gone.
            let reason = others.filter_map(Result::err).find(|error| !matches!(error, Error::Rank { .. }));
            match (outcome, reason) {
                (Err(Error::Rank { .. }), Some(reason)) => Err(reason),
                (outcome, _) => outcome,
            }
        })
    }

    /// Writes the model cards of the run and of its best model, with the results.
    fn save_cards(&self) -> Result<()> {
        let (directory, steps) = (self.directory(), self.trainer.step_count());
        let measured = metrics::read(&directory.metrics(), steps)?;
        let loss_at =
            |step| measured.iter().rfind(|metrics| metrics.step == step).and_then(|metrics| metrics.eval_loss);
        let card = |steps, loss| Card { settings: &self.settings, config: &self.trainer.model.config, steps, loss };
        card(steps, loss_at(steps)).save(directory.path())?;
        let losses = measured.iter().filter_map(|metrics| Some((metrics.step, metrics.eval_loss?)));
        match losses.min_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((steps, loss)) if directory.file("best").is_dir() => {
                card(steps, Some(loss)).save(&directory.file("best"))
            }
            _ => Ok(()),
        }
    }
}

/// Removes what a run has recorded after step `last`, which a resumed run records again.
fn cut_back(directory: &RunDirectory, last: u64) -> Result<()> {
    metrics::truncate(&directory.metrics(), last)?;
    recorder::truncate_samples(&directory.samples(), last)
}

/// The error for a text that is not the one with which the run was started.
fn changed(directory: &RunDirectory, which: &str, data: &[super::DataPath]) -> Error {
    let paths: Vec<String> = data.iter().map(|path| path.as_ref().display().to_string()).collect();
    let message = format!("the {which} text ({}) is not what the run was started with", paths.join(" "));
    Error::file(directory.path(), message)
}

/// Creates the recorder of a run, whose samples show what the run trains.
fn recorder_of(directory: RunDirectory, settings: &RunSettings, tokenizer: &Tokenizer) -> Recorder {
    let tokenizer = tokenizer.clone();
    let sample = if settings.task.is_some() { arithmetic::sample } else { stories::sample };
    Recorder::new(directory, Some(Box::new(move |model, step, show| sample(model, &tokenizer, step, show))))
}

/// Writes the files that describe the model before it is trained: the model card and, for a chat model, the system message
/// and the chat template.
fn describe(
    settings: &RunSettings,
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    directory: &RunDirectory,
) -> Result<()> {
    if settings.task.is_some() {
        let system = arithmetic::system(Effort::Medium, true);
        let json = serde_json::to_string_pretty(&system).expect("plain text");
        write_atomically(&directory.file(checkpoint::SYSTEM), format!("{json}\n").as_bytes())?;
        let template = Harmony::new(tokenizer)?.chat_template(&system);
        write_atomically(&directory.file(checkpoint::CHAT_TEMPLATE), template.as_bytes())?;
    }
    Card { settings, config, steps: 0, loss: None }.save(directory.path())
}

/// Adapts the configuration to the tokenizer and to the settings.
fn fitted(mut config: ModelConfig, tokenizer: &Tokenizer, settings: &RunSettings) -> Result<ModelConfig> {
    let found = tokenizer.vocab_size();
    if found > config.vocab_size {
        let rows = config.vocab_size;
        return Err(Error::argument(format!("the tokenizer has {found} entries; this model has room for {rows}")));
    }
    config.eos_token_ids = tokenizer.end_of_text().into_iter().collect();
    if let Some((_, start)) = tokenizer.start_token() {
        config.other.insert("bos_token_id".into(), start.into());
    }
    if settings.task.is_some() {
        // The tokenizer has all words of the task: further rows could stand for nothing.
        config.vocab_size = found;
        let marks = Harmony::new(tokenizer)?.marks();
        config.eos_token_ids.extend([marks.done, marks.call]);
    }
    config.context = config.context.max(settings.settings.context);
    Ok(config)
}
