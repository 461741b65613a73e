//! Prefill, then one token after another.       Book: chapter 17

use super::sampler::{Sampler, Sampling};
use crate::error::{Error, Result};
use crate::layers::KvCache;
use crate::model::Transformer;
use crate::tensor::{Tensor, array, no_grad};
use ndarray::ArrayView2;

/// Tokens of a prompt that run through the model at once: bounds the memory of a long one.
const PREFILL: usize = 512;

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The model said so, with one of the stop tokens.
    EndToken,
    /// As many tokens as were asked for.
    Length,
    /// The model's context is full.
    ContextFull,
    /// The receiver of the tokens wanted no more.
    Receiver,
}

/// A text in the making.
pub struct Generator<'m> {
    model: &'m Transformer,
    cache: KvCache,
    sampler: Sampler,
    text: Vec<u32>,
    logits: Vec<f32>,
    known: usize,
}

impl<'m> Generator<'m> {
    /// Runs the prompt through the model.
    ///
    /// # Errors
    /// If the prompt is empty, does not fit in the context, or has a token that the model does not know.
    pub fn new(model: &'m Transformer, prompt: &[u32], sampling: Sampling) -> Result<Self> {
        let config = &model.config;
        if prompt.is_empty() {
            return Err(Error::argument("the prompt has no tokens; there must be at least one to go on from"));
        }
        if prompt.len() > config.context {
            let (found, context) = (prompt.len(), config.context);
            return Err(Error::argument(format!("the prompt has {found} tokens; this model's context is {context}")));
        }
        check_tokens(prompt, config.vocab_size)?;
        let mut generator = Self {
            model,
            cache: KvCache::new(config),
            sampler: Sampler::new(sampling),
            text: prompt.to_vec(),
            logits: Vec::new(),
            known: config.vocab_size,
        };
        prompt.chunks(PREFILL).for_each(|piece| generator.feed(piece));
        match generator.logits.iter().all(|z| z.is_finite()) {
            true => Ok(generator),
            false => Err(Error::argument("the logits are not finite; are the weights damaged?")),
        }
    }

    /// Draws only ids below `ids`, the size of a tokenizer. A model may have more rows than that (gpt-oss itself has
    /// 201,088 for a tokenizer of 200,019); no text belongs to the others, and training leaves them small, not gone.
    #[must_use]
    pub fn below(mut self, ids: usize) -> Self {
        self.known = ids.clamp(1, self.model.config.vocab_size);
        self
    }

    /// Appends a token that somebody else chose.
    pub fn push(&mut self, token: u32) {
        self.text.push(token);
        self.feed(&[token]);
    }

    /// Runs tokens through the model and keeps the logits of the last.
    fn feed(&mut self, tokens: &[u32]) {
        no_grad(|| {
            let tokens = ArrayView2::from_shape((1, tokens.len()), tokens).expect("one row");
            let hidden = self.model.forward(tokens, Some(&mut self.cache)).hidden;
            let width = self.model.config.hidden_size;
            let last = &hidden.data()[hidden.data().len() - width..];
            let last = Tensor::constant(array(&[1, width], last.to_vec()));
            self.logits = self.model.logits(&last).data().to_vec();
        });
    }

    /// The logits of the next token. (V,)
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Draws the next token, without running it through the model.
    fn draw(&mut self) -> u32 {
        let token = self.sampler.sample(&self.logits[..self.known], &self.text);
        self.text.push(token);
        token
    }

    // ANCHOR: run
    /// Draws up to `max_new_tokens` tokens and hands each to `receive`, which says whether to go on. A stop token ends
    /// the text and is not handed out.
    pub fn run(&mut self, max_new_tokens: usize, stop: &[u32], mut receive: impl FnMut(u32) -> bool) -> Stop {
        for drawn in 1..=max_new_tokens {
            let token = self.draw();
            if stop.contains(&token) {
                return Stop::EndToken;
            }
            if !receive(token) {
                return Stop::Receiver;
            }
            if self.text.len() > self.model.config.context {
                return Stop::ContextFull;
            }
            if drawn < max_new_tokens {
                self.feed(&[token]);
            }
        }
        Stop::Length
    }
    // ANCHOR_END: run
}

/// Checks ids that come from outside.
///
/// # Errors
/// Names the first that is not below `vocab_size`.
pub fn check_tokens(tokens: &[u32], vocab_size: usize) -> Result<()> {
    match tokens.iter().position(|&token| token as usize >= vocab_size) {
        Some(at) => Err(Error::argument(format!(
            "token {} at position {at} is not in the vocabulary; ids are below {vocab_size}",
            tokens[at]
        ))),
        None => Ok(()),
    }
}
