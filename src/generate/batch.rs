//! A batch: several texts at once. Each step appends one token to each of them.
//!
//! A step of decoding reads every weight that its token needs. With several texts, the weights that they share are read once
//! for all: all of attention and of the output projection, and the experts that more than one text visits. So a batch takes
//! little longer per step than a single text, until the arithmetic is the limit.
//!
//! Book: [kv_cache](../../../../book/kv_cache.html)

use super::generation::{Control, Course, StopReason};
use super::generator::Generator;
use super::sampler::Sampling;
use super::sequence::{Sequence, advance};
use crate::error::Result;
use crate::kernels;
use crate::model::Transformer;
use std::sync::Arc;

/// Several texts that continue the same prompt.
pub struct Batch<C> {
    model: Transformer, // frozen
    texts: Vec<Text<C>>,
}

/// A text of a batch.
struct Text<C> {
    sequence: Sequence,
    course: Course<C>,
    interrupted: bool,
}

impl<C: Control> Batch<C> {
    /// Creates texts that continue the text of `generator`, one for each sampling and control. Each has a cache of its own.
    ///
    /// # Errors
    /// If the logits are not finite, which means that the weights are damaged.
    pub fn new(mut generator: Generator, mut texts: Vec<(Sampling, C)>) -> Result<Self> {
        generator.logits()?;
        let (model, sequence) = generator.into_parts();
        let text = |sequence, control| Text { sequence, course: Course::new(control), interrupted: false };
        let (last, others) = (texts.pop(), texts);
        let mut texts: Vec<Text<C>> =
            others.into_iter().map(|(sampling, control)| text(sequence.fork(sampling), control)).collect();
        texts.extend(last.map(|(sampling, control)| text(sequence.with_sampling(sampling), control)));
        Ok(Self { model, texts })
    }

    /// Adds the texts of another batch of the same model.
    pub fn append(&mut self, other: Self) {
        self.texts.extend(other.texts);
    }

    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns the tokens of a text, with its prompt.
    pub fn tokens(&self, text: usize) -> &[u32] {
        self.texts[text].sequence.tokens()
    }

    /// Returns ln p of the last token that [`step`](Self::step) appended to a text, before any filter and at temperature 1.
    pub fn log_probability(&self, text: usize, token: u32) -> f32 {
        let mut z = self.texts[text].sequence.logits().to_vec();
        let (largest, of_token) = (kernels::max(&z), z[token as usize]);
        of_token - largest - kernels::exp_sum(&mut z, largest).ln()
    }

    /// Returns the experts that each token of a text visited, except the last one: A for each layer that has experts. They are known
    /// if the generator [records](Generator::recording) them.
    pub fn routing(&self, text: usize) -> &[Arc<[u32]>] {
        self.texts[text].sequence.routing()
    }

    /// Returns what controls a text.
    pub fn control(&self, text: usize) -> &C {
        self.texts[text].course.control()
    }

    // ANCHOR: step
    /// Appends a token to each text that has not ended. Returns the tokens, each with the number of its text; none if all
    /// texts have ended.
    ///
    /// # Errors
    /// Those of the controls, and if the logits are not finite, which means that the weights are damaged.
    pub fn step(&mut self) -> Result<Vec<(usize, u32)>> {
        let waiting = |text: &&mut Text<C>| text.end().is_none() && text.sequence.waiting() > 0;
        let mut sequences: Vec<&mut Sequence> =
            self.texts.iter_mut().filter(waiting).map(|text| &mut text.sequence).collect();
        if !sequences.is_empty() {
            advance(&self.model, &mut sequences, 1)?;
        }
        let mut tokens = Vec::new();
        for (i, text) in self.texts.iter_mut().enumerate().filter(|(_, text)| text.end().is_none()) {
            tokens.extend(text.course.step(&mut text.sequence)?.map(|token| (i, token)));
        }
        Ok(tokens)
    }
    // ANCHOR_END: step

    /// Ends a text before its control does.
    pub fn interrupt(&mut self, text: usize) {
        self.texts[text].interrupted = true;
    }

    /// Returns why a text ended, or `None` if it goes on.
    pub fn end(&self, text: usize) -> Option<&StopReason> {
        self.texts[text].end()
    }
}

impl<C: Control> Text<C> {
    fn end(&self) -> Option<&StopReason> {
        self.course.end().or(self.interrupted.then_some(&StopReason::Interrupted))
    }
}
