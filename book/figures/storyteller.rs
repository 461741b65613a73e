//! The model that the figures look into: `nano`, after 400 steps on the built-in stories.

use ndarray::Array2;
use ossia::config::ModelConfig;
use ossia::data::{Batches, Corpus};
use ossia::error::Result;
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::tensor::{Array, Tensor, slice};
use ossia::tokenizer::{self, END_OF_TEXT, Tokenizer};
use ossia::train::material::windows;
use ossia::train::{Optimizer, RunDirectory, RunSettings, Settings, Trainer};
use std::cell::LazyCell;
use std::collections::HashMap;
use std::path::Path;

/// A model that learned to tell stories.
pub struct Storyteller {
    pub model: Transformer,
    pub tokenizer: Tokenizer,
    /// Visits per expert, of all layers together, in each step of training.
    pub loads: Vec<Vec<usize>>,
    /// The optimizer as it was after the last step.
    pub optimizer: Optimizer,
    /// The training loss of each step.
    pub losses: Vec<f32>,
}

/// The file of the loads and losses of a saved storyteller.
const CURVES: &str = "curves.json";

/// Trained when it is first looked into.
pub type Lazy = LazyCell<Storyteller>;

/// A story that the model was not trained on, for figures to show.
pub const STORY: &str = "Once upon a time, there was a boy named Tom. Tom had a red ball. He loved the ball.";

impl Storyteller {
    /// Trains it, with the same result on every run. If the environment variable `STORYTELLER` names a directory, the first
    /// call leaves the model there and later ones open it, also those of other programs.
    pub fn trained() -> Result<Self> {
        let Some(directory) = std::env::var_os("STORYTELLER") else { return Self::train(None) };
        let directory = Path::new(&directory);
        let state = RunDirectory::new(directory);
        if !state.has_state() {
            return Self::train(Some(directory));
        }
        let saved = state.resume(&RunSettings::default())?;
        let (model, optimizer) = (saved.model, saved.optimizer);
        let tokenizer = Tokenizer::load(directory.join("tokenizer.json"))?;
        let curves = std::fs::read_to_string(directory.join(CURVES)).expect("it was written before the state");
        let (loads, losses) = serde_json::from_str(&curves).expect("it was written below");
        Ok(Self { model, tokenizer, loads, optimizer, losses })
    }

    fn train(directory: Option<&Path>) -> Result<Self> {
        let corpus = Corpus::builtin(6_000, 0);
        let texts = || corpus.documents.iter().map(String::as_str);
        let config = ModelConfig { context: 256, ..ModelConfig::nano() };
        let tokenizer = tokenizer::train(texts(), config.vocab_size, &[END_OF_TEXT])?;
        let windows = windows(&corpus.documents, &tokenizer, config.context)?;
        let settings =
            Settings { log_every: 0, eval_every: 0, save_every: 0, ..Settings::new(400, 8, config.context, 2e-3) };
        let batches = Batches::new(windows, settings.batch_size, settings.seed)?;
        let mut trainer = Trainer::new(Transformer::random(&config, 0), settings, batches, None);
        let (mut loads, mut losses) = (Vec::new(), Vec::new());
        for _ in 0..trainer.settings.steps {
            let report = trainer.step()?;
            loads.push(report.expert_load);
            losses.push(report.loss);
        }
        if let Some(directory) = directory {
            let curves = serde_json::to_string(&(&loads, &losses)).expect("plain numbers");
            std::fs::create_dir_all(directory).expect("the directory of STORYTELLER can be made");
            std::fs::write(directory.join(CURVES), curves).expect("the directory of STORYTELLER can be written to");
            std::fs::write(directory.join("tokenizer.json"), tokenizer.to_json()).expect("as above");
            RunDirectory::new(directory).save(&trainer.state())?;
        }
        Ok(Self { model: trainer.model, tokenizer, loads, optimizer: trainer.optimizer, losses })
    }

    /// A parameter by its name, as a constant.
    pub fn parameter(&self, name: &str) -> Tensor {
        self.model.parameter(name).unwrap_or_else(|| panic!("no parameter {name}")).tensor().detach()
    }

    /// The tokens of a text, spelled.
    pub fn spelled(&self, text: &str) -> Vec<String> {
        let ids = self.tokenizer.encode(text);
        ids.iter().map(|&id| self.tokenizer.decode(&[id]).unwrap_or_default()).collect()
    }

    /// Returns the attention of every head of a layer, (N, T, T + 1). The last column is that of the sink.
    pub fn attention(&self, text: &str, layer: usize) -> Vec<f32> {
        self.model.attention_probabilities(&self.tokenizer.encode(text), layer)
    }

    /// Every tensor on the way of a text through the model, by the names of `ossia trace`.
    pub fn observe(&self, text: &str) -> HashMap<String, Array> {
        let ids = self.tokenizer.encode(text);
        let tokens = Array2::from_shape_fn((1, ids.len()), |(_, t)| ids[t]);
        let mut seen = HashMap::new();
        self.model.forward_observed(tokens.view(), &mut [], &mut |activation, tensor| {
            seen.insert(activation.to_string(), tensor.value().clone());
        });
        seen
    }
}

/// The rows of a tensor.
pub fn rows(x: &Array) -> impl Iterator<Item = &[f32]> {
    let columns = x.shape().last().copied().unwrap_or(1);
    slice(x).chunks_exact(columns)
}
