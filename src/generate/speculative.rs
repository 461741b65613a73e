//! Speculative decoding: a drafter proposes several tokens, and the model checks all of them in one pass.
//!
//! The text has exactly the distribution that it has without drafts, whatever the drafter proposes: see [`accept`]. At temperature 0
//! it is the same text.
//! Leviathan et al. 2022, <https://arxiv.org/abs/2211.17192>
//!
//! Book: [drafts](../../../../book/drafts.html)

use super::drafter::Drafter;
use super::generation::{ReadProgress, Reader, Writer};
use super::generator::Generator;
use super::sampler::{Sampler, Sampling};
use super::sequence::{Sequence, run_ahead};
use super::statistics::Statistics;
use crate::error::Result;
use crate::model::Transformer;
use crate::tokenizer::TokenSet;
use std::collections::VecDeque;

/// A token that was drafted, and what follows it.
struct Draft {
    token: u32,
    q: Vec<f64>,      // the distribution it was drawn from, (V,)
    logits: Vec<f32>, // of the model, for the token after it, (V,)
}

/// A generator that checks drafts.
pub struct Speculative<'d> {
    generator: Generator,
    drafter: Box<dyn Drafter + 'd>,
    sampler: Sampler, // of drafts
    most: usize,
    ahead: VecDeque<Draft>, // drafts that are in the cache of the model and not in the text
    statistics: Statistics,
}

impl<'d> Speculative<'d> {
    /// Creates a generator that checks up to `most` drafts in a pass, and runs the prompt through a frozen copy of the model.
    ///
    /// # Errors
    /// Those of [`Generator::new`].
    pub fn new(
        model: &Transformer,
        drafter: Box<dyn Drafter + 'd>,
        most: usize,
        (prompt, progress): (&[u32], ReadProgress),
        sampling: Sampling,
    ) -> Result<Self> {
        // Other draws than those that judge the drafts.
        let sampler = Sampler::new(Sampling { seed: !sampling.seed, ..sampling.clone() });
        let mut sequence = Sequence::with_spare(model, sampling, most);
        if drafter.wants_hidden() {
            sequence.record_hidden();
        }
        let generator = Generator::empty(model, sequence);
        let (ahead, statistics) = (VecDeque::new(), Statistics::default());
        let mut speculative = Self { generator, drafter, sampler, most, ahead, statistics };
        speculative.go_to(prompt, progress)?;
        Ok(speculative)
    }

    /// Returns how well drafts have done so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Returns the tokens of the text: the prompt and what follows it.
    pub fn text(&self) -> &[u32] {
        self.generator.text()
    }

    // ANCHOR: look_ahead
    /// Lets the drafter propose tokens, and runs them through the model behind the last token of the text.
    fn look_ahead(&mut self) -> Result<()> {
        self.generator.catch_up_to(1, &mut |_, _| {})?;
        let (model, sequence) = self.generator.parts_mut();
        if sequence.waiting() == 0 {
            return Ok(()); // the logits of the next token are known
        }
        let (mut text, mut drafts) = (sequence.tokens().to_vec(), Vec::new());
        let room = model.config.context - text.len();
        while drafts.len() < self.most.min(room)
            && let Some(mut logits) = self.drafter.logits(&text, sequence.hidden())?
        {
            logits.resize(model.config.vocab_size, f32::NEG_INFINITY);
            let q = self.sampler.probabilities(&logits);
            let token = draw(&q, self.sampler.uniform());
            text.push(token);
            drafts.push((token, q));
        }
        let tokens: Vec<u32> = drafts.iter().map(|(token, _)| *token).collect();
        let mut rows = run_ahead(model, sequence, &tokens)?.into_iter();
        sequence.set_logits(rows.next().expect("a row for the last token"));
        self.ahead = drafts.into_iter().zip(rows).map(|((token, q), logits)| Draft { token, q, logits }).collect();
        self.statistics.passes += 1;
        self.statistics.drafted += self.ahead.len();
        Ok(())
    }
    // ANCHOR_END: look_ahead

    /// Removes the drafts from the cache.
    fn discard(&mut self) {
        if !self.ahead.is_empty() {
            self.ahead.clear();
            let (model, sequence) = self.generator.parts_mut();
            let done = sequence.truncate_cache(model, sequence.tokens().len());
            assert!(done, "the cache has spare places for all drafts");
        }
    }
}

impl Writer for Speculative<'_> {
    fn context(&self) -> usize {
        self.generator.context()
    }

    fn room(&self) -> usize {
        self.generator.room()
    }

    // ANCHOR: choose
    fn choose(&mut self, allowed: Option<&TokenSet>) -> Result<Option<u32>> {
        if self.room() == 0 {
            return Ok(None);
        }
        self.look_ahead()?;
        let Some(draft) = self.ahead.front() else { return self.generator.choose(allowed) };
        let (_, sequence) = self.generator.parts_mut();
        let (logits, sampler) = sequence.masked(allowed);
        let p = sampler.probabilities(&logits);
        let token = accept(draft.token, &draft.q, &p, &mut || sampler.uniform());
        if token != draft.token {
            self.discard();
        }
        // If no token is allowed below the size of the vocabulary, another one was drawn.
        Ok(allowed.filter(|allowed| !allowed.contains(token)).map_or(Some(token), TokenSet::first))
    }
    // ANCHOR_END: choose

    fn push(&mut self, token: u32) -> Result<()> {
        if self.ahead.front().is_some_and(|draft| draft.token != token) {
            self.discard();
        }
        self.generator.push(token)?;
        self.sampler.see(token);
        if let Some(draft) = self.ahead.pop_front() {
            self.statistics.accepted += 1;
            self.generator.parts_mut().1.set_logits(draft.logits);
        }
        Ok(())
    }
}

impl Reader for Speculative<'_> {
    fn go_to(&mut self, prompt: &[u32], progress: ReadProgress) -> Result<usize> {
        self.discard();
        let kept = self.generator.go_to(prompt, progress)?;
        self.sampler.restart(prompt);
        Ok(kept)
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics)
    }
}

// ANCHOR: accept
/// Returns a token that has the distribution `p` (V,), given a draft that was drawn from `q` (V,).
///
/// The draft x is accepted with probability min(1, pₓ/qₓ). If it is rejected, the token is drawn from what p has more than q, (p − q)₊.
/// Together, token x has the probability min(pₓ, qₓ) + (pₓ − qₓ)₊ = pₓ. A draft is accepted with probability Σₓ min(pₓ, qₓ): as often as
/// two distributions can agree. `uniform` returns numbers from 0 to 1, without 1.
pub fn accept(draft: u32, q: &[f64], p: &[f64], uniform: &mut dyn FnMut() -> f64) -> u32 {
    let x = draft as usize;
    if uniform() * q[x] < p[x] {
        return draft;
    }
    let more: Vec<f64> = p.iter().zip(q).map(|(p, q)| (p - q).max(0.0)).collect();
    draw(&more, uniform())
}

/// Draws an index in proportion to `weights`, given a number from 0 to 1, without 1.
fn draw(weights: &[f64], uniform: f64) -> u32 {
    let mut rest = uniform * weights.iter().sum::<f64>();
    for (i, weight) in weights.iter().enumerate() {
        rest -= weight;
        if rest < 0.0 {
            return i as u32;
        }
    }
    // Rounding left a remainder, which goes to the largest weight.
    (1..weights.len()).fold(0, |best, i| if weights[i] > weights[best] { i } else { best }) as u32
}
// ANCHOR_END: accept
