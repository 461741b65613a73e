//! The engine behind the interactive pages of the book.
//!
//! A page asks a question in JSON, and [`Live::ask`] answers in JSON: `{"text": "Once upon"}` on the page `tokens` becomes pieces,
//! merges and ids. Each page has a module with the form of its questions and answers. All numbers come from the library, which
//! also computes those of the command line.
//!
//! Book: [in a browser](../../../book/browser.html)

mod attention;
mod browser;
mod effort;
mod expression;
mod gradients;
mod harmony;
mod kv_cache;
mod models;
mod mxfp4;
mod number;
mod rms_norm;
mod rotary;
mod routing;
mod sampling;
mod speed;
mod story;
mod structured_output;
mod swiglu;
mod tokens;
mod training;

use models::Models;
use ossia::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use training::Training;

/// The state of the pages that are open.
#[derive(Default)]
pub struct Live {
    models: Models,
    training: Option<Training>,
}

impl Live {
    // ANCHOR: ask
    /// Answers a question of a page.
    ///
    /// # Errors
    /// If there is no such page, if the question has another form than the page expects, and those of the page.
    pub fn ask(&mut self, page: &str, question: &str) -> Result<String> {
        match page {
            "attention" => self.answer(question, attention::answer),
            "effort" => self.answer(question, effort::answer),
            "gradients" => self.answer(question, gradients::answer),
            "harmony" => self.answer(question, harmony::answer),
            "kv_cache" => self.answer(question, kv_cache::answer),
            "mxfp4" => self.answer(question, mxfp4::answer),
            "rms_norm" => self.answer(question, rms_norm::answer),
            "rotary" => self.answer(question, rotary::answer),
            "routing" => self.answer(question, routing::answer),
            "sampling" => self.answer(question, sampling::answer),
            "speed" => self.answer(question, speed::answer),
            "story" => self.answer(question, story::answer),
            "structured_output" => self.answer(question, structured_output::answer),
            "swiglu" => self.answer(question, swiglu::answer),
            "tokens" => self.answer(question, tokens::answer),
            "training" => self.answer(question, training::answer),
            _ => Err(Error::argument(format!("there is no page {page}"))),
        }
    }
    // ANCHOR_END: ask

    /// Opens a model under a name; see [`ossia::checkpoint::open_from_memory`].
    ///
    /// # Errors
    /// If a file is damaged.
    pub fn open(&mut self, name: &str, config: &str, tokenizer: &str, weights: Vec<u8>) -> Result<()> {
        self.models.open(name, config, tokenizer, weights)
    }

    fn answer<Q: DeserializeOwned, A: Serialize>(
        &mut self,
        question: &str,
        page: fn(&mut Self, Q) -> Result<A>,
    ) -> Result<String> {
        let question = serde_json::from_str(question)
            .map_err(|error| Error::argument(format!("not a question of this page: {error}")))?;
        let answer = page(self, question)?;
        Ok(serde_json::to_string(&answer).expect("answers are numbers, texts and lists"))
    }
}
