//! A session of a run: everything between `ossia train` and the first step.
//!
//! Book: [training](../../../../book/training.html)

use super::card::{Card, describe};
use super::job::{self, Found, Job, Opened};
use super::material::Material;
use super::memory::{self, Needs};
use super::metrics::{self, Metrics};
use super::note::{Note, Notes};
use super::recorder::{self, Recorder, Sample};
use super::run::{Position, RunDirectory, SavedRun};
use super::settings::RunSettings;
use super::start::{check_frozen, check_quantized, starting_model};
use super::trainer::{Monitor, Outcome, Trainer};
use crate::checkpoint;
use crate::collective::{Collective, Threads, agree};
use crate::config::ModelConfig;
use crate::data::Batches;
use crate::error::{Error, Result};
use crate::files::Lock;
use crate::harmony::{Harmony, Message};
use crate::layers::Layer;
use crate::model::Transformer;
use crate::tasks::{arithmetic, chats, stories};
use crate::tokenizer::Tokenizer;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// A run that is ready to train. The first rank, or the only one, holds the lock of its directory.
pub struct Session {
    /// The model, the optimizer and the data.
    pub trainer: Trainer,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The settings of the run.
    pub settings: RunSettings,
    /// A conversation that is not trained on, up to the first reply, if the run trains on conversations of files.
    pub question: Option<Vec<Message>>,
    /// The processes that train together.
    job: Job,
    /// The number of threads that train together in this process, as ranks.
    threads: usize,
    directory: RunDirectory,
    recorder: Option<Recorder>,
    _lock: Option<Lock>,
}

impl Session {
    /// Starts a new run: reads the material, creates the run directory, and initializes the model. Every rank of the
    /// job calls this. Rank 0 creates the directory, and the others do not touch theirs.
    ///
    /// # Errors
    /// If the model is too large for this machine, the text cannot be read, the tokenizer does not fit the model, the directory
    /// is not empty, or a rank has another program, settings or text.
    pub fn start(
        job: Job,
        config: ModelConfig,
        settings: RunSettings,
        tokenizer: Option<Tokenizer>,
        directory: RunDirectory,
        notes: Notes,
    ) -> Result<Self> {
        // A run that is refused says why in one line, so other notes wait until it is created.
        let mut held = Vec::new();
        let prepared = prepare(&job, config, &settings, tokenizer, &mut |note| match note {
            Note::Skipped(_) => notes(note),
            note => held.push(note),
        });
        let all = &*job.ranks;
        let (model, material, batches) = agree::agree(all, prepared, |(model, material, _)| {
            job::identity(&job, &settings, &model.config, material)
        })?;
        let config = model.config.clone();
        let settings = settings.with_absolute_paths()?; // after reading: messages name the paths as they were given
        // Everything that can refuse the run comes before its directory.
        let lock = job::on_first(all, || {
            let lock = directory.create(&settings, &config, Some(&material.tokenizer))?;
            describe(&settings, &config, &material.tokenizer, &directory)?;
            Ok(lock)
        })?;
        held.into_iter().for_each(notes);
        Self::first(job, model, settings, material, batches, directory, lock)
    }

    /// Continues a run that was stopped, with its own settings; only the number of steps may be raised. A run that was stopped
    /// before it saved a state starts anew. Every rank of the job calls this. Rank 0 reads the directory, and sends the others
    /// what they need.
    ///
    /// # Errors
    /// If the directory has no run, another process works in it, the run is finished or damaged, its text or its configuration
    /// has changed, or a rank has another program or text.
    pub fn resume(job: Job, directory: RunDirectory, steps: Option<u64>, notes: Notes) -> Result<Self> {
        let all = &*job.ranks;
        let mut opened = job::on_first(all, || Opened::read(&directory, steps, &job))?;
        let Found { before, settings, config, tokenizer, position } = Found::share(opened.as_ref(), &directory, all)?;
        // How the text was divided was said when the run was started.
        let material = Material::new(&settings, Some(tokenizer), 0, &mut |note| {
            if let Note::Skipped(_) = note {
                notes(note);
            }
        });
        let material = material.and_then(|material| match &position {
            Some(position) => same_text(&directory, &settings, material, position),
            None => Ok(material),
        });
        let material = agree::agree(all, material, |material| job::identity(&job, &settings, &config, material))?;
        // Everything that can refuse the run comes before the first change of its directory.
        let done = position.map_or(0, |position| position.step);
        let change = || {
            cut_back(&directory, done)?;
            directory.write_settings(&settings)?;
            if done == 0 { describe(&settings, &config, &material.tokenizer, &directory) } else { Ok(()) }
        };
        let Some(position) = position else {
            notes(Note::StartsAnew);
            let batches = Batches::new(material.windows.clone(), settings.settings.batch_size, settings.settings.seed)?;
            let model = starting_model(&settings, &config)?;
            job::on_first(all, change)?;
            let lock = opened.map(|opened| opened.lock);
            return Self::first(job, model, settings, material, batches, directory, lock);
        };
        let saved = opened.as_mut().and_then(|opened| opened.saved.take());
        let saved = saved.map_or_else(|| SavedRun::blank(&config, &settings, position), Ok)?;
        let trainer = Trainer::resume(saved, settings.settings.clone(), material.windows.clone(), None)?;
        job::on_first(all, change)?;
        let rates = [&before, &settings].map(|settings| settings.settings.learning_rate(done + 1));
        if rates[0] != rates[1] {
            let (from, to) = (before.settings.steps, settings.settings.steps);
            notes(Note::ScheduleChanged { step: done, from, to, learning_rate: rates });
        }
        let lock = opened.map(|opened| opened.lock);
        Self::of(job, trainer, settings, material, directory, lock)
    }

    /// Creates the session of a run that has taken no step.
    fn first(
        job: Job,
        model: Transformer,
        settings: RunSettings,
        material: Material,
        batches: Batches,
        directory: RunDirectory,
        lock: Option<Lock>,
    ) -> Result<Self> {
        let trainer = Trainer::new(model, settings.settings.clone(), batches, None);
        Self::of(job, trainer, settings, material, directory, lock)
    }

    /// Creates a session. The trainer joins the other ranks.
    fn of(
        job: Job,
        mut trainer: Trainer,
        settings: RunSettings,
        material: Material,
        directory: RunDirectory,
        lock: Option<Lock>,
    ) -> Result<Self> {
        let Material { tokenizer, evaluation, question, .. } = material;
        trainer.evaluation = Some(evaluation);
        trainer.model.checkpoint_activations = job.recompute;
        trainer.join(job.ranks.clone(), job.expert_parallel)?;
        let recorder =
            (job.ranks.rank() == 0).then(|| recorder_of(directory.clone(), &settings, &tokenizer, question.clone()));
        Ok(Self { trainer, tokenizer, settings, question, job, threads: 1, directory, recorder, _lock: lock })
    }

    /// Divides the run of this process among several ranks, which are threads of it. The results are the same.
    ///
    /// # Errors
    /// Those of [`Settings::check_ranks`](super::Settings::check_ranks) and
    /// [`Settings::check_group`](super::Settings::check_group), and if the memory does not suffice for so many.
    pub fn divide(&mut self, ranks: usize, expert_parallel: usize) -> Result<()> {
        self.trainer.settings.check_ranks(ranks)?;
        self.trainer.settings.check_group(&self.trainer.model.config, ranks, expert_parallel)?;
        memory::check(&self.trainer.model.config, &self.settings, ranks)?;
        self.threads = ranks;
        self.job.expert_parallel = expert_parallel;
        Ok(())
    }

    /// Returns the run directory.
    pub fn directory(&self) -> &RunDirectory {
        &self.directory
    }

    /// Estimates the memory and the disk that the run takes.
    pub fn needs(&self) -> Needs {
        let Trainer { model, settings, .. } = &self.trainer;
        let needs = Needs::of(&model.config, settings, model.checkpoint_activations);
        let needs = needs.with_frozen(&model.config, &self.settings);
        let trained = model.parameters().into_iter().filter(|parameter| parameter.is_trainable());
        let needs = match model.adapter {
            Some(_) => needs.with_adapter(trained.map(|parameter| parameter.value().count()).sum()),
            None => needs,
        };
        needs.of_ranks(self.threads * self.job.ranks.size(), self.job.expert_parallel)
    }

    /// Trains to the end, or until the monitor interrupts; keeps the run directory up to date.
    ///
    /// # Errors
    /// Those of [`Trainer::run`].
    ///
    /// # Panics
    /// If several ranks have already run: then [`Session::resume`] continues.
    pub fn run(&mut self, monitor: &mut dyn Monitor) -> Result<Outcome> {
        let outcome = match self.threads {
            1 => self.trainer.run(self.recorder.as_ref(), monitor)?,
            _ => self.run_threads(monitor)?,
        };
        job::on_first(&*self.job.ranks, || self.save_cards())?;
        Ok(outcome)
    }

    /// Runs rank 0 on this thread, and each other rank on one of its own, with a copy of the trainer.
    fn run_threads(&mut self, monitor: &mut dyn Monitor) -> Result<Outcome> {
        let Self { trainer, recorder, job: Job { expert_parallel: group, .. }, .. } = self;
        let group = *group;
        let copies: Vec<Trainer> = (1..self.threads).map(|_| trainer.copy()).collect();
        let mut job = Threads::job(self.threads).into_iter().map(|rank| Arc::new(rank) as Arc<dyn Collective>);
        let first = job.next().expect("at least one rank");
        std::thread::scope(|scope| {
            let rank = |(rank, mut trainer): (Arc<dyn Collective>, Trainer)| {
                let joined = rank.clone();
                let run = move || trainer.join(joined, group).and_then(|()| trainer.run(None, &mut ()));
                scope.spawn(move || rank.attempt(run))
            };
            let others: Vec<_> = job.zip(copies).map(rank).collect();
            let run = || trainer.join(first.clone(), group).and_then(|()| trainer.run(recorder.as_ref(), monitor));
            let outcome = catch_unwind(AssertUnwindSafe(|| first.attempt(run)));
            if outcome.is_err() {
                first.give_up(&Error::Rank { rank: 0, message: "has panicked".into() });
            }
            // The first rank knows why another one has ended, unless that one has panicked.
            others.into_iter().for_each(|other| _ = other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            outcome.unwrap_or_else(|panic| resume_unwind(panic))
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

/// Reads or makes what a new run needs, and checks it.
fn prepare(
    job: &Job,
    config: ModelConfig,
    settings: &RunSettings,
    tokenizer: Option<Tokenizer>,
    notes: Notes,
) -> Result<(Transformer, Material, Batches)> {
    settings.check()?;
    settings.settings.check_group(&config, job.ranks.size(), job.expert_parallel)?;
    if settings.lora.is_none() {
        check_frozen(&config, settings.freeze)?;
    }
    check_quantized(&config, settings)?;
    memory::check(&config, settings, 1)?;
    let material = Material::new(settings, tokenizer, config.vocab_size, notes)?;
    let config = fitted(config, &material.tokenizer, settings)?;
    let batches = Batches::new(material.windows.clone(), settings.settings.batch_size, settings.settings.seed)?;
    let mut model = starting_model(settings, &config)?;
    model.config = checkpoint::config_as_saved(&model);
    Ok((model, material, batches))
}

/// Checks that the text is the one with which the run was started.
fn same_text(
    directory: &RunDirectory,
    settings: &RunSettings,
    material: Material,
    position: &Position,
) -> Result<Material> {
    if material.windows.fingerprint() != position.fingerprint {
        return Err(changed(directory, "training", &settings.data));
    }
    if position.evaluation.is_some_and(|known| known != material.evaluation.windows.fingerprint()) {
        let data = if settings.eval_data.is_empty() { &settings.data } else { &settings.eval_data };
        return Err(changed(directory, "evaluation", data));
    }
    Ok(material)
}

/// Removes what a run has recorded after step `last`, which a resumed run records again.
fn cut_back(directory: &RunDirectory, last: u64) -> Result<()> {
    metrics::truncate::<Metrics>(&directory.metrics(), last)?;
    recorder::truncate_samples(&directory.samples(), last)
}

/// The error for a text that is not the one with which the run was started.
fn changed(directory: &RunDirectory, which: &str, data: &[super::DataPath]) -> Error {
    let paths: Vec<String> = data.iter().map(|path| path.as_ref().display().to_string()).collect();
    let message = format!("the {which} text ({}) is not what the run was started with", paths.join(" "));
    Error::file(directory.path(), message)
}

/// Creates the recorder of a run, whose samples show what the run trains.
fn recorder_of(
    directory: RunDirectory,
    settings: &RunSettings,
    tokenizer: &Tokenizer,
    question: Option<Vec<Message>>,
) -> Recorder {
    let tokenizer = tokenizer.clone();
    let is_task = settings.task.is_some();
    let sample: Sample = Box::new(move |model, step, show| match &question {
        Some(question) => chats::sample(model, &tokenizer, question.clone(), show),
        None if is_task => arithmetic::sample(model, &tokenizer, step, show),
        None => stories::sample(model, &tokenizer, step, show),
    });
    Recorder::new(directory, Some(sample))
}

/// Adapts the configuration to the tokenizer and to the settings.
fn fitted(mut config: ModelConfig, tokenizer: &Tokenizer, settings: &RunSettings) -> Result<ModelConfig> {
    let found = tokenizer.vocab_size();
    if found > config.vocab_size {
        let rows = config.vocab_size;
        return Err(Error::argument(format!("the tokenizer has {found} entries; this model has room for {rows}")));
    }
    if settings.init.is_none() {
        config.eos_token_ids.clear();
    }
    let mut ends: Vec<u32> = tokenizer.end_of_text().into_iter().collect();
    if let Some((_, start)) = tokenizer.start_token() {
        config.other.insert("bos_token_id".into(), start.into());
    }
    if settings.is_chat() {
        if settings.init.is_none() && settings.task.is_some() {
            // The tokenizer has all words of the task: further rows could stand for nothing.
            config.vocab_size = found;
        }
        let marks = Harmony::new(tokenizer)?.marks();
        ends.extend([marks.done, marks.call]);
    }
    ends.retain(|end| !config.eos_token_ids.contains(end));
    config.eos_token_ids.extend(ends);
    config.context = config.context.max(settings.settings.context);
    Ok(config)
}
