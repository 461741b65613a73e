//! The models of the pages.

use ossia::checkpoint;
use ossia::error::{Error, Result};
use ossia::model::Transformer;
use ossia::stored::Bytes;
use ossia::tokenizer::Tokenizer;
use serde_json::Value;
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
    config: String,
    /// The bytes of `model.safetensors`.
    weights: Bytes,
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

impl Model {
    /// Returns the model with another number in its configuration. It shares the weights.
    pub fn with(&self, key: &str, number: usize) -> Result<Transformer> {
        let mut config: Value = serde_json::from_str(&self.config).expect("it was parsed when the model was opened");
        config[key] = number.into();
        checkpoint::load_from_memory(&config.to_string(), self.weights.clone())
    }

    /// Checks that a text is not too long for what a page shows, or for the model.
    pub fn check_length(&self, ids: &[u32], longest: usize) -> Result<()> {
        let longest = longest.min(self.transformer.config.context);
        if ids.len() <= longest {
            return Ok(());
        }
        Err(Error::argument(format!("{} tokens; this page shows at most {longest}", ids.len())))
    }
}
