//! Generation by a model: prefill, then one token after another.
//!
//! Book: [kv_cache](../../../../book/kv_cache.html)

use super::generation::{Generation, Plain, ReadProgress, Writer};
use super::sampler::{Sampler, Sampling};
use crate::checkpoint;
use crate::error::{Error, Result};
use crate::layers::{KvCache, Layer, Mark};
use crate::model::Transformer;
use crate::tensor::{Tensor, array};
use crate::tokenizer::TokenSet;
use ndarray::ArrayView2;

/// Tokens of a prompt that run through the model at once, which bounds the memory of a long prompt.
const PREFILL: usize = 512;

/// The number of prompts to whose ends a text can return. Each costs the rings of the sliding layers and a row of logits:
/// 7 MB for gpt-oss-20b.
const MARKS: usize = 8;

/// A text that a model continues.
///
/// The last token runs through the model only when the token after it is wanted. Until then the cache is one token behind
/// the text.
pub struct Generator {
    model: Transformer, // detached
    cache: KvCache,
    marks: Vec<Marked>,
    sampler: Sampler,
    text: Vec<u32>,
    logits: Vec<f32>, // of the token after those in the cache
}

/// The end of a prompt, to which the text can return.
struct Marked {
    cache: Mark,
    logits: Vec<f32>,
}

impl Generator {
    /// Creates a generator and runs the prompt through a frozen copy of the model, which shares its numbers.
    ///
    /// # Errors
    /// If the prompt is empty, does not fit in the context, or has a token that is not in the vocabulary; or if the logits
    /// are not finite, which means that the weights are damaged.
    pub fn new(model: &Transformer, prompt: &[u32], sampling: Sampling) -> Result<Self> {
        Self::with_progress(model, prompt, sampling, &mut |_, _| {})
    }

    /// Like [`new`](Self::new), and calls `progress` while the prompt runs through the model.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with_progress(
        model: &Transformer,
        prompt: &[u32],
        sampling: Sampling,
        progress: ReadProgress,
    ) -> Result<Self> {
        let mut generator = Self {
            model: model.detached(),
            cache: KvCache::new(&model.config),
            marks: Vec::new(),
            sampler: Sampler::new(sampling),
            text: Vec::new(),
            logits: Vec::new(),
        };
        generator.go_to(prompt, progress)?;
        Ok(generator)
    }

    // ANCHOR: go_to
    /// Makes the text equal to `prompt`, and runs only the new part through the model. If the prompt begins with the cached
    /// text, the new part is what follows it. Otherwise it starts at the end of the last earlier prompt that both have in
    /// common. Returns how many tokens were kept. `progress` is called after every piece that was run.
    ///
    /// # Errors
    /// Those of [`new`](Self::new). A prompt that is refused does not change the text.
    pub fn go_to(&mut self, prompt: &[u32], progress: ReadProgress) -> Result<usize> {
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
        self.sampler.restart(prompt);
        for piece in prompt[kept..].chunks(PREFILL) {
            self.feed(piece);
            progress(self.cache.len(), prompt.len());
        }
        self.check_logits()?;
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
            return Err(Error::argument("the prompt has no tokens; there must be at least one to continue from"));
        }
        if found > context {
            return Err(Error::argument(format!("the prompt has {found} tokens; this model's context is {context}")));
        }
        check_tokens(prompt, self.model.config.vocab_size)
    }

    /// Appends a token. The last one may be one more than the context holds, because it does not run through the model.
    ///
    /// # Errors
    /// If the token is not in the vocabulary, or the context is full.
    pub fn push(&mut self, token: u32) -> Result<()> {
        check_tokens(&[token], self.model.config.vocab_size)?;
        if self.room() == 0 {
            let context = self.model.config.context;
            return Err(Error::argument(format!("this model's context of {context} tokens is full")));
        }
        self.text.push(token);
        self.sampler.see(token);
        Ok(())
    }

    /// Runs tokens through the model and keeps the logits after the last one.
    fn feed(&mut self, tokens: &[u32]) {
        let tokens = ArrayView2::from_shape((1, tokens.len()), tokens).expect("one row");
        let hidden = self.model.forward(tokens, Some(&mut self.cache)).hidden;
        let width = self.model.config.hidden_size;
        let last = &hidden.data()[hidden.data().len() - width..];
        let last = Tensor::constant(array(&[1, width], last.to_vec()));
        self.logits = self.model.logits(&last).data().to_vec();
    }

    /// Returns how many tokens the text may have.
    pub fn context(&self) -> usize {
        self.model.config.context
    }

    /// Returns how many more tokens may be appended.
    pub fn room(&self) -> usize {
        (self.model.config.context + 1).saturating_sub(self.text.len())
    }

    /// Returns the tokens of the text: the prompt and what follows it.
    pub fn text(&self) -> &[u32] {
        &self.text
    }

    /// Returns the logits of the next token. (V,)
    pub fn logits(&mut self) -> &[f32] {
        let mut waiting = self.text.split_off(self.cache.len());
        let beyond = waiting.split_off(waiting.len().min(self.model.config.context - self.cache.len()));
        waiting.chunks(PREFILL).for_each(|piece| self.feed(piece));
        self.text.extend(waiting.into_iter().chain(beyond));
        &self.logits
    }

    // ANCHOR: choose
    /// Draws the next token, among the allowed ones if a set is given; `None` if the context is full. The token is not
    /// appended.
    ///
    /// # Errors
    /// If the logits are not finite, which means that the weights are damaged.
    pub fn choose(&mut self, allowed: Option<&TokenSet>) -> Result<Option<u32>> {
        if self.room() == 0 {
            return Ok(None);
        }
        self.logits();
        self.check_logits()?;
        let Some(allowed) = allowed else { return Ok(Some(self.sampler.sample(&self.logits))) };
        let mut logits = self.logits.clone();
        allowed.mask(&mut logits);
        let token = self.sampler.sample(&logits);
        // If no token is allowed below the size of the vocabulary, the sampler draws another one.
        Ok(if allowed.contains(token) { Some(token) } else { allowed.first() })
    }
    // ANCHOR_END: choose

    /// Draws the next token and appends it; `None` if the context is full.
    ///
    /// # Errors
    /// Those of [`choose`](Self::choose).
    pub fn draw(&mut self) -> Result<Option<u32>> {
        let token = self.choose(None)?;
        token.map_or(Ok(()), |token| self.push(token))?;
        Ok(token)
    }

    /// Checks that the logits are finite. If they are not, finds the damaged weight.
    fn check_logits(&self) -> Result<()> {
        if self.logits.iter().all(|z| z.is_finite()) {
            return Ok(());
        }
        checkpoint::check(&self.model)?;
        Err(Error::argument("the logits are not finite; are the weights damaged?"))
    }

    // ANCHOR: generate
    /// Continues the text by up to `max_new_tokens` tokens. The result is an iterator over them; a stop token ends the text
    /// and is not part of it.
    pub fn generate(&mut self, max_new_tokens: usize, stop: &[u32]) -> Generation<'_, Plain> {
        Generation::new(self, Plain::new(max_new_tokens, stop))
    }
    // ANCHOR_END: generate
}

impl Writer for Generator {
    fn context(&self) -> usize {
        Generator::context(self)
    }

    fn room(&self) -> usize {
        Generator::room(self)
    }

    fn go_to(&mut self, prompt: &[u32], progress: ReadProgress) -> Result<usize> {
        Generator::go_to(self, prompt, progress)
    }

    fn choose(&mut self, allowed: Option<&TokenSet>) -> Result<Option<u32>> {
        Generator::choose(self, allowed)
    }

    fn push(&mut self, token: u32) -> Result<()> {
        Generator::push(self, token)
    }
}

/// Checks token ids that come from outside.
///
/// # Errors
/// If an id is not below `vocab_size`; the message names the first one.
pub fn check_tokens(tokens: &[u32], vocab_size: usize) -> Result<()> {
    match tokens.iter().position(|&token| token as usize >= vocab_size) {
        Some(at) => Err(Error::argument(format!(
            "token {} at position {at} is not in the vocabulary; ids are below {vocab_size}",
            tokens[at]
        ))),
        None => Ok(()),
    }
}
