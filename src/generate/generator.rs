//! Prefill, then one token after another.       Book: kv_cache.md

use super::sampler::{Sampler, Sampling};
use crate::error::{Error, Result};
use crate::layers::{KvCache, Layer, Mark};
use crate::model::Transformer;
use crate::tensor::{Tensor, array};
use crate::tokenizer::TokenSet;
use ndarray::ArrayView2;

/// Tokens of a prompt that run through the model at once: bounds the memory of a long one.
const PREFILL: usize = 512;

/// Prompts to whose ends a text can come back. One costs what the sliding layers keep and a row of logits: 7 MB for
/// gpt-oss-20b.
const MARKS: usize = 8;

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
///
/// What was drawn last is run through the model only when the token after it is wanted: until then the cache is one
/// token behind the text.
pub struct Generator {
    model: Transformer, // detached
    cache: KvCache,
    marks: Vec<Marked>,
    sampler: Sampler,
    text: Vec<u32>,
    logits: Vec<f32>, // of the token after those in the cache
    known: usize,
}

/// A prompt's end, to which the text can come back.
struct Marked {
    cache: Mark,
    logits: Vec<f32>,
}

impl Generator {
    /// Runs the prompt through the model.
    ///
    /// # Errors
    /// If the prompt is empty, does not fit in the context, or has a token that the model does not know.
    pub fn new(model: &Transformer, prompt: &[u32], sampling: Sampling) -> Result<Self> {
        let mut generator = Self {
            model: model.detached(),
            cache: KvCache::new(&model.config),
            marks: Vec::new(),
            sampler: Sampler::new(sampling),
            text: Vec::new(),
            logits: Vec::new(),
            known: model.config.vocab_size,
        };
        generator.go_to(prompt)?;
        Ok(generator)
    }

    /// Draws only ids below `ids`, the size of a tokenizer. A model may have more rows than that (gpt-oss itself has
    /// 201,088 for a tokenizer of 200,019); no text belongs to the others, and training leaves them small, not gone.
    #[must_use]
    pub fn below(mut self, ids: usize) -> Self {
        self.known = ids.clamp(1, self.model.config.vocab_size);
        self
    }

    // ANCHOR: go_to
    /// Makes the text equal to `prompt`, and runs through the model only what is not there already: all that follows the
    /// cache, or, where the two part earlier, the last prompt's end before they do. Returns how many tokens were kept.
    ///
    /// # Errors
    /// Those of [`new`](Self::new); the text is then what it was.
    pub fn go_to(&mut self, prompt: &[u32]) -> Result<usize> {
        self.check_prompt(prompt)?;
        let pairs = self.text[..self.cache.len()].iter().zip(prompt);
        let common = pairs.take_while(|(old, new)| old == new).count();
        self.marks.retain(|mark| mark.cache.len() <= common);
        if self.cache.len() > common {
            match self.marks.last() {
                Some(mark) => {
                    self.cache.rewind(&mark.cache);
                    self.logits.clone_from(&mark.logits);
                }
                None => self.cache = KvCache::new(&self.model.config),
            }
        }
        let kept = self.cache.len();
        self.text = prompt.to_vec();
        prompt[kept..].chunks(PREFILL).for_each(|piece| self.feed(piece));
        if !self.logits.iter().all(|z| z.is_finite()) {
            return Err(Error::argument("the logits are not finite; are the weights damaged?"));
        }
        if self.marks.len() == MARKS {
            self.marks.remove(1); // the first prompt is what most others begin with
        }
        self.marks.push(Marked { cache: self.cache.mark(), logits: self.logits.clone() });
        Ok(kept)
    }
    // ANCHOR_END: go_to

    fn check_prompt(&self, prompt: &[u32]) -> Result<()> {
        let (found, context) = (prompt.len(), self.model.config.context);
        if found == 0 {
            return Err(Error::argument("the prompt has no tokens; there must be at least one to go on from"));
        }
        if found > context {
            return Err(Error::argument(format!("the prompt has {found} tokens; this model's context is {context}")));
        }
        check_tokens(prompt, self.model.config.vocab_size)
    }

    /// Appends a token that was chosen, by this or by somebody else. The last one may be one more than the context holds:
    /// it is not run through the model.
    ///
    /// # Errors
    /// If the model does not know it, or the context is full.
    pub fn push(&mut self, token: u32) -> Result<()> {
        check_tokens(&[token], self.model.config.vocab_size)?;
        if self.text.len() > self.model.config.context {
            let context = self.model.config.context;
            return Err(Error::argument(format!("this model's context of {context} tokens is full")));
        }
        self.text.push(token);
        Ok(())
    }

    /// Runs tokens through the model and keeps the logits of the last.
    fn feed(&mut self, tokens: &[u32]) {
        let tokens = ArrayView2::from_shape((1, tokens.len()), tokens).expect("one row");
        let hidden = self.model.forward(tokens, Some(&mut self.cache)).hidden;
        let width = self.model.config.hidden_size;
        let last = &hidden.data()[hidden.data().len() - width..];
        let last = Tensor::constant(array(&[1, width], last.to_vec()));
        self.logits = self.model.logits(&last).data().to_vec();
    }

    /// How many tokens the text may have.
    pub fn context(&self) -> usize {
        self.model.config.context
    }

    /// The tokens so far, the prompt's and those drawn.
    pub fn text(&self) -> &[u32] {
        &self.text
    }

    /// The logits of the next token. (V,)
    pub fn logits(&mut self) -> &[f32] {
        let mut waiting = self.text.split_off(self.cache.len());
        let beyond = waiting.split_off(waiting.len().min(self.model.config.context - self.cache.len()));
        waiting.chunks(PREFILL).for_each(|piece| self.feed(piece));
        self.text.extend(waiting.into_iter().chain(beyond));
        &self.logits
    }

    // ANCHOR: choose
    /// The next token, of those that are allowed where not all are; `None` if the context is full. It does not stand in
    /// the text yet.
    pub fn choose(&mut self, allowed: Option<&TokenSet>) -> Option<u32> {
        if self.text.len() > self.model.config.context {
            return None;
        }
        self.logits();
        let logits = &self.logits[..self.known];
        let Some(allowed) = allowed else { return Some(self.sampler.sample(logits, &self.text)) };
        let mut logits = logits.to_vec();
        allowed.mask(&mut logits);
        let token = self.sampler.sample(&logits, &self.text);
        // What is not a number is drawn only where nothing else is left.
        if allowed.contains(token) { Some(token) } else { allowed.first() }
    }
    // ANCHOR_END: choose

    /// Draws the next token; `None` if the context is full.
    pub fn draw(&mut self) -> Option<u32> {
        let token = self.choose(None)?;
        self.text.push(token);
        Some(token)
    }

    // ANCHOR: run
    /// Draws up to `max_new_tokens` tokens and hands each to `receive`, which says whether to go on. A stop token ends
    /// the text and is not handed out.
    pub fn run(&mut self, max_new_tokens: usize, stop: &[u32], mut receive: impl FnMut(u32) -> bool) -> Stop {
        for _ in 0..max_new_tokens {
            match self.draw() {
                None => return Stop::ContextFull,
                Some(token) if stop.contains(&token) => return Stop::EndToken,
                Some(token) if !receive(token) => return Stop::Receiver,
                Some(_) => {}
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
