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
//! Windows may also consist of whole conversations that do not see each other: see [`Packed`].

use super::packed::{IGNORE, Packed};
use super::stream::{Stream, mixed};
use crate::error::{Error, Result};
use ndarray::{Array2, ArrayViewMut1};
use std::sync::Arc;

/// The largest number of tokens in a batch.
pub(super) const MAX_BATCH: usize = 1 << 26;

/// Windows of the same length. Copies share the tokens.
#[derive(Clone, Debug)]
pub struct Windows {
    content: Content,
    context: usize,
}

/// What the windows consist of.
#[derive(Clone, Debug)]
enum Content {
    /// A stream, and the positions at which windows start in it.
    Cut(Stream, Arc<[usize]>),
    /// Whole sequences.
    Packed(Packed),
}

/// The inputs of a model and the targets that it should predict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The inputs. (B, T)
    pub inputs: Array2<u32>,
    /// The targets, [`IGNORE`] where nothing is predicted. (B, T)
    pub targets: Array2<u32>,
    /// The lengths of the sequences in the rows, which do not see each other. Together B·T.
    pub lengths: Vec<usize>,
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

    /// Cuts a stream into windows of `context` tokens.
    ///
    /// # Errors
    /// If the context is 0.
    pub fn of(stream: Stream, context: usize) -> Result<Self> {
        if context == 0 {
            return Err(Error::argument("the context is 0 tokens, expected at least 1"));
        }
        let starts = starts(&stream.beginnings, context).into();
        Ok(Self { content: Content::Cut(stream, starts), context })
    }

    /// Returns windows of whole sequences.
    pub fn packed(packed: Packed) -> Self {
        Self { context: packed.context(), content: Content::Packed(packed) }
    }

    /// Returns the number of windows, at least 1.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Cut(_, starts) => starts.len(),
            Content::Packed(packed) => packed.len(),
        }
    }

    /// Returns whether there are no windows, which is never the case.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns the number of tokens in a window, T.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Returns the number of tokens that are predicted: all but the first, except those that are not learned.
    pub fn tokens(&self) -> usize {
        match &self.content {
            Content::Cut(stream, _) => stream.len() - 1,
            Content::Packed(packed) => packed.targets(),
        }
    }

    /// Checks that a stream is long enough to be cut into windows of this length.
    ///
    /// # Errors
    /// If it has not one whole window.
    pub fn check_length(&self) -> Result<()> {
        match &self.content {
            Content::Cut(stream, _) if stream.len() <= self.context => {
                let (found, least) = (stream.len(), self.context + 1);
                Err(Error::argument(format!(
                    "the training data has {found} tokens, expected at least {least}: give more text or a --context below {found}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Returns a hash of the tokens and the context (FNV-1a), to check that a resumed run has the same data.
    pub fn fingerprint(&self) -> u64 {
        let checksum = match &self.content {
            Content::Cut(stream, _) => stream.checksum(),
            Content::Packed(packed) => packed.checksum(),
        };
        mixed(checksum, self.context as u64)
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
        let filler = match &self.content {
            Content::Cut(stream, _) => stream.end,
            Content::Packed(packed) => packed.filler(),
        };
        let (mut inputs, mut targets) = (Array2::from_elem(shape, filler), Array2::from_elem(shape, IGNORE));
        let mut lengths = Vec::new();
        for (&window, row) in windows.iter().zip(inputs.rows_mut().into_iter().zip(targets.rows_mut())) {
            match &self.content {
                Content::Cut(stream, starts) => {
                    let next = starts.get(window + 1).copied().filter(|_| evaluation);
                    cut(stream, starts[window], next, row);
                    lengths.push(self.context);
                }
                Content::Packed(packed) => lengths.extend(packed.fill(window, row)),
            }
        }
        Batch { inputs, targets, lengths }
    }
}

/// Fills a row with the window that begins at `start`. Only targets up to the start of the `next` window count, if there is one.
fn cut(stream: &Stream, start: usize, next: Option<usize>, row: (ArrayViewMut1<u32>, ArrayViewMut1<u32>)) {
    let (mut inputs, mut targets) = row;
    let last = stream.len() - 1;
    let tokens = stream.ids.read(start..last.min(start + inputs.len()) + 1);
    for (input, token) in inputs.iter_mut().zip(&tokens[..tokens.len() - 1]) {
        *input = *token;
    }
    let predicted = next.unwrap_or(last) - start;
    for (target, token) in targets.iter_mut().zip(&tokens[1..]).take(predicted) {
        *target = *token;
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
