//! Text streams: turn tokens into text as they arrive, up to a stop string.

use crate::error::Result;
use crate::tokenizer::{Tokenizer, Utf8Stream};

/// Turns a stream of tokens into a stream of text. It returns whole characters only, and nothing of a stop string.
pub struct TextStream<'t> {
    tokenizer: &'t Tokenizer,
    utf8: Utf8Stream,
    stop: Vec<String>,
    held: String,
    stopped: bool,
}

impl<'t> TextStream<'t> {
    /// Creates a stream. The text ends before the first of the `stop` strings.
    pub fn new(tokenizer: &'t Tokenizer, stop: &[String]) -> Self {
        let stop = stop.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { tokenizer, utf8: Utf8Stream::new(), stop, held: String::new(), stopped: false }
    }

    /// Returns whether a stop string was reached.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a token and returns the text that is certain now. An end that could be the beginning of a stop string is
    /// held back.
    ///
    /// # Errors
    /// If the tokenizer does not have the token.
    pub fn push(&mut self, token: u32) -> Result<String> {
        let bytes = self.tokenizer.decode_bytes(&[token])?;
        self.held += &self.utf8.push(&bytes);
        Ok(self.release())
    }

    /// Returns the rest of a text that ended without a stop string.
    pub fn finish(mut self) -> String {
        self.held += &std::mem::take(&mut self.utf8).finish();
        let certain = self.release();
        if self.stopped { certain } else { certain + &self.held }
    }

    fn release(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        if let Some(at) = self.stop.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let begins_a_stop = |&at: &usize| {
            self.held.is_char_boundary(at) && self.stop.iter().any(|stop| stop.starts_with(&self.held[at..]))
        };
        let certain = (0..self.held.len()).find(begins_a_stop).unwrap_or(self.held.len());
        let kept = self.held.split_off(certain);
        std::mem::replace(&mut self.held, kept)
    }
}
