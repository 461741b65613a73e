//! Drafters: they propose tokens that the model then checks.
//!
//! Book: [drafts](../../../../book/drafts.html)

use super::sampler::Sampling;
use super::sequence::{Sequence, advance, check_tokens};
use crate::error::{Error, Result};
use crate::layers::{KvCache, Layer};
use crate::model::Transformer;
use crate::tensor::{Tensor, array};
use crate::tokenizer::Tokenizer;

/// Tokens that run through a drafter at once.
const PIECE: usize = 512;

/// Proposes tokens.
pub trait Drafter {
    /// Returns the logits of the token after `text`, (V,); `None` if the drafter has nothing to propose. `hidden` has the output of the
    /// model for the first tokens of the text, (T, H), if the drafter [wants](Self::wants_hidden) it.
    ///
    /// # Errors
    /// Those of a forward pass.
    fn logits(&mut self, text: &[u32], hidden: &[f32]) -> Result<Option<Vec<f32>>>;

    /// Returns whether the drafter needs the output of the model.
    fn wants_hidden(&self) -> bool {
        false
    }
}

/// A smaller model that drafts.
pub struct DraftModel {
    model: Transformer, // frozen
    sequence: Sequence,
}

impl DraftModel {
    /// Lets `draft` write drafts for `model`, up to `most` tokens at once. Both have to have the same tokenizer.
    ///
    /// # Errors
    /// If they do not, or the draft model has fewer token ids than the tokenizer.
    pub fn new(
        (draft, its): (&Transformer, &Tokenizer),
        (model, tokenizer): (&Transformer, &Tokenizer),
        most: usize,
    ) -> Result<Self> {
        let ids = |tokenizer: &Tokenizer| tokenizer.to_json();
        let rows = [draft, model].map(|model| model.config.vocab_size);
        if ids(its) != ids(tokenizer) || rows.iter().any(|&rows| rows < tokenizer.vocab_size()) {
            return Err(Error::argument("has another tokenizer than the model, which could not read its drafts"));
        }
        let model = draft.frozen();
        Ok(Self { sequence: Sequence::with_spare(&model, Sampling::default(), most + 1), model })
    }
}

impl Drafter for DraftModel {
    // ANCHOR: model
    fn logits(&mut self, text: &[u32], _: &[f32]) -> Result<Option<Vec<f32>>> {
        let Self { model, sequence } = self;
        if text.is_empty() || text.len() > model.config.context {
            return Ok(None);
        }
        let known = sequence.tokens()[..sequence.cached()].iter().zip(text);
        let common = known.take_while(|(old, new)| old == new).count().min(text.len() - 1);
        check_tokens(&text[common..], model.config.vocab_size)?;
        if !sequence.truncate_cache(model, common) {
            sequence.clear_cache(model);
        }
        sequence.replace(text);
        while sequence.waiting() > 0 {
            let count = sequence.waiting().min(PIECE);
            advance(model, &mut [&mut *sequence], count)?;
        }
        Ok(Some(sequence.logits().to_vec()))
    }
    // ANCHOR_END: model
}

/// The model's own module for multi-token prediction.
///
/// Pair j is the output of the model for token j and the token after it. It predicts token j + 2. The first draft comes from the last
/// pair that is known. For the next one, the module takes its own output in place of the model's.
pub struct MtpDrafter {
    model: Transformer, // frozen
    cache: KvCache,
    text: Vec<u32>,       // whose pairs are in the cache
    real: usize,          // the number of pairs with the output of the model
    chain: Vec<Vec<f32>>, // the outputs of the module for the last real pair and for those after it
}

impl MtpDrafter {
    /// Lets the module of a model draft.
    ///
    /// # Errors
    /// If the model has none.
    pub fn new(model: &Transformer) -> Result<Self> {
        if model.mtp().is_none() {
            return Err(Error::argument("this model has no multi-token prediction; ossia train --mtp 1 adds it"));
        }
        let (cache, model) = (model.draft_cache(), model.frozen());
        Ok(Self { model, cache, text: Vec::new(), real: 0, chain: Vec::new() })
    }

    /// Keeps the first pairs.
    fn truncate(&mut self, pairs: usize) {
        self.cache.truncate(pairs);
        self.text.truncate(pairs + 1);
        match pairs < self.real {
            true => (self.real, self.chain) = (pairs, Vec::new()),
            false => self.chain.truncate(pairs + 1 - self.real),
        }
    }

    /// Adds pairs: the outputs `hidden` (T, H), and the next `tokens` (T,). Returns the last output of the module.
    fn push(&mut self, hidden: &[f32], tokens: &[u32]) -> Vec<f32> {
        let width = self.model.config.hidden_size;
        let out = self.model.draft(hidden, tokens, &mut self.cache);
        self.text.extend(tokens);
        out.data()[(tokens.len() - 1) * width..].to_vec()
    }
}

impl Drafter for MtpDrafter {
    fn wants_hidden(&self) -> bool {
        true
    }

    // ANCHOR: mtp
    fn logits(&mut self, text: &[u32], hidden: &[f32]) -> Result<Option<Vec<f32>>> {
        let width = self.model.config.hidden_size;
        let (known, pairs) = (hidden.len() / width, text.len().saturating_sub(1));
        if known == 0 || pairs == 0 {
            return Ok(None);
        }
        let same = self.text.iter().zip(text).take_while(|(old, new)| old == new).count();
        let kept = same.saturating_sub(1).min(pairs - 1);
        // What was drafted with the module's own output is computed again as soon as the output of the model is known.
        self.truncate(if known > self.real { kept.min(self.real) } else { kept });
        if self.text.is_empty() || self.cache.is_empty() {
            self.text = vec![text[0]];
        }
        for start in (self.cache.len()..known.min(pairs)).step_by(PIECE) {
            let end = known.min(pairs).min(start + PIECE);
            let last = self.push(&hidden[start * width..end * width], &text[start + 1..=end]);
            (self.real, self.chain) = (end, vec![last]);
        }
        while self.cache.len() < pairs {
            let own = self.chain.last().expect("the output for the pair before").clone();
            let token = text[self.cache.len() + 1];
            let next = self.push(&own, &[token]);
            self.chain.push(next);
        }
        let last = self.chain.last().expect("there is a pair").clone();
        Ok(Some(self.model.logits(&Tensor::constant(array(&[1, width], last))).data().to_vec()))
    }
    // ANCHOR_END: mtp
}
