//! A session of a run: everything between `ossia train` and the first step.
//!
//! Book: [training](../../../../book/training.html)

use super::material::{Material, SkippedLines};
use super::metrics;
use super::recorder::Recorder;
use super::run::RunDirectory;
use super::settings::RunSettings;
use super::trainer::{Monitor, Outcome, Trainer};
use crate::checkpoint::{self, report};
use crate::config::ModelConfig;
use crate::data::Batches;
use crate::error::{Error, Result};
use crate::harmony::Harmony;
use crate::model::Transformer;
use crate::tasks::{arithmetic, stories};
use crate::tokenizer::Tokenizer;

/// A run that is ready to train.
pub struct Session {
    /// The model, the optimizer and the data.
    pub trainer: Trainer,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    recorder: Recorder,
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
        skipped: SkippedLines,
    ) -> Result<Self> {
        settings.settings.check()?;
        check_memory(&config)?;
        let Material { tokenizer, windows, evaluation } =
            Material::new(&settings, tokenizer, config.vocab_size, skipped)?;
        let config = fitted(config, &tokenizer, &settings)?;
        let batches = Batches::new(windows, settings.settings.batch_size, settings.settings.seed)?;
        directory.create(&settings, &config)?;
        checkpoint::save_tokenizer(&tokenizer, directory.path(), config.context)?;
        if settings.task.is_some() {
            arithmetic::save_system(directory.path())?;
        }
        let model = Transformer::random(&config, settings.settings.seed);
        let recorder = recorder(directory, &settings, &tokenizer);
        let trainer = Trainer::new(model, settings.settings, batches, Some(evaluation));
        Ok(Self { trainer, tokenizer, recorder })
    }

    /// Continues a run that was stopped, with its own settings; only the number of steps may be raised.
    ///
    /// # Errors
    /// If the directory has no run, the run is finished or damaged, or the training text has changed.
    pub fn resume(directory: RunDirectory, steps: Option<u64>, skipped: SkippedLines) -> Result<Self> {
        directory.require_state()?;
        let mut settings = directory.read_settings()?;
        settings.settings.steps = steps.unwrap_or(settings.settings.steps);
        settings.settings.check()?;
        let tokenizer = Tokenizer::load(directory.file(checkpoint::TOKENIZER))?;
        let Material { tokenizer, windows, evaluation } = Material::new(&settings, Some(tokenizer), 0, skipped)?;
        let saved = directory.resume(settings.settings.adamw.clone())?;
        if windows.fingerprint() != saved.fingerprint {
            let message =
                format!("the training text ({}) is not what the run was started with", settings.data.join(" "));
            return Err(Error::file(directory.path(), message));
        }
        let done = saved.optimizer.steps();
        if done >= settings.settings.steps {
            return Err(Error::file(directory.path(), format!("is finished: {done} steps; give more with --steps")));
        }
        // Everything that can refuse the run comes before the first change of its directory.
        let trainer = Trainer::resume(saved, settings.settings.clone(), windows, Some(evaluation))?;
        metrics::truncate(&directory.metrics(), done)?;
        directory.write_settings(&settings)?;
        let recorder = recorder(directory, &settings, &tokenizer);
        Ok(Self { trainer, tokenizer, recorder })
    }

    /// Returns the run directory.
    pub fn directory(&self) -> &RunDirectory {
        self.recorder.directory()
    }

    /// Trains to the end, or until the monitor interrupts; keeps the run directory up to date.
    ///
    /// # Errors
    /// Those of [`Trainer::run`].
    pub fn run(&mut self, monitor: &mut dyn Monitor) -> Result<Outcome> {
        self.trainer.run(Some(&self.recorder), monitor)
    }
}

/// Creates the recorder of a run, whose samples show what the run trains.
fn recorder(directory: RunDirectory, settings: &RunSettings, tokenizer: &Tokenizer) -> Recorder {
    let tokenizer = tokenizer.clone();
    let sample = if settings.task.is_some() { arithmetic::sample } else { stories::sample };
    Recorder::new(directory, Some(Box::new(move |model, step| sample(model, &tokenizer, step))))
}

/// Refuses a model that is too large to be trained on this machine, before hours go by. A parameter takes 16 bytes: itself,
/// its gradient and its two moments.
fn check_memory(config: &ModelConfig) -> Result<()> {
    let parameters = report::published(config).total().parameters;
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(kilobytes.trim().trim_end_matches(" kB").parse::<usize>().ok()? * 1024)
    });
    match memory.filter(|&memory| 16 * parameters > memory) {
        Some(memory) => Err(Error::argument(format!(
            "{:.1} billion parameters need {} GB to be trained; this machine has {} GB",
            parameters as f64 / 1e9,
            16 * parameters / 1_000_000_000,
            memory / 1_000_000_000
        ))),
        None => Ok(()), // also if the system does not say how much memory it has
    }
}

/// Adapts the configuration to the tokenizer and to the settings.
fn fitted(mut config: ModelConfig, tokenizer: &Tokenizer, settings: &RunSettings) -> Result<ModelConfig> {
    let found = tokenizer.vocab_size();
    if found > config.vocab_size {
        let rows = config.vocab_size;
        return Err(Error::argument(format!("the tokenizer has {found} entries; this model has room for {rows}")));
    }
    config.eos_token_ids = tokenizer.end_of_text().into_iter().collect();
    if settings.task.is_some() {
        // The tokenizer has all words of the task: further rows could stand for nothing.
        config.vocab_size = found;
        let marks = Harmony::new(tokenizer)?.marks();
        config.eos_token_ids.extend([marks.done, marks.call]);
    }
    config.context = config.context.max(settings.settings.context);
    Ok(config)
}
