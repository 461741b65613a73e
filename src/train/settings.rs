//! The settings of a run.
//!
//! Book: [training](../../../../book/training.html)

use super::adamw::Hyperparameters;
use super::optimizer::Method;
use super::paths::{BUILTIN, DataPath};
use super::rl::Reinforcement;
use super::schedule::Schedule;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::harmony::SystemContent;
use crate::layers::{Adapter, QuantizedFormat};
use crate::parameter::Roles;
use serde::{Deserialize, Serialize};

/// Everything that determines a run, apart from the model and the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The number of optimizer steps.
    pub steps: u64,
    /// Windows per micro-batch.
    pub batch_size: usize,
    /// Tokens per window.
    pub context: usize,
    /// Micro-batches per step. Together they have the gradient of one large batch.
    pub accumulate: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps in which the learning rate rises linearly.
    pub warmup: u64,
    /// The course of the learning rate after that.
    pub schedule: Schedule,
    /// The rule by which matrices are updated. Older runs, whose `train.json` does not name it, use AdamW.
    #[serde(default)]
    pub optimizer: Method,
    /// The hyperparameters of the optimizer.
    pub adamw: Hyperparameters,
    /// The format whose values the model computes with, for quantization-aware training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qat: Option<QuantizedFormat>,
    /// The weight of the loss of drafts, if the model has a module for multi-token prediction; `None`: the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtp_weight: Option<f32>,
    /// The seed of the parameters and of the order of the windows.
    pub seed: u64,
    /// Steps between two logged ones; 0 logs only the first and the last.
    pub log_every: u64,
    /// Steps between two evaluations; 0 evaluates only after the last step.
    pub eval_every: u64,
    /// Steps between two checkpoints; 0 saves only after the last step.
    pub save_every: u64,
}

impl Default for Settings {
    /// Returns the settings of `ossia train`: those that suit the preset nano, with windows of 256 tokens.
    fn default() -> Self {
        let suited = Suited::to("nano", false, None);
        Self {
            optimizer: suited.optimizer,
            adamw: suited.hyperparameters(),
            ..Self::new(suited.steps, suited.batch_size, 256, suited.learning_rate)
        }
    }
}

impl Settings {
    /// Creates settings for AdamW with a warm-up of a twentieth of the steps, and five evaluations and checkpoints.
    pub fn new(steps: u64, batch_size: usize, context: usize, learning_rate: f64) -> Self {
        let fifth = (steps / 5).max(1);
        Self {
            steps,
            batch_size,
            context,
            accumulate: 1,
            learning_rate,
            warmup: (steps / 20).max(1),
            schedule: Schedule::Linear,
            optimizer: Method::AdamW,
            adamw: Hyperparameters::default(),
            qat: None,
            mtp_weight: None,
            seed: 0,
            log_every: 10,
            eval_every: fifth,
            save_every: fifth,
        }
    }

    /// Returns the weight of the loss of drafts: 0.3 by default, as in most of the training of DeepSeek-V3.
    pub fn mtp_weight(&self) -> f32 {
        self.mtp_weight.unwrap_or(0.3)
    }

    /// Returns the learning rate of a step, counted from 1.
    pub fn learning_rate(&self, step: u64) -> f64 {
        self.schedule.learning_rate(step, self.steps, self.warmup, self.learning_rate)
    }

    /// Checks that a step can be divided among `ranks`.
    ///
    /// # Errors
    /// If there is no rank, or there are more ranks than micro-batches in a step.
    pub fn check_ranks(&self, ranks: usize) -> Result<()> {
        match self.accumulate {
            micro_batches if (1..=micro_batches).contains(&ranks) => Ok(()),
            micro_batches => Err(Error::argument(format!(
                "{ranks} ranks: expected 1 to {micro_batches}, the number of micro-batches per step"
            ))),
        }
    }

    /// Checks that groups of `group` ranks can hold the experts of a model together.
    ///
    /// # Errors
    /// If the group divides the ranks or the experts unevenly, or the ranks the micro-batches: then some ranks would wait for
    /// tokens of others that have none.
    pub fn check_group(&self, config: &ModelConfig, ranks: usize, group: usize) -> Result<()> {
        let divides = |what: &str, number: usize| match group > 0 && number.is_multiple_of(group) {
            true => Ok(()),
            false => Err(Error::argument(format!(
                "--expert-parallel {group}: expected a divisor of {number}, the number of {what}"
            ))),
        };
        divides("ranks", ranks)?;
        if group == 1 {
            return Ok(());
        }
        if config.mtp_layers > 0 {
            return Err(Error::argument(format!(
                "--expert-parallel {group}: multi-token prediction works without expert parallelism only"
            )));
        }
        if config.dense_layers.len() == config.layers {
            return Err(Error::argument(format!("--expert-parallel {group}: this model has no experts")));
        }
        divides("experts", config.experts)?;
        match self.accumulate {
            micro_batches if micro_batches.is_multiple_of(ranks) => Ok(()),
            micro_batches => Err(Error::argument(format!(
                "--expert-parallel {group}: {ranks} ranks cannot divide {micro_batches} micro-batches per step evenly"
            ))),
        }
    }

    /// Checks that every number is in its range. A message names the setting as the flag of `ossia train`.
    ///
    /// # Errors
    /// The first number that is not.
    pub fn check(&self) -> Result<()> {
        let Hyperparameters { beta1, beta2, weight_decay, clip, epsilon } = self.adamw;
        let unit = |x: f64| (0.0..1.0).contains(&x);
        let checks = [
            ("steps", self.steps as f64, self.steps > 0, "at least 1"),
            ("batch-size", self.batch_size as f64, self.batch_size > 0, "at least 1"),
            ("context", self.context as f64, self.context > 0, "at least 1"),
            ("accumulate", self.accumulate as f64, (1..=1 << 16).contains(&self.accumulate), "1 to 65536"),
            ("learning-rate", self.learning_rate, self.learning_rate > 0.0, "more than 0"),
            ("beta1", beta1, unit(beta1), "0 to 1, without 1"),
            ("beta2", beta2, unit(beta2), "0 to 1, without 1"),
            ("weight-decay", weight_decay, weight_decay >= 0.0, "0 or more"),
            ("clip", clip, clip > 0.0, "more than 0, and finite"),
            ("mtp-weight", self.mtp_weight().into(), self.mtp_weight() >= 0.0, "0 or more, and finite"),
            ("epsilon", epsilon, epsilon as f32 > 0.0 && epsilon <= 1.0, "more than 0, at most 1"),
        ];
        match checks.iter().find(|(_, value, in_range, _)| !in_range || !value.is_finite()) {
            Some((flag, value, _, expected)) => Err(Error::argument(format!("--{flag} {value}: expected {expected}"))),
            None => Ok(()),
        }
    }
}

/// What suits a preset. The chapter on Muon has the runs by which the numbers for nano were chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suited {
    /// The number of optimizer steps.
    pub steps: u64,
    /// Windows per micro-batch.
    pub batch_size: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The weight decay λ.
    pub weight_decay: f64,
    /// The rule by which matrices are updated.
    pub optimizer: Method,
}

impl Suited {
    /// Returns what suits a preset that trains on text, or learns a task, with the optimizer that was asked for, if any.
    pub fn to(preset: &str, is_task: bool, optimizer: Option<Method>) -> Self {
        let usual = if preset == "nano" && !is_task { Method::Muon } else { Method::AdamW };
        let optimizer = optimizer.unwrap_or(usual);
        let (steps, batch_size, learning_rate, weight_decay) = match (preset, optimizer) {
            ("nano", _) if is_task => (2_500, 16, 2e-3, 0.1),
            ("nano", Method::Muon) => (650, 8, 4e-3, 0.01),
            ("nano", Method::AdamW) => (1_000, 8, 2e-3, 0.1),
            ("tiny", _) => (1_000, 16, 2e-3, 0.1),
            ("small", _) => (4_000, 4, 1e-3, 0.1),
            _ => (4_000, 4, 5e-4, 0.1),
        };
        Self { steps, batch_size, learning_rate, weight_decay, optimizer }
    }

    /// Returns what suits a model that is trained further: a lower learning rate than the first time, and a still lower one if it
    /// only has to bear being quantized.
    pub fn to_continue(optimizer: Option<Method>, quantized: bool) -> Self {
        let optimizer = optimizer.unwrap_or(Method::AdamW);
        let learning_rate = if quantized { 1e-4 } else { 5e-4 };
        Self { steps: 500, batch_size: 8, learning_rate, weight_decay: 0.01, optimizer }
    }

    /// Returns what suits reinforcement learning: few steps with many rollouts each, and no weight decay.
    pub fn to_reinforce(optimizer: Option<Method>) -> Self {
        let optimizer = optimizer.unwrap_or(Method::AdamW);
        Self { steps: 100, batch_size: 24, learning_rate: 1e-4, weight_decay: 0.0, optimizer }
    }

    /// Returns the usual hyperparameters with this weight decay.
    pub fn hyperparameters(&self) -> Hyperparameters {
        Hyperparameters { weight_decay: self.weight_decay, ..Hyperparameters::default() }
    }
}

/// The default number of built-in stories.
pub const STORIES: usize = 20_000;
/// The largest number of built-in stories. They are made in memory, and the number may come from a flag.
const MOST_STORIES: usize = 10_000_000;
/// The default number of tokens that an evaluation may use.
pub const EVAL_TOKENS: usize = 65_536;
/// The newest version of `state.safetensors`. Version 2 has a checksum, and fingerprints of the evaluation text and of the
/// configuration; version 3 has all of them in one field, so that a run always leaves the same bytes.
const VERSION: u32 = 3;

/// The content of `train.json`: how the run was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSettings {
    /// The name of the architecture.
    pub preset: String,
    /// The task, if the run does not train on text: `arithmetic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The share of questions of the task that are worked out as at a random effort, whichever is asked for; `None`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix_efforts: Option<f64>,
    /// The system message of the conversations, if `data` has conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chats: Option<SystemContent>,
    /// The model with which the run begins; `None` for random numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<DataPath>,
    /// The parameters that are not trained.
    #[serde(default, skip_serializing_if = "Roles::is_empty")]
    pub freeze: Roles,
    /// The LoRA adapter that is trained, beside a model whose own parameters all stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<Adapter>,
    /// How the model is rewarded, if it learns by reinforcement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reinforcement: Option<Reinforcement>,
    /// The training data: paths, or `builtin`.
    pub data: Vec<DataPath>,
    /// The evaluation data; if empty, a part of `data`.
    pub eval_data: Vec<DataPath>,
    /// The most tokens of evaluation text; `None` for all.
    #[serde(default)]
    pub eval_tokens: Option<usize>,
    /// The field of a JSONL line that holds the text.
    pub field: String,
    /// The share of documents that are set aside for validation if there is no `eval_data`.
    pub validation_fraction: f64,
    /// The number of built-in stories, if `data` is `builtin`.
    pub stories: usize,
    /// All other settings.
    pub settings: Settings,
    /// The format of `state.safetensors`.
    pub version: u32,
}

impl Default for RunSettings {
    /// Returns the settings of `ossia train` without arguments: the preset nano on built-in stories.
    fn default() -> Self {
        Self {
            preset: "nano".into(),
            task: None,
            mix_efforts: None,
            chats: None,
            init: None,
            freeze: Roles::default(),
            lora: None,
            reinforcement: None,
            data: vec![BUILTIN.into()],
            eval_data: Vec::new(),
            eval_tokens: Some(EVAL_TOKENS),
            field: "text".into(),
            validation_fraction: 0.02,
            stories: STORIES,
            settings: Settings::default(),
            version: VERSION,
        }
    }
}

impl RunSettings {
    /// Returns whether the model learns to answer in conversations.
    pub fn is_chat(&self) -> bool {
        self.task.is_some() || self.chats.is_some()
    }

    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// The first number that is not.
    pub fn check(&self) -> Result<()> {
        if !(1..=VERSION).contains(&self.version) {
            let version = self.version;
            return Err(Error::argument(format!(
                "version {version}: expected at most {VERSION}; is this ossia too old?"
            )));
        }
        if !(0.0..1.0).contains(&self.validation_fraction) {
            let fraction = self.validation_fraction;
            return Err(Error::argument(format!("--validation-fraction {fraction}: expected 0 to 1, without 1")));
        }
        check_stories(self.stories)?;
        if let Some(share) = self.mix_efforts.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(Error::argument(format!("--mix-efforts {share}: expected 0 to 1")));
        }
        if let Some(rl) = &self.reinforcement {
            rl.check()?;
        }
        self.settings.check()
    }

    /// Notes that the next state will have the newest format. Runs of version 1 stay as they are, because their state may have no
    /// checksum.
    pub(super) fn renew(&mut self) {
        if self.version > 1 {
            self.version = VERSION;
        }
    }

    /// Makes the paths of the data and of the first model absolute, so that the run can resume from another directory.
    ///
    /// # Errors
    /// Those of [`DataPath::absolute`].
    pub fn with_absolute_paths(mut self) -> Result<Self> {
        for path in self.data.iter_mut().chain(&mut self.eval_data).chain(&mut self.init) {
            *path = path.absolute()?;
        }
        Ok(self)
    }
}

/// Checks a number of built-in stories.
///
/// # Errors
/// If there are more than 10 million.
pub fn check_stories(count: usize) -> Result<()> {
    match count {
        0..=MOST_STORIES => Ok(()),
        _ => Err(Error::argument(format!("{count} stories: expected at most {MOST_STORIES}"))),
    }
}
