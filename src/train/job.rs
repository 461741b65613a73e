//! What the ranks of a job do before the first step: they compare what they have, and the others learn what rank 0 does alone.
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use super::material::Material;
use super::memory;
use super::run::{Position, RunDirectory, SavedRun, config_fingerprint};
use super::settings::RunSettings;
use super::start::check_quantized;
use crate::checkpoint;
use crate::collective::agree::{self, Identity};
use crate::collective::{Alone, Collective};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::files::{Lock, read_text};
use crate::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The job that a session belongs to.
#[derive(Clone)]
pub struct Job {
    /// The ranks, of which this process is one.
    pub ranks: Arc<dyn Collective>,
    /// How many ranks hold the experts of the model together; 1 if each has all.
    pub expert_parallel: usize,
    /// Whether activations are computed again in the backward pass; this changes the number of exchanges.
    pub recompute: bool,
}

impl Job {
    /// Returns the job of a single process.
    pub fn alone() -> Self {
        Self { ranks: Arc::new(Alone::default()), expert_parallel: 1, recompute: false }
    }
}

/// Returns what a rank has.
pub fn identity(job: &Job, settings: &RunSettings, config: &ModelConfig, material: &Material) -> Identity {
    let mut identity = agree::program();
    identity.insert("expert_parallel".into(), job.expert_parallel.into());
    identity.insert("checkpoint_activations".into(), job.recompute.into());
    flatten(serde_json::to_value(settings).expect("plain settings"), &mut identity);
    // Each machine may have the text at another place.
    identity.retain(|name, _| name != "data" && name != "eval_data");
    identity.insert("configuration".into(), agree::checksum(config_fingerprint(config).into()));
    identity
        .insert("tokenizer".into(), agree::checksum(crc32fast::hash(material.tokenizer.to_json().as_bytes()).into()));
    identity.insert("training text".into(), agree::checksum(material.windows.fingerprint()));
    identity.insert("evaluation text".into(), agree::checksum(material.evaluation.windows.fingerprint()));
    identity
}

/// Adds the numbers in a tree of objects, each under its own name.
fn flatten(tree: Value, flat: &mut Identity) {
    let Value::Object(object) = tree else { return };
    for (name, value) in object {
        if value.is_object() {
            flatten(value, flat);
        } else {
            flat.insert(name, value);
        }
    }
}

/// Lets rank 0 do something, while the others wait. Returns its result on rank 0.
///
/// # Errors
/// If it fails, or a rank is gone.
pub fn on_first<T>(ranks: &dyn Collective, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let done = if ranks.rank() == 0 { Some(work()?) } else { None };
    ranks.barrier()?;
    Ok(done)
}

/// What rank 0 finds in the directory of a run that is resumed.
pub struct Opened {
    /// The lock of the directory.
    pub lock: Lock,
    /// The saved state, unless the run was stopped before it saved one.
    pub saved: Option<SavedRun>,
    texts: Texts,
}

/// The texts from which each rank learns what a run is.
#[derive(Serialize, Deserialize)]
struct Texts {
    before: RunSettings,
    settings: RunSettings,
    config: String,
    tokenizer: String,
    position: Option<Position>,
}

impl Opened {
    /// Reads the directory of a run.
    ///
    /// # Errors
    /// If it has no run, another process works in it, the run is finished or damaged, or there are too many ranks for it.
    pub fn read(directory: &RunDirectory, steps: Option<u64>, job: &Job) -> Result<Self> {
        let lock = directory.lock()?;
        let before = directory.read_settings()?;
        let mut settings = before.clone();
        settings.settings.steps = steps.unwrap_or(settings.settings.steps);
        settings.check()?;
        settings.renew();
        let tokenizer = read_text(&directory.file(checkpoint::TOKENIZER))?;
        let saved = directory.has_state().then(|| directory.resume(&settings)).transpose()?;
        let position = saved.as_ref().map(|saved| saved.position);
        if let Some(Position { step, .. }) = position
            && step >= settings.settings.steps
        {
            return Err(Error::file(directory.path(), format!("is finished: {step} steps; give more with --steps")));
        }
        let config = ModelConfig::load(directory.file(checkpoint::CONFIG))?;
        settings.settings.check_ranks(job.ranks.size())?;
        settings.settings.check_group(&config, job.ranks.size(), job.expert_parallel)?;
        check_quantized(&config, &settings)?;
        memory::check(&config, &settings, 1)?;
        let texts = Texts { before, settings, config: config.to_json(), tokenizer, position };
        Ok(Self { lock, saved, texts })
    }
}

/// What a run is that is resumed.
pub struct Found {
    /// The settings as they were.
    pub before: RunSettings,
    /// The settings as they are now.
    pub settings: RunSettings,
    /// The configuration of the model.
    pub config: ModelConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The position, if the run has saved a state.
    pub position: Option<Position>,
}

impl Found {
    /// Sends all ranks what rank 0 has found in `directory`.
    ///
    /// # Errors
    /// If the tokenizer or the configuration is malformed, or a rank is gone.
    pub fn share(opened: Option<&Opened>, directory: &RunDirectory, ranks: &dyn Collective) -> Result<Self> {
        let own = opened.map(|opened| serde_json::to_vec(&opened.texts).expect("plain values")).unwrap_or_default();
        let texts = ranks.broadcast(0, &own)?;
        let texts = serde_json::from_slice(&texts).map_err(Error::unusable)?;
        let Texts { before, settings, config, tokenizer, position } = texts;
        let config = ModelConfig::from_json(&config, directory.file(checkpoint::CONFIG))?;
        let tokenizer = Tokenizer::from_json(&tokenizer, directory.file(checkpoint::TOKENIZER))?;
        Ok(Self { before, settings, config, tokenizer, position })
    }
}
