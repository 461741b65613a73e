//! The run directory: its files, and how a run that was stopped resumes.
//!
//! The directory is itself a model directory. `state.safetensors` contains everything that training needs (weights,
//! moments, step, position in the data) in one file that is replaced atomically, so that it is consistent whenever a
//! run is killed. `model.safetensors` has the same weights again, for programs that only need the model. There is no
//! other state: the order of the windows is a function of the seed and the epoch.
//!
//! One process at a time works in a run directory: it holds a lock on the file `lock`.

use super::optimizer::{Moments, Optimizer};
use super::settings::RunSettings;
use super::start::{saved_model, starting_model};
use crate::checkpoint::{self, TensorFile, TensorToWrite, write_tensors};
use crate::config::ModelConfig;
use crate::data::Cursor;
use crate::error::{Error, Result};
use crate::files::{Lock, create_directory, is_left_over, read_text, remove_left_overs, write_atomically};
use crate::kernels::memory::little_endian;
use crate::layers::Layer;
use crate::model::Transformer;
use crate::parameter::{Request, Source, Value};
use crate::tensor::Tensor;
use crate::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file that a process locks while it works in the directory.
const LOCK: &str = "lock";
/// The key of the position in the metadata of `state.safetensors`. It is the only one, because several would be written in
/// any order, and the same run would not leave the same file.
const POSITION: &str = "ossia";
/// The key of the checksum in version 2 of `state.safetensors`.
const CHECKSUM: &str = "ossia-checksum";

/// The directory of a run.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    path: PathBuf,
}

/// The position of a run, without its arrays, and fingerprints of the texts and the configuration with which it resumes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The number of optimizer steps.
    pub step: u64,
    /// The position in the data.
    pub cursor: Cursor,
    /// The lowest validation loss so far.
    pub best_loss: Option<f64>,
    /// A fingerprint of the training text.
    pub fingerprint: u64,
    /// A fingerprint of the evaluation text. Runs before version 2 of `state.safetensors` have none.
    #[serde(default)]
    pub evaluation: Option<u64>,
    /// A fingerprint of the model's configuration. Runs before version 2 of `state.safetensors` have none.
    #[serde(default)]
    pub config: Option<u32>,
}

/// A position with the checksum of it and of the arrays.
#[derive(Serialize, Deserialize)]
struct Checked {
    position: Box<RawValue>,
    checksum: String,
}

/// The state of a run, to be saved.
pub struct RunState<'t> {
    /// The model.
    pub model: &'t Transformer,
    /// The optimizer, with its moments and step count.
    pub optimizer: &'t Optimizer,
    /// The position of the run.
    pub position: Position,
}

/// The state of a run that was stopped.
pub struct SavedRun {
    /// The model.
    pub model: Transformer,
    /// The optimizer, with its moments and step count.
    pub optimizer: Optimizer,
    /// The position of the run.
    pub position: Position,
}

impl SavedRun {
    /// Returns a run at the same position whose weights and moments are still to come, from another rank.
    ///
    /// # Errors
    /// If the run began with another model, of which parameters are frozen, and this cannot be read.
    pub fn blank(config: &ModelConfig, settings: &RunSettings, position: Position) -> Result<Self> {
        let (method, adamw) = (settings.settings.optimizer, settings.settings.adamw.clone());
        let model = match settings.freeze.is_empty() {
            true => Transformer::random(config, 0),
            false => starting_model(settings, config)?, // the frozen parameters are not sent
        };
        let moments = Optimizer::new(method, adamw.clone(), &model.parameters()).moments().to_vec();
        let optimizer = Optimizer::resume(method, adamw, position.step, moments);
        Ok(Self { model, optimizer, position })
    }
}

/// Returns a fingerprint of a configuration, to check that a resumed run has the same one.
pub fn config_fingerprint(config: &ModelConfig) -> u32 {
    crc32fast::hash(config.to_json().as_bytes())
}

impl RunDirectory {
    /// Creates a handle for the run at `path`, which does not have to exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path of a file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.file("metrics.jsonl")
    }

    /// Returns the path of `samples.txt`.
    pub fn samples(&self) -> PathBuf {
        self.file("samples.txt")
    }

    fn state(&self) -> PathBuf {
        self.file("state.safetensors")
    }

    fn settings(&self) -> PathBuf {
        self.file("train.json")
    }

    /// Returns whether the run has saved a state.
    pub fn has_state(&self) -> bool {
        self.state().exists()
    }

    /// Returns whether the directory has a run that can be resumed, or that was stopped before it saved a state.
    pub fn has_run(&self) -> bool {
        self.settings().exists()
    }

    /// Keeps other processes from working in the directory, and removes the temporary files that a killed one has left.
    ///
    /// # Errors
    /// If the directory has no run, or another process works in it.
    pub fn lock(&self) -> Result<Lock> {
        if !self.has_run() {
            return Err(Error::file(&self.path, "holds no run to --resume (train.json is missing)"));
        }
        self.acquire()
    }

    fn acquire(&self) -> Result<Lock> {
        let lock = Lock::acquire(&self.file(LOCK))?;
        let lock = lock.ok_or_else(|| Error::file(&self.path, "another ossia train works in this directory"))?;
        remove_left_overs(&self.path)?;
        remove_left_overs(&self.file("best"))?;
        Ok(lock)
    }

    /// Creates the directory for a new run, locks it, and writes the tokenizer, `config.json` and `train.json`, in this
    /// order: if `train.json` is there, the run can start.
    ///
    /// # Errors
    /// If the directory is not empty; nothing in it is changed.
    pub fn create(&self, settings: &RunSettings, config: &ModelConfig, tokenizer: Option<&Tokenizer>) -> Result<Lock> {
        self.require_empty()?;
        create_directory(&self.path)?;
        let lock = self.acquire()?;
        self.require_empty()?; // still: another process may have been faster
        if let Some(tokenizer) = tokenizer {
            checkpoint::save_tokenizer(tokenizer, &self.path, config.context)?;
        }
        write_atomically(&self.file(checkpoint::CONFIG), config.to_json().as_bytes())?;
        self.write_settings(settings)?;
        Ok(lock)
    }

    fn require_empty(&self) -> Result<()> {
        let mut entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten().map(|entry| entry.path());
        if entries.all(|path| path == self.file(LOCK) || is_left_over(&path)) {
            return Ok(());
        }
        let advice = if self.has_run() { "go on with --resume, or choose" } else { "choose" };
        Err(Error::file(&self.path, format!("already holds something; {advice} another --out")))
    }

    /// Returns whether the run has taken all its steps. Then writes the weights once more, because a process may have been killed
    /// after it had saved the last state and before it had saved the weights.
    ///
    /// # Errors
    /// If there is no run or it is damaged, or another process works in the directory.
    pub fn is_complete(&self) -> Result<bool> {
        let settings = self.read_settings()?;
        if !self.has_state() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let saved = self.resume(&settings)?;
        let complete = saved.position.step >= settings.settings.steps;
        if complete {
            checkpoint::save_weights(&saved.model, &self.path)?;
        }
        Ok(complete)
    }

    /// Writes `train.json`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn write_settings(&self, settings: &RunSettings) -> Result<()> {
        let text = serde_json::to_string_pretty(settings).expect("plain settings");
        write_atomically(&self.settings(), format!("{text}\n").as_bytes())
    }

    /// Reads `train.json`.
    ///
    /// # Errors
    /// If the file is missing or malformed, or a number in it is out of its range.
    pub fn read_settings(&self) -> Result<RunSettings> {
        let path = self.settings();
        let text = read_text(&path)?;
        let settings: RunSettings = serde_json::from_str(&text).map_err(|e| Error::invalid(&path, e))?;
        settings.check().map_err(|e| Error::invalid(&path, e))?;
        Ok(settings)
    }

    // ANCHOR: save
    /// Saves a run: first the state, in one atomic replacement, then the model for other programs.
    ///
    /// # Errors
    /// Those of the operating system; the previous state is still complete.
    pub fn save(&self, state: &RunState) -> Result<()> {
        let parameters = state.model.parameters();
        let trainable = parameters.iter().filter(|parameter| parameter.is_trainable());
        let mut arrays = BTreeMap::new();
        for (parameter, moments) in trainable.zip(state.optimizer.moments()) {
            let (name, tensor) = (parameter.name(), parameter.tensor());
            arrays.insert(name.to_string(), (tensor.shape(), tensor.data()));
            arrays.insert(format!("m.{name}"), (tensor.shape(), &moments.m[..]));
            if !moments.v.is_empty() {
                arrays.insert(format!("v.{name}"), (tensor.shape(), &moments.v[..]));
            }
        }
        let bytes = arrays.iter().map(|(name, (_, numbers))| (name.as_str(), little_endian(numbers)));
        let position = RawValue::from_string(json(&state.position)).expect("the text is JSON");
        let checksum = checksum(position.get(), bytes);
        let checked = Checked { position, checksum };
        let metadata = [(POSITION, json(&checked))];
        let tensors = arrays.iter().map(|(name, (shape, numbers))| (name.clone(), TensorToWrite::f32(shape, numbers)));
        write_tensors(&self.state(), tensors, &metadata)?;
        checkpoint::save_weights(state.model, &self.path)
    }
    // ANCHOR_END: save

    /// Reads the state that [`RunDirectory::save`] wrote.
    ///
    /// # Errors
    /// If there is no state, or it is damaged, or `config.json` is not the one that the run was started with.
    pub fn resume(&self, settings: &RunSettings) -> Result<SavedRun> {
        let path = self.state();
        let file = TensorFile::open(&path)?;
        let position = verified_position(&file, settings.version)?;
        let config = ModelConfig::load(self.file(checkpoint::CONFIG))?;
        if position.config.is_some_and(|fingerprint| fingerprint != config_fingerprint(&config)) {
            return Err(Error::file(self.file(checkpoint::CONFIG), "is not what the run was started with"));
        }
        let model = match settings.freeze.is_empty() {
            true => Transformer::new(&config, &mut StateFile { file: &file })?,
            false => saved_model(settings, &config, &file)?,
        };
        let (method, mut moments) = (settings.settings.optimizer, Vec::new());
        for parameter in model.parameters().into_iter().filter(|parameter| parameter.is_trainable()) {
            let read =
                |kind: &str| file.tensor(&format!("{kind}.{}", parameter.name()), Some(parameter.value().shape()));
            let numbers = |array| crate::tensor::slice(&array).to_vec();
            let v = if method.has_squares(parameter.role()) { numbers(read("v")?) } else { Vec::new() };
            moments.push(Moments { m: numbers(read("m")?), v });
        }
        let optimizer = Optimizer::resume(method, settings.settings.adamw.clone(), position.step, moments);
        Ok(SavedRun { model, optimizer, position })
    }
}

/// Returns the checksum (CRC-32) of a position and of named arrays, in the order of their names.
fn checksum<'b, B: AsRef<[u8]>>(position: &str, arrays: impl Iterator<Item = (&'b str, B)>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(position.as_bytes());
    for (name, bytes) in arrays {
        hasher.update(name.as_bytes());
        hasher.update(bytes.as_ref());
    }
    format!("{:08x}", hasher.finalize())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain numbers")
}

/// Returns the position in a state whose checksum is right. States of version 1 have none, and in version 2 it stands beside
/// the position.
fn verified_position(file: &TensorFile, version: u32) -> Result<Position> {
    let text = file.metadata().get(POSITION).map_or("", String::as_str);
    let invalid =
        |e: serde_json::Error| Error::file(file.path(), format!("the metadata is not that of a run: {e}")).caused_by(e);
    let (position, expected) = match serde_json::from_str(text) {
        Ok(Checked { position, checksum }) => (position.get().to_string(), Some(checksum)),
        Err(_) => (text.to_string(), file.metadata().get(CHECKSUM).cloned()),
    };
    let arrays = file.names().filter_map(|name| Some((name, &*file.entry(name)?.bytes)));
    let is_right = expected.map_or(version == 1, |expected| expected == checksum(&position, arrays));
    if !is_right {
        let message = "is damaged: its checksum does not fit its content; restore it from a copy, or start a new run";
        return Err(Error::file(file.path(), message));
    }
    serde_json::from_str(&position).map_err(invalid)
}

/// The saved state as a source of parameters, under ossia's own names.
struct StateFile<'a> {
    file: &'a TensorFile,
}

impl Source for StateFile<'_> {
    fn value(&mut self, request: Request) -> Result<Value> {
        Ok(Tensor::parameter(self.file.tensor(request.name, Some(request.shape))?).into())
    }
}
