//! Cuts documents of token ids into windows.
//!
//! The documents become one stream, `end d₁ end d₂ end … dₙ end`, so that a model sees where each document begins and
//! learns where it ends. A window with context T takes T + 1 tokens of the stream: T inputs and, shifted by one, T
//! targets.
//!
//! The next window starts at the beginning of the last document, if the current window cuts it off and started before
//! it. Otherwise the next window starts where the current one ends. So every document shorter than T is completely
//! contained in some window, from its start, and a longer document is cut into windows without a gap:
//!
//! ```text
//! stream    end a a a end b b b b end c c c c c c c c c end       T = 6
//! window 0  end a a a end b b
//! window 1            end b b b b end c
//! window 2                        end c c c c c c
//! window 3                                      c c c c end
//! ```
//!
//! In training all targets count. In evaluation a target counts only up to the start of the next window, so that every
//! token of the stream after the first counts exactly once, with its whole document before it if that fits. So the mean
//! loss is comparable to an exact entropy.
//!
//! In a conversation only the assistant's messages are learned. Their documents are masked ([`Windows::masked`]) and
//! the stream is `d₁ end d₂ end … dₙ end`, because they begin with a mark of their own.

use super::stream::{MaskedDocument, Stream, mixed};
use crate::error::{Error, Result};
use ndarray::Array2;
use std::sync::Arc;

/// Marks a target that does not count.
pub const IGNORE: u32 = u32::MAX;

/// The largest number of tokens in a batch.
pub(super) const MAX_BATCH: usize = 1 << 26;

/// The stream, and the positions at which windows start in it. Copies share them.
#[derive(Clone, Debug)]
pub struct Windows {
    stream: Stream,
    starts: Arc<[usize]>,
    context: usize,
}

/// The inputs of a model and the targets that it should predict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The inputs. (B, T)
    pub inputs: Array2<u32>,
    /// The targets, [`IGNORE`] where nothing is predicted. (B, T)
    pub targets: Array2<u32>,
}

impl Batch {
    /// Returns the number of targets that count.
    pub fn counted(&self) -> usize {
        self.targets.iter().filter(|&&target| target != IGNORE).count()
    }
}

impl Windows {
    /// Cuts documents into windows of `context` tokens. `end` is the token between documents. Empty documents are left
    /// out.
    ///
    /// # Errors
    /// If there is no token at all, or if the context is 0.
    pub fn new(documents: &[Vec<u32>], end: u32, context: usize) -> Result<Self> {
        Self::of(Stream::new(documents, end)?, context)
    }

    /// Cuts masked documents into windows. The end tokens between them are not learned.
    ///
    /// # Errors
    /// The same as those of [`new`](Self::new), and if no token is learned, or if a mask is not as long as its
    /// document.
    pub fn masked(documents: &[MaskedDocument], end: u32, context: usize) -> Result<Self> {
        Self::of(Stream::masked(documents, end)?, context)
    }

    /// Cuts a stream into windows of `context` tokens.
    ///
    /// # Errors
    /// If the context is 0.
    pub fn of(stream: Stream, context: usize) -> Result<Self> {
        if context == 0 {
            return Err(Error::argument("the context is 0 tokens, expected at least 1"));
        }
        let starts = starts(&stream.beginnings, context).into();
        Ok(Self { stream, starts, context })
    }

    /// Returns the stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Returns the number of windows, at least 1.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Returns whether there are no windows, which is never the case.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Returns the number of tokens in a window, T.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Returns the number of tokens that are predicted: all but the first, except those that are not learned.
    pub fn tokens(&self) -> usize {
        self.stream.targets()
    }

    /// Returns a hash of the stream and the context (FNV-1a), to check that a resumed run has the same data.
    pub fn fingerprint(&self) -> u64 {
        mixed(self.stream.checksum(), self.context as u64)
    }

    /// Returns all windows in order, `batch` at a time; the last batch may be smaller. Every token counts exactly once.
    pub fn evaluation(&self, batch: usize) -> impl Iterator<Item = Batch> {
        let all: Vec<usize> = (0..self.len()).collect();
        let batch = batch.clamp(1, (MAX_BATCH / self.context).max(1));
        let first = (0..self.len()).step_by(batch);
        first.map(move |first| self.batch(&all[first..(first + batch).min(all.len())], true))
    }

    /// Returns the windows with the given indices as a batch.
    pub(super) fn batch(&self, windows: &[usize], evaluation: bool) -> Batch {
        let shape = (windows.len(), self.context);
        let mut batch =
            Batch { inputs: Array2::from_elem(shape, self.stream.end), targets: Array2::from_elem(shape, IGNORE) };
        let rows = batch.inputs.rows_mut().into_iter().zip(batch.targets.rows_mut());
        for (&window, (mut inputs, mut targets)) in windows.iter().zip(rows) {
            let start = self.starts[window];
            let last = self.stream.len() - 1;
            let next = self.starts.get(window + 1).copied().filter(|_| evaluation).unwrap_or(last);
            let tokens = self.stream.ids.read(start..last.min(start + self.context) + 1);
            for (input, token) in inputs.iter_mut().zip(&tokens[..tokens.len() - 1]) {
                *input = *token;
            }
            let learned = |position: usize| self.stream.learned.as_ref().is_none_or(|learned| learned[position]);
            let predicted = (start + 1..=next).zip(&tokens[1..]);
            for (target, (position, token)) in targets.iter_mut().zip(predicted) {
                *target = if learned(position) { *token } else { IGNORE };
            }
        }
        batch
    }
}

// ANCHOR: starts
/// Returns the starts of the windows. Document k has the tokens from `beginnings[k]`, the end token before it, to
/// `beginnings[k + 1]`, the end token after it.
fn starts(beginnings: &[usize], context: usize) -> Vec<usize> {
    let last = beginnings[beginnings.len() - 1];
    let (mut starts, mut start) = (vec![0], 0);
    while last - start > context {
        let end = start + context; // the window's last target
        let begun = beginnings.partition_point(|&beginning| beginning <= end);
        let cut_off = beginnings[begun - 1]; // the last document that began; if the window ends there, the next document
        start = if cut_off > start { cut_off } else { end };
        starts.push(start);
    }
    starts
}
// ANCHOR_END: starts
