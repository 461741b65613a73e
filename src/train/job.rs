//! What the ranks of a job do before the first step: they compare what they have, and the others learn what rank 0 does alone.
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use super::material::Material;
use super::memory;
use super::run::{Position, RunDirectory, SavedRun, config_fingerprint};
use super::settings::RunSettings;
use crate::checkpoint;
use crate::collective::Collective;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::files::{Lock, read_text};
use crate::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use std::ops::ControlFlow;

/// What has to be the same on all ranks, by name: numbers, or checksums.
pub type Identity = Map<String, Value>;

/// Returns what a rank has.
pub fn identity(settings: &RunSettings, config: &ModelConfig, material: &Material) -> Identity {
    let program = std::env::current_exe().and_then(std::fs::read).map_or(0, |program| crc32fast::hash(&program));
    let mut identity = Map::from_iter([("program".to_string(), Value::from(program))]);
    flatten(serde_json::to_value(settings).expect("plain settings"), &mut identity);
    // Each machine may have the text at another place.
    identity.retain(|name, _| name != "data" && name != "eval_data");
    identity.insert("configuration".into(), config_fingerprint(config).into());
    identity.insert("tokenizer".into(), crc32fast::hash(material.tokenizer.to_json().as_bytes()).into());
    identity.insert("training text".into(), material.windows.fingerprint().into());
    identity.insert("evaluation text".into(), material.evaluation.windows.fingerprint().into());
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

/// Compares what the ranks have, and returns what this rank has.
///
/// # Errors
/// If a rank has failed, or has something else than rank 0. All ranks get an error that names the same one.
pub fn agree<T>(ranks: &dyn Collective, own: Result<T>, identity: impl Fn(&T) -> Identity) -> Result<T> {
    type Said = std::result::Result<Identity, String>;
    if ranks.size() == 1 {
        return own;
    }
    let said: Said = own.as_ref().map(identity).map_err(Error::to_string);
    let mut all = Vec::new();
    for (rank, message) in ranks.all_gather(&serde_json::to_vec(&said).expect("plain values"))?.iter().enumerate() {
        let said: Said = serde_json::from_slice(message).unwrap_or_else(|e| Err(format!("has another program: {e}")));
        all.push((rank, said));
    }
    let wrong = |rank: usize, message: String| {
        // The rank itself need not be told which one it is.
        if rank == ranks.rank() && own.is_err() { None } else { Some(Error::Rank { rank, message }) }
    };
    let first = all[0].1.clone();
    let compared = all.into_iter().try_for_each(|(rank, said)| match (said, &first) {
        (Err(message), _) => ControlFlow::Break(wrong(rank, message)),
        (Ok(identity), Ok(first)) => difference(&identity, first)
            .map_or(ControlFlow::Continue(()), |difference| ControlFlow::Break(wrong(rank, difference))),
        (Ok(_), Err(_)) => ControlFlow::Continue(()),
    });
    match compared {
        ControlFlow::Break(Some(error)) => Err(error),
        _ => own,
    }
}

/// Describes the first difference between a rank and rank 0.
fn difference(rank: &Identity, first: &Identity) -> Option<String> {
    let (name, value) = rank.iter().find(|(name, value)| first.get(*name) != Some(value))?;
    let is_checksum =
        ["program", "configuration", "tokenizer", "training text", "evaluation text"].contains(&name.as_str());
    Some(match first.get(name) {
        Some(other) if !is_checksum => format!("its {name} is {value}, and that of rank 0 is {other}"),
        _ => format!("its {name} is not that of rank 0"),
    })
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
    pub fn read(directory: &RunDirectory, steps: Option<u64>, ranks: usize) -> Result<Self> {
        let lock = directory.lock()?;
        let before = directory.read_settings()?;
        let mut settings = before.clone();
        settings.settings.steps = steps.unwrap_or(settings.settings.steps);
        settings.check()?;
        settings.settings.check_ranks(ranks)?;
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
        memory::check(&config, 1)?;
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
