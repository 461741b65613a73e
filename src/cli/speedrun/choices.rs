//! The choices of a user about a speedrun.

use super::numbers::{FINE_TUNING, PRETRAINING, REINFORCEMENT};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::mxfp4::BLOCK;
use crate::train::DataPath;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The tokens that the longest conversations need.
const LEAST_CONTEXT: usize = 256;

/// The choices with which a speedrun was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choices {
    /// The name of the architecture, unless it comes from a file.
    pub preset: Option<String>,
    /// A file with the architecture.
    pub config: Option<DataPath>,
    /// The number of tokens for which the architecture has room.
    pub vocabulary: usize,
    /// Steps of pretraining, of fine-tuning, and of reinforcement learning.
    pub steps: [u64; 3],
    /// Questions of each kind, and stories, per evaluation.
    pub questions: u32,
    /// The seed of all stages.
    pub seed: u64,
}

/// The arguments that were given.
pub struct Given<'a> {
    pub preset: Option<&'a String>,
    pub config: Option<&'a PathBuf>,
    pub steps: &'a [u64],
    pub questions: Option<u32>,
    pub seed: Option<u64>,
}

impl Given<'_> {
    /// Returns the steps, if they were given.
    fn steps(&self) -> Result<Option<[u64; 3]>> {
        match *self.steps {
            [] => Ok(None),
            [pretraining, fine_tuning, reinforcement] => Ok(Some([pretraining, fine_tuning, reinforcement])),
            _ => Err(Error::argument(
                "--steps: expected three numbers, for pretraining, fine-tuning and reinforcement learning",
            )),
        }
    }

    fn config(&self) -> Result<Option<DataPath>> {
        self.config.map(|path| DataPath::from(path).absolute()).transpose()
    }

    /// Checks that no argument differs from what the speedrun in `directory` was started with.
    ///
    /// # Errors
    /// The error names the first argument that does.
    pub fn check_unchanged(&self, before: &Choices, directory: &Path) -> Result<()> {
        let config = self.config()?;
        let changed = [
            ("--preset", self.preset.is_some_and(|preset| before.preset.as_ref() != Some(preset))),
            ("--config", config.is_some() && config != before.config),
            ("--steps", self.steps()?.is_some_and(|steps| steps != before.steps)),
            ("--questions", self.questions.is_some_and(|questions| questions != before.questions)),
            ("--seed", self.seed.is_some_and(|seed| seed != before.seed)),
        ];
        match changed.iter().find(|(_, changed)| *changed) {
            Some((flag, _)) => Err(Error::file(
                directory,
                format!("has a speedrun with another {flag}; leave {flag} out, or choose another --out"),
            )),
            None => Ok(()),
        }
    }
}

impl Choices {
    /// Returns the choices of a new speedrun.
    ///
    /// # Errors
    /// If an argument is malformed, or the architecture cannot go through all stages.
    pub fn new(given: &Given) -> Result<Self> {
        let preset = given.preset.cloned().unwrap_or_else(|| "nano".into());
        let (name, config) = match given.config {
            Some(path) => (path.display().to_string(), ModelConfig::load(path)?),
            None => (format!("--preset {preset}"), ModelConfig::preset(&preset)?),
        };
        let choices = Self {
            preset: given.config.is_none().then_some(preset),
            config: given.config()?,
            vocabulary: config.vocab_size,
            steps: given.steps()?.unwrap_or([PRETRAINING.steps, FINE_TUNING.steps, REINFORCEMENT.steps]),
            questions: given.questions.unwrap_or(50),
            seed: given.seed.unwrap_or(0),
        };
        let refused = |why: String| Err(Error::argument(format!("{name}: {why}")));
        if config.context < LEAST_CONTEXT {
            return refused(format!("a context of {}: expected at least {LEAST_CONTEXT} tokens", config.context));
        }
        let sparse = config.dense_layers.len() < config.layers;
        let rows = [config.hidden_size, config.intermediate_size].into_iter().find(|n| !n.is_multiple_of(BLOCK));
        match rows.filter(|_| sparse) {
            Some(rows) => refused(format!("rows of {rows} numbers are not whole blocks of {BLOCK}, as MXFP4 needs")),
            None => Ok(choices),
        }
    }
}
