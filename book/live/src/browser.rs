//! The interface of the engine in a browser.
#![cfg(target_arch = "wasm32")]

use crate::Live;
use wasm_bindgen::prelude::*;

/// The engine in a browser.
#[wasm_bindgen]
pub struct Engine(Live);

#[wasm_bindgen]
extern "C" {
    /// Receives the message of a panic, after which the engine cannot be used any more.
    #[wasm_bindgen(js_name = panicked)]
    fn panicked(message: &str);
}

#[wasm_bindgen]
impl Engine {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        std::panic::set_hook(Box::new(|panic| panicked(&panic.to_string())));
        Self(Live::default())
    }

    /// See [`Live::open_vocabulary`].
    pub fn open_vocabulary(&mut self, name: &str, tokenizer: &str) -> Result<(), JsError> {
        Ok(self.0.open_vocabulary(name, tokenizer)?)
    }

    /// See [`Live::open`].
    #[cfg(feature = "model")]
    pub fn open(&mut self, name: &str, config: &str, tokenizer: &str, weights: Vec<u8>) -> Result<(), JsError> {
        Ok(self.0.open(name, config, tokenizer, weights)?)
    }

    /// See [`Live::ask`].
    pub fn ask(&mut self, page: &str, question: &str) -> Result<String, JsError> {
        Ok(self.0.ask(page, question)?)
    }
}
