//! The models of the pages.

use ossia::checkpoint;
use ossia::error::{Error, Result};
use ossia::model::Transformer;
use ossia::stored::Bytes;
use ossia::tokenizer::Tokenizer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Models by their names.
#[derive(Default)]
pub struct Models(BTreeMap<String, Model>);

/// A model, and the files that it was opened from.
pub struct Model {
    pub transformer: Transformer,
    pub tokenizer: Tokenizer,
    /// The text of `config.json`.
    pub config: String,
    /// The bytes of `model.safetensors`.
    pub weights: Bytes,
}

impl Models {
    pub fn open(&mut self, name: &str, config: &str, tokenizer: &str, weights: Vec<u8>) -> Result<()> {
        let weights = Bytes::new(Arc::new(weights));
        let (transformer, tokenizer) = checkpoint::open_from_memory(config, tokenizer, weights.clone())?;
        let model = Model { transformer, tokenizer, config: config.into(), weights };
        self.0.insert(name.into(), model);
        Ok(())
    }

    pub fn get(&self, name: &str) -> Result<&Model> {
        self.0.get(name).ok_or_else(|| Error::argument(format!("the model {name} is not open")))
    }
}
