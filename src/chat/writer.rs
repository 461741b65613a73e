//! What writes the tokens of a reply.

use crate::error::Result;
use crate::generate::Generator;
use crate::tokenizer::TokenSet;

/// Goes on with a text, token by token. A model does that; so does a recording of one, to test what hears it.
pub trait Writer {
    /// How many tokens the text may have.
    fn context(&self) -> usize;

    /// Makes the text equal to `prompt`. Returns how many tokens of it were known from before.
    ///
    /// # Errors
    /// A prompt that is empty, longer than the context, or has a token that is not in the vocabulary.
    fn go_to(&mut self, prompt: &[u32]) -> Result<usize>;

    /// The next token, of those that are allowed where not all are; `None` if the context is full. It does not stand in
    /// the text yet.
    fn choose(&mut self, allowed: Option<&TokenSet>) -> Option<u32>;

    /// Appends a token, chosen by this or by somebody else.
    ///
    /// # Errors
    /// If it is not in the vocabulary, or the context is full.
    fn push(&mut self, token: u32) -> Result<()>;
}

impl Writer for Generator {
    fn context(&self) -> usize {
        Generator::context(self)
    }

    fn go_to(&mut self, prompt: &[u32]) -> Result<usize> {
        Generator::go_to(self, prompt)
    }

    fn choose(&mut self, allowed: Option<&TokenSet>) -> Option<u32> {
        Generator::choose(self, allowed)
    }

    fn push(&mut self, token: u32) -> Result<()> {
        Generator::push(self, token)
    }
}
