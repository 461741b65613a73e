//! A sequence: the tokens of a text, and what is needed to continue it.
//!
//! Book: [kv_cache](../../../../book/kv_cache.html)

use super::generation::Writer;
use super::sampler::{Sampler, Sampling};
use crate::checkpoint;
use crate::error::{Error, Result};
use crate::layers::router::Routing;
use crate::layers::{KvCache, Mark};
use crate::model::{Output, Transformer};
use crate::tensor::{Tensor, array};
use crate::tokenizer::TokenSet;
use ndarray::Array2;
use std::sync::Arc;

/// A text that a model continues.
///
/// The last token runs through the model only when the token after it is wanted. Until then the cache is behind the text.
pub struct Sequence {
    tokens: Vec<u32>,
    cache: KvCache,
    logits: Vec<f32>, // (V,) of the token after those in the cache
    sampler: Sampler,
    context: usize,
    vocab_size: usize,
    routing: Option<Vec<Arc<[u32]>>>, // if it is recorded: the experts of each token in the cache, layer by layer
    hidden: Option<Vec<f32>>,         // if it is recorded: the output of the model for each token in the cache, (T, H)
    spare: usize,
}

impl Sequence {
    /// Creates an empty sequence for a model.
    pub fn new(model: &Transformer, sampling: Sampling) -> Self {
        let config = &model.config;
        Self {
            tokens: Vec::new(),
            cache: KvCache::new(config),
            logits: Vec::new(),
            sampler: Sampler::new(sampling),
            context: config.context,
            vocab_size: config.vocab_size,
            routing: None,
            hidden: None,
            spare: 0,
        }
    }

    /// Creates an empty sequence from which up to `spare` tokens can be removed at any time.
    pub(super) fn with_spare(model: &Transformer, sampling: Sampling, spare: usize) -> Self {
        let mut sequence = Self { spare, ..Self::new(model, sampling) };
        sequence.clear_cache(model);
        sequence
    }

    /// Records the output of the model for each token from now on. Panics if tokens have run through the model already.
    pub(super) fn record_hidden(&mut self) {
        assert_eq!(self.cached(), 0, "the output for the first tokens is not known");
        self.hidden = Some(Vec::new());
    }

    /// Returns the recorded output of the model for the tokens in the cache. (T, H)
    pub(super) fn hidden(&self) -> &[f32] {
        self.hidden.as_deref().unwrap_or(&[])
    }

    /// Records which experts each token visits from now on. Panics if tokens have run through the model already.
    pub(super) fn record_routing(&mut self) {
        assert_eq!(self.cached(), 0, "the experts of the first tokens are not known");
        self.routing = Some(Vec::new());
    }

    /// Returns the experts that each token in the cache visited, those of the first layer that has experts first; none if they are
    /// not recorded.
    pub fn routing(&self) -> &[Arc<[u32]>] {
        self.routing.as_deref().unwrap_or(&[])
    }

    /// Returns the same text, which goes on with other draws.
    #[must_use]
    pub fn with_sampling(self, sampling: Sampling) -> Self {
        let mut sampler = Sampler::new(sampling);
        sampler.restart(&self.tokens);
        Self { sampler, ..self }
    }

    /// Returns a copy of the text, which goes on with other draws.
    #[must_use]
    pub fn fork(&self, sampling: Sampling) -> Self {
        let copy = Self {
            tokens: self.tokens.clone(),
            cache: self.cache.clone(),
            logits: self.logits.clone(),
            sampler: Sampler::new(Sampling::default()),
            routing: self.routing.clone(),
            hidden: self.hidden.clone(),
            ..*self
        };
        copy.with_sampling(sampling)
    }

    /// Returns the tokens of the text.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Returns how many tokens have run through the model.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// Returns how many tokens have still to run through the model. The last token that fits in the text does not: nothing
    /// follows it.
    pub fn waiting(&self) -> usize {
        self.tokens.len().min(self.context).saturating_sub(self.cache.len())
    }

    /// Returns the logits of the token after those that have run through the model. (V,)
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Replaces the text by `prompt`, of which the cache already holds the beginning.
    pub(super) fn replace(&mut self, prompt: &[u32]) {
        self.tokens = prompt.to_vec();
        self.sampler.restart(prompt);
    }

    /// Removes everything from the cache.
    pub(super) fn clear_cache(&mut self, model: &Transformer) {
        self.cache = KvCache::with_spare(&model.config.windows, &model.config, self.spare);
        self.forget_records(model.config.hidden_size);
    }

    /// Returns a mark for the end of the cached tokens.
    pub(super) fn mark(&self) -> Mark {
        self.cache.mark()
    }

    /// Goes back to a mark, after which the logits were `logits`.
    pub(super) fn rewind(&mut self, model: &Transformer, mark: &Mark, logits: &[f32]) {
        self.cache.rewind(mark);
        self.logits = logits.to_vec();
        self.forget_records(model.config.hidden_size);
    }

    /// Removes the tokens from `len` on from the cache. Returns whether this is possible.
    pub(super) fn truncate_cache(&mut self, model: &Transformer, len: usize) -> bool {
        let done = self.cache.truncate(len);
        self.forget_records(model.config.hidden_size);
        done
    }

    /// Forgets what was recorded of tokens that are no longer in the cache.
    fn forget_records(&mut self, width: usize) {
        let cached = self.cache.len();
        self.routing.iter_mut().for_each(|routing| routing.truncate(cached));
        self.hidden.iter_mut().for_each(|hidden| hidden.truncate(cached * width));
    }

    /// Takes the logits of the token after the text, which are known already.
    pub(super) fn set_logits(&mut self, logits: Vec<f32>) {
        self.logits = logits;
    }

    /// Returns the logits of the next token with all but the allowed ones masked, and what draws from them.
    pub(super) fn masked(&mut self, allowed: Option<&TokenSet>) -> (Vec<f32>, &mut Sampler) {
        let mut logits = self.logits.clone();
        allowed.iter().for_each(|allowed| allowed.mask(&mut logits));
        (logits, &mut self.sampler)
    }

    /// Checks a prompt for this model.
    ///
    /// # Errors
    /// If it is empty, does not fit in the context, or has a token that is not in the vocabulary.
    pub(super) fn check_prompt(&self, prompt: &[u32]) -> Result<()> {
        let (found, context) = (prompt.len(), self.context);
        if found == 0 {
            return Err(Error::argument("the prompt has no tokens; there must be at least one to continue from"));
        }
        if found > context {
            return Err(Error::argument(format!("the prompt has {found} tokens; this model's context is {context}")));
        }
        check_tokens(prompt, self.vocab_size)
    }
}

impl Writer for Sequence {
    fn context(&self) -> usize {
        self.context
    }

    fn room(&self) -> usize {
        (self.context + 1).saturating_sub(self.tokens.len())
    }

    // ANCHOR: choose
    fn choose(&mut self, allowed: Option<&TokenSet>) -> Result<Option<u32>> {
        if self.room() == 0 {
            return Ok(None);
        }
        assert_eq!(self.waiting(), 0, "the logits are those of an earlier token");
        let Some(allowed) = allowed else { return Ok(Some(self.sampler.sample(&self.logits))) };
        let (logits, sampler) = self.masked(Some(allowed));
        let token = sampler.sample(&logits);
        // If no token is allowed below the size of the vocabulary, the sampler draws another one.
        Ok(if allowed.contains(token) { Some(token) } else { allowed.first() })
    }
    // ANCHOR_END: choose

    fn push(&mut self, token: u32) -> Result<()> {
        check_tokens(&[token], self.vocab_size)?;
        if self.room() == 0 {
            let context = self.context;
            return Err(Error::argument(format!("this model's context of {context} tokens is full")));
        }
        self.tokens.push(token);
        self.sampler.see(token);
        Ok(())
    }
}

// ANCHOR: advance
/// Runs the next `count` waiting tokens of each sequence through the model, and keeps the logits after the last one. Each
/// weight is read once for all sequences.
///
/// # Errors
/// If logits are not finite, which means that the weights are damaged.
pub fn advance(model: &Transformer, sequences: &mut [&mut Sequence], count: usize) -> Result<()> {
    let tokens = sequences.iter().flat_map(|one| one.tokens[one.cache.len()..][..count].to_vec()).collect();
    let tokens = Array2::from_shape_vec((sequences.len(), count), tokens).expect("count tokens of each");
    let mut caches: Vec<&mut KvCache> = sequences.iter_mut().map(|one| &mut one.cache).collect();
    let Output { hidden, routing, .. } = model.forward_cached(tokens.view(), &mut caches);
    record(&routing, sequences, count);
    let width = model.config.hidden_size;
    record_hidden(hidden.data(), sequences, count * width);
    let last: Vec<f32> =
        hidden.data().chunks(count * width).flat_map(|rows| rows[(count - 1) * width..].to_vec()).collect();
    let logits = model.logits(&Tensor::constant(array(&[sequences.len(), width], last)));
    for (one, logits) in sequences.iter_mut().zip(logits.data().chunks(model.config.vocab_size)) {
        one.logits = logits.to_vec();
    }
    check_finite(model, logits.data())
}
// ANCHOR_END: advance

/// Runs the last token of a sequence, which is waiting, and the tokens that are drafted after it through the model. Returns the
/// logits after each of them: those of the token after the text first.
///
/// # Errors
/// Those of [`advance`].
pub fn run_ahead(model: &Transformer, sequence: &mut Sequence, drafts: &[u32]) -> Result<Vec<Vec<f32>>> {
    assert_eq!(sequence.waiting(), 1, "the tokens before the last one are in the cache");
    let tokens: Vec<u32> = sequence.tokens.last().into_iter().chain(drafts).copied().collect();
    let tokens = Array2::from_shape_vec((1, tokens.len()), tokens).expect("one row");
    let Output { hidden, .. } = model.forward_cached(tokens.view(), &mut [&mut sequence.cache]);
    record_hidden(hidden.data(), &mut [sequence], hidden.data().len());
    let logits = model.logits(&hidden);
    check_finite(model, logits.data())?;
    Ok(logits.data().chunks(model.config.vocab_size).map(<[f32]>::to_vec).collect())
}

/// Checks logits.
///
/// # Errors
/// If one is not finite; the message names the damaged weight, if it is found.
fn check_finite(model: &Transformer, logits: &[f32]) -> Result<()> {
    if logits.iter().all(|z| z.is_finite()) {
        return Ok(());
    }
    checkpoint::check(model)?;
    Err(Error::argument("the logits are not finite; are the weights damaged?"))
}

/// Records the output of the model, of which each sequence has so many numbers, in the sequences that want it.
fn record_hidden(hidden: &[f32], sequences: &mut [&mut Sequence], numbers: usize) {
    for (one, rows) in sequences.iter_mut().zip(hidden.chunks(numbers)) {
        one.hidden.iter_mut().for_each(|recorded| recorded.extend_from_slice(rows));
    }
}

/// Records which experts `count` tokens of each sequence visited, in the sequences that want it.
fn record(routing: &[Routing], sequences: &mut [&mut Sequence], count: usize) {
    for (i, one) in sequences.iter_mut().enumerate() {
        let Some(recorded) = &mut one.routing else { continue };
        recorded.extend((i * count..(i + 1) * count).map(|row| -> Arc<[u32]> {
            let of_row = |layer: &Routing| {
                let active = layer.dispatch.active;
                layer.chosen[row * active..][..active].to_vec()
            };
            routing.iter().flat_map(of_row).collect()
        }));
    }
}

/// Checks token ids that a caller gives.
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
