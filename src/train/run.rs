//! The run directory: its files, and how a run that was stopped resumes.
//!
//! The directory is itself a model directory. `state.safetensors` contains everything that training needs (weights,
//! moments, step, position in the data) in one file that is replaced atomically, so that it is consistent whenever a
//! run is killed. `model.safetensors` has the same weights again, for programs that only need the model. There is no
//! other state: the order of the windows is a function of the seed and the epoch.

use super::adamw::{AdamW, Hyperparameters, Moments};
use super::settings::RunSettings;
use crate::checkpoint::{self, TensorFile, TensorToWrite, write_tensors};
use crate::config::ModelConfig;
use crate::data::Cursor;
use crate::error::{Error, Result};
use crate::files::{create_directory, write_atomically};
use crate::layers::Layer;
use crate::model::Transformer;
use crate::parameter::{Request, Source, Value};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The directory of a run.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    path: PathBuf,
}

/// The state of a run, to be saved.
pub struct State<'t> {
    /// The model.
    pub model: &'t Transformer,
    /// The optimizer, with its moments and step count.
    pub optimizer: &'t AdamW,
    /// The position in the data.
    pub cursor: Cursor,
    /// The lowest validation loss so far.
    pub best_loss: Option<f64>,
    /// A fingerprint of the training text.
    pub fingerprint: u64,
}

/// The state of a run that was stopped.
pub struct SavedRun {
    /// The model.
    pub model: Transformer,
    /// The optimizer, with its moments and step count.
    pub optimizer: AdamW,
    /// The position in the data.
    pub cursor: Cursor,
    /// The lowest validation loss so far.
    pub best_loss: Option<f64>,
    /// A fingerprint of the training text.
    pub fingerprint: u64,
}

/// The metadata of `state.safetensors`.
#[derive(Serialize, Deserialize)]
struct Header {
    step: u64,
    cursor: Cursor,
    best_loss: Option<f64>,
    fingerprint: u64,
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

    fn state(&self) -> PathBuf {
        self.file("state.safetensors")
    }

    /// Returns whether the directory has a run that can be resumed.
    pub fn has_state(&self) -> bool {
        self.state().exists()
    }

    /// Refuses a directory that has no run to be resumed.
    pub(super) fn require_state(&self) -> Result<()> {
        if self.has_state() {
            return Ok(());
        }
        Err(Error::file(&self.path, "holds no run to --resume (state.safetensors is missing)"))
    }

    /// Creates the directory for a new run and writes `train.json` and `config.json`.
    ///
    /// # Errors
    /// If the directory is not empty; nothing in it is changed.
    pub fn create(&self, settings: &RunSettings, config: &ModelConfig) -> Result<()> {
        if let Ok(mut entries) = std::fs::read_dir(&self.path)
            && entries.next().is_some()
        {
            let advice = if self.has_state() { "go on with --resume, or choose" } else { "choose" };
            return Err(Error::file(&self.path, format!("already holds something; {advice} another --out")));
        }
        create_directory(&self.path)?;
        write_atomically(&self.file(checkpoint::CONFIG), config.to_json().as_bytes())?;
        self.write_settings(settings)
    }

    /// Writes `train.json`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn write_settings(&self, settings: &RunSettings) -> Result<()> {
        let text = serde_json::to_string_pretty(settings).expect("plain settings");
        write_atomically(&self.file("train.json"), format!("{text}\n").as_bytes())
    }

    /// Reads `train.json`.
    ///
    /// # Errors
    /// If the file is missing or malformed.
    pub fn read_settings(&self) -> Result<RunSettings> {
        let path = self.file("train.json");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
        serde_json::from_str(&text).map_err(|e| Error::invalid(&path, e))
    }

    // ANCHOR: save
    /// Saves a run: first the state, in one atomic replacement, then the model for other programs.
    ///
    /// # Errors
    /// Those of the operating system; the previous state is still complete.
    pub fn save(&self, state: &State) -> Result<()> {
        let parameters = state.model.parameters();
        let trainable = parameters.iter().filter(|parameter| parameter.is_trainable());
        let header = Header {
            step: state.optimizer.steps(),
            cursor: state.cursor,
            best_loss: state.best_loss,
            fingerprint: state.fingerprint,
        };
        let tensors = trainable.zip(state.optimizer.moments()).flat_map(|(parameter, moments)| {
            let (name, tensor) = (parameter.name(), parameter.tensor());
            [
                (name.to_string(), TensorToWrite::f32(tensor.shape(), tensor.data())),
                (format!("m.{name}"), TensorToWrite::f32(tensor.shape(), &moments.m)),
                (format!("v.{name}"), TensorToWrite::f32(tensor.shape(), &moments.v)),
            ]
        });
        let header = serde_json::to_string(&header).expect("plain numbers");
        write_tensors(&self.state(), tensors, &[("ossia", header)])?;
        checkpoint::save_weights(state.model, &self.path)
    }
    // ANCHOR_END: save

    /// Reads the state that [`RunDirectory::save`] wrote.
    ///
    /// # Errors
    /// If there is no state, or it is damaged, or it does not fit `config.json`.
    pub fn resume(&self, hyperparameters: Hyperparameters) -> Result<SavedRun> {
        self.require_state()?;
        let path = self.state();
        let config = ModelConfig::load(self.file(checkpoint::CONFIG))?;
        let file = TensorFile::open(&path)?;
        let header = file.metadata().get("ossia").map_or("", String::as_str);
        let header: Header = serde_json::from_str(header)
            .map_err(|e| Error::file(&path, format!("the metadata is not that of a run: {e}")).caused_by(e))?;
        let model = Transformer::new(&config, &mut StateFile { file: &file })?;
        let mut moments = Vec::new();
        for parameter in model.parameters() {
            let read =
                |kind: &str| file.tensor(&format!("{kind}.{}", parameter.name()), Some(parameter.value().shape()));
            let numbers = |array| crate::tensor::slice(&array).to_vec();
            moments.push(Moments { m: numbers(read("m")?), v: numbers(read("v")?) });
        }
        let optimizer = AdamW::resume(hyperparameters, header.step, moments);
        let Header { cursor, best_loss, fingerprint, .. } = header;
        Ok(SavedRun { model, optimizer, cursor, best_loss, fingerprint })
    }
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
