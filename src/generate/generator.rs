//! Generation by a model: prefill, then one token after another.
//!
//! Book: [kv_cache](../../../../book/kv_cache.html)

use super::generation::{Generation, Plain, ReadProgress, Reader, Writer};
use super::sampler::Sampling;
use super::sequence::{Sequence, advance};
use crate::error::Result;
use crate::layers::{Layer, Mark};
use crate::model::Transformer;
use crate::tokenizer::TokenSet;

/// Tokens of a prompt that run through the model at once, which bounds the memory of a long prompt.
const PREFILL: usize = 512;

/// The number of prompts to whose ends a text can return. Each costs the rings of the sliding layers and a row of logits:
/// 7 MB for gpt-oss-20b.
const MARKS: usize = 8;

/// A model and a text that it continues.
pub struct Generator {
    model: Transformer, // frozen
    sequence: Sequence,
    marks: Vec<Marked>,
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
        let sequence = Sequence::new(model, sampling);
        let mut generator = Self { model: model.frozen(), sequence, marks: Vec::new() };
        generator.go_to(prompt, progress)?;
        Ok(generator)
    }

    // ANCHOR: go_to
    /// Makes the text equal to `prompt`, and runs only the new part through the model. If the prompt begins with the cached
    /// text, the new part is what follows it. Otherwise it is what follows the longest earlier prompt with which the new one
    /// begins. Returns how many tokens were kept. `progress` is called after every piece that was run.
    ///
    /// # Errors
    /// Those of [`new`](Self::new). A prompt that is refused does not change the text.
    pub fn go_to(&mut self, prompt: &[u32], progress: ReadProgress) -> Result<usize> {
        let (model, sequence) = (&self.model, &mut self.sequence);
        sequence.check_prompt(prompt)?;
        let pairs = sequence.tokens()[..sequence.cached()].iter().zip(prompt);
        let common = pairs.take_while(|(old, new)| old == new).count();
        self.marks.retain(|mark| mark.cache.len() <= common);
        if sequence.cached() > common {
            match self.marks.last() {
                Some(mark) => sequence.rewind(model, &mark.cache, &mark.logits),
                None => sequence.clear_cache(model),
            }
        }
        let kept = sequence.cached();
        sequence.replace(prompt);
        self.catch_up(progress)?;
        if self.marks.len() == MARKS {
            self.marks.remove(1); // the first prompt is what most others begin with
        }
        self.marks.push(Marked { cache: self.sequence.mark(), logits: self.sequence.logits().to_vec() });
        Ok(kept)
    }
    // ANCHOR_END: go_to

    /// Appends a token. The last one may be one more than the context holds, because it does not run through the model.
    ///
    /// # Errors
    /// If the token is not in the vocabulary, or the context is full.
    pub fn push(&mut self, token: u32) -> Result<()> {
        self.sequence.push(token)
    }

    /// Returns the tokens of the text: the prompt and what follows it.
    pub fn text(&self) -> &[u32] {
        self.sequence.tokens()
    }

    /// Like [`new`](Self::new), and records which experts each token visits; see [`Batch::routing`](super::Batch::routing).
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn recording(model: &Transformer, prompt: &[u32]) -> Result<Self> {
        let mut sequence = Sequence::new(model, Sampling::default());
        sequence.record_routing();
        let mut generator = Self { model: model.frozen(), sequence, marks: Vec::new() };
        generator.go_to(prompt, &mut |_, _| {})?;
        Ok(generator)
    }

    /// Creates a generator without a text.
    pub(super) fn empty(model: &Transformer, sequence: Sequence) -> Self {
        Self { model: model.frozen(), sequence, marks: Vec::new() }
    }

    /// Returns the frozen model, and the text with its cache.
    pub(super) fn parts_mut(&mut self) -> (&Transformer, &mut Sequence) {
        (&self.model, &mut self.sequence)
    }

    /// Returns the frozen model and the text with its cache.
    pub(super) fn into_parts(self) -> (Transformer, Sequence) {
        (self.model, self.sequence)
    }

    /// Returns the logits of the next token. (V,)
    ///
    /// # Errors
    /// If the logits are not finite, which means that the weights are damaged.
    pub fn logits(&mut self) -> Result<&[f32]> {
        self.catch_up(&mut |_, _| {})?;
        Ok(self.sequence.logits())
    }

    /// Runs all waiting tokens through the model, in pieces.
    fn catch_up(&mut self, progress: ReadProgress) -> Result<()> {
        self.catch_up_to(0, progress)
    }

    /// Runs waiting tokens through the model, in pieces, until only `left` of them wait.
    pub(super) fn catch_up_to(&mut self, left: usize, progress: ReadProgress) -> Result<()> {
        while self.sequence.waiting() > left {
            let count = (self.sequence.waiting() - left).min(PREFILL);
            advance(&self.model, &mut [&mut self.sequence], count)?;
            progress(self.sequence.cached(), self.sequence.tokens().len());
        }
        Ok(())
    }

    /// Draws the next token, among the allowed ones if a set is given; `None` if the context is full. The token is not
    /// appended.
    ///
    /// # Errors
    /// If the logits are not finite, which means that the weights are damaged.
    pub fn choose(&mut self, allowed: Option<&TokenSet>) -> Result<Option<u32>> {
        self.logits()?;
        self.sequence.choose(allowed)
    }

    /// Draws the next token and appends it; `None` if the context is full.
    ///
    /// # Errors
    /// Those of [`choose`](Self::choose).
    pub fn draw(&mut self) -> Result<Option<u32>> {
        let token = self.choose(None)?;
        token.map_or(Ok(()), |token| self.push(token))?;
        Ok(token)
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
        self.sequence.context()
    }

    fn room(&self) -> usize {
        self.sequence.room()
    }

    fn choose(&mut self, allowed: Option<&TokenSet>) -> Result<Option<u32>> {
        Generator::choose(self, allowed)
    }

    fn push(&mut self, token: u32) -> Result<()> {
        Generator::push(self, token)
    }
}

impl Reader for Generator {
    fn go_to(&mut self, prompt: &[u32], progress: ReadProgress) -> Result<usize> {
        Generator::go_to(self, prompt, progress)
    }
}
