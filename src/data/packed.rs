//! Packs whole sequences into windows.
//!
//! Conversations have different lengths, and are much shorter than a window as a rule. Several of them stand in one window, and none
//! sees another, as if each were alone:
//!
//! ```text
//! T = 12      window 0   a a a a a b b b b b b .      a, b, c, d: sequences
//!             window 1   c c c c c c c c d d d d      .: filler, which is not learned
//! ```
//!
//! A sequence goes into the fullest window that still has room for it (best fit), or else into a new one. One that is longer than
//! a window loses its end.

use super::stream::mixed;
use crate::error::{Error, Result};
use ndarray::{ArrayViewMut1, s};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Marks a target that does not count.
pub const IGNORE: u32 = u32::MAX;

/// A sequence to learn from: what a model reads, and what it should predict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// What the model reads. (T,)
    pub inputs: Vec<u32>,
    /// What it should predict at each position, [`IGNORE`] where nothing is learned. (T,)
    pub targets: Vec<u32>,
}

impl Example {
    /// Returns the number of targets that count.
    pub fn counted(&self) -> usize {
        self.targets.iter().filter(|&&target| target != IGNORE).count()
    }
}

/// Sequences in windows. Copies share them.
#[derive(Clone, Debug)]
pub struct Packed {
    examples: Arc<[Example]>,
    windows: Arc<[Vec<usize>]>, // the examples in each
    context: usize,
    filler: u32,
    /// The number of sequences that were longer than a window, and lost their end.
    pub cut: usize,
    /// The number of sequences that would have lost everything that is learned, and were left out.
    pub dropped: usize,
}

impl Packed {
    // ANCHOR: new
    /// Packs sequences into windows of `context` tokens. The rest of each window is `filler`.
    ///
    /// # Errors
    /// If nothing is learned in the first `context` tokens of any sequence, or if the context is 0.
    pub fn new(examples: Vec<Example>, context: usize, filler: u32) -> Result<Self> {
        let (given, mut kept, mut cut) = (examples.len(), Vec::new(), 0);
        for mut example in examples {
            let is_longer = example.inputs.len() > context;
            example.inputs.truncate(context);
            example.targets.truncate(context);
            if example.counted() > 0 {
                kept.push(example);
                cut += usize::from(is_longer);
            }
        }
        if kept.is_empty() {
            return Err(Error::argument(format!(
                "found nothing to learn in the first {context} tokens of any conversation; give a larger --context"
            )));
        }
        let (mut windows, mut open) = (Vec::<Vec<usize>>::new(), BTreeSet::new()); // the room that each window has left
        for (i, example) in kept.iter().enumerate() {
            let length = example.inputs.len();
            let fullest = open.range((length, 0)..).next().copied();
            let (room, window) = fullest.unwrap_or((context, windows.len()));
            if fullest.is_none() {
                windows.push(Vec::new());
            }
            windows[window].push(i);
            open.remove(&(room, window));
            open.insert((room - length, window));
        }
        let dropped = given - kept.len();
        Ok(Self { examples: kept.into(), windows: windows.into(), context, filler, cut, dropped })
    }
    // ANCHOR_END: new

    /// Returns the number of windows.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Returns whether there are none, which is never the case.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Returns the sequences that are learned, without those that were dropped.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Returns the number of tokens in a window, T.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Returns the number of targets that count.
    pub fn targets(&self) -> usize {
        self.examples.iter().map(Example::counted).sum()
    }

    /// Returns the share of the windows that is not filler.
    pub fn filled(&self) -> f64 {
        let tokens: usize = self.examples.iter().map(|example| example.inputs.len()).sum();
        tokens as f64 / (self.len() * self.context) as f64
    }

    pub(super) fn filler(&self) -> u32 {
        self.filler
    }

    /// Returns a hash of the sequences (FNV-1a).
    pub(super) fn checksum(&self) -> u64 {
        let all = self.examples.iter().flat_map(|example| {
            let length = example.inputs.len() as u64;
            [length].into_iter().chain(example.inputs.iter().chain(&example.targets).map(|&id| id.into()))
        });
        all.fold(0xcbf2_9ce4_8422_2325, mixed)
    }

    /// Writes a window into a row of a batch that consists of filler. Returns the lengths of the sequences, of which the last may be
    /// filler.
    pub(super) fn fill(&self, window: usize, row: (ArrayViewMut1<u32>, ArrayViewMut1<u32>)) -> Vec<usize> {
        let (mut inputs, mut targets) = row;
        let (mut at, mut lengths) = (0, Vec::new());
        for &i in &self.windows[window] {
            let Example { inputs: read, targets: predicted } = &self.examples[i];
            let place = s![at..at + read.len()];
            inputs.slice_mut(place).assign(&ndarray::aview1(read));
            targets.slice_mut(place).assign(&ndarray::aview1(predicted));
            at += read.len();
            lengths.push(read.len());
        }
        lengths.extend(Some(self.context - at).filter(|&rest| rest > 0));
        lengths
    }
}
