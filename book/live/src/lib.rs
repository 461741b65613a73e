//! The engine behind the interactive pages of the book.
//!
//! A page asks a question in JSON, and [`Live::ask`] answers in JSON: `{"vocabulary": "stories", "text": "Once upon"}` on the page
//! `tokens` becomes pieces, merges and ids. Each page has a module with the form of its questions and answers. All numbers come
//! from the library, which also computes those of the command line.
//!
//! There are four programs for the browser, one per feature, so that a page loads only what it needs. Programs that are not for a
//! browser have all features.
//!
//! Book: [in a browser](../../../book/browser.html)

mod browser;
#[cfg(any(feature = "model", feature = "text"))]
mod marks;
#[cfg(feature = "model")]
mod model;
#[cfg(any(feature = "text", feature = "training"))]
mod number;
#[cfg(any(feature = "model", feature = "schema", feature = "text"))]
mod spelled;
#[cfg(feature = "schema")]
mod structured_output;
#[cfg(feature = "text")]
mod text;
#[cfg(feature = "training")]
mod training;

use ossia::error::{Error, Result};
use ossia::tokenizer::Tokenizer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The state of the pages that are open.
#[derive(Default)]
pub struct Live {
    vocabularies: BTreeMap<String, Tokenizer>,
    #[cfg(feature = "model")]
    models: model::models::Models,
    #[cfg(feature = "training")]
    training: Option<training::Training>,
}

impl Live {
    /// Answers a question of a page.
    ///
    /// # Errors
    /// If there is no such page, if the question has another form than the page expects, and those of the page.
    pub fn ask(&mut self, page: &str, question: &str) -> Result<String> {
        #[cfg(feature = "text")]
        if let Some(answer) = text::ask(self, page, question) {
            return answer;
        }
        #[cfg(feature = "model")]
        if let Some(answer) = model::ask(self, page, question) {
            return answer;
        }
        match page {
            #[cfg(feature = "schema")]
            "structured_output" => self.answer(question, structured_output::answer),
            #[cfg(feature = "training")]
            "training" => self.answer(question, training::answer),
            _ => Err(Error::argument(format!("there is no page {page}"))),
        }
    }

    /// Opens a vocabulary, the text of a `tokenizer.json`, under a name.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn open_vocabulary(&mut self, name: &str, tokenizer: &str) -> Result<()> {
        self.vocabularies.insert(name.into(), Tokenizer::from_json(tokenizer, "tokenizer.json")?);
        Ok(())
    }

    /// Opens a model under a name; see [`ossia::checkpoint::open_from_memory`].
    ///
    /// # Errors
    /// If a file is damaged.
    #[cfg(feature = "model")]
    pub fn open(&mut self, name: &str, config: &str, tokenizer: &str, weights: Vec<u8>) -> Result<()> {
        self.models.open(name, config, tokenizer, weights)
    }

    #[cfg(any(feature = "schema", feature = "text"))]
    fn vocabulary(&self, name: &str) -> Result<&Tokenizer> {
        self.vocabularies.get(name).ok_or_else(|| Error::argument(format!("the vocabulary {name} is not open")))
    }

    // ANCHOR: answer
    /// Reads a question, lets a page answer it, and writes the answer.
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
    // ANCHOR_END: answer
}
