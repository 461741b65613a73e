//! Cuts documents of token ids into windows and groups the windows into batches.
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

use crate::error::{Error, Result};
use ndarray::Array2;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Marks a target that does not count.
pub const IGNORE: u32 = u32::MAX;

/// The largest number of tokens in a batch.
const MAX_BATCH: usize = 1 << 26;

/// A document of which only some tokens are learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskedDocument {
    /// The token ids.
    pub ids: Vec<u32>,
    /// Whether a model should learn to predict each token; as long as `ids`.
    pub learned: Vec<bool>,
}

/// The stream, and the positions at which windows start in it. Copies share them.
#[derive(Clone, Debug)]
pub struct Windows {
    stream: Arc<[u32]>,
    learned: Arc<[bool]>, // whether each token of the stream counts as a target
    starts: Arc<[usize]>,
    context: usize,
    end: u32,
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
        let mut stream = vec![end];
        let mut beginnings = Vec::new(); // the end token before each document, and then the end of the stream
        for document in documents.iter().filter(|document| !document.is_empty()) {
            beginnings.push(stream.len() - 1);
            stream.extend(document);
            stream.push(end);
        }
        let learned = vec![true; stream.len()];
        Self::cut(stream, learned, beginnings, end, context)
    }

    /// Cuts masked documents into windows. The end tokens between them are not learned.
    ///
    /// # Errors
    /// The same as those of [`new`](Self::new), and if no token is learned, or if a mask is not as long as its
    /// document.
    pub fn masked(documents: &[MaskedDocument], end: u32, context: usize) -> Result<Self> {
        let (mut stream, mut learned, mut beginnings) = (Vec::new(), Vec::new(), Vec::new());
        for document in documents.iter().filter(|document| !document.ids.is_empty()) {
            let (ids, mask) = (document.ids.len(), document.learned.len());
            if ids != mask {
                return Err(Error::argument(format!("a document of {ids} tokens has a mask of {mask}")));
            }
            beginnings.push(stream.len());
            stream.extend(&document.ids);
            stream.push(end);
            learned.extend(&document.learned);
            learned.push(false);
        }
        if !learned.iter().skip(1).any(|&learned| learned) {
            return Err(Error::argument("found no token to learn in the documents, expected at least 1"));
        }
        Self::cut(stream, learned, beginnings, end, context)
    }

    fn cut(stream: Vec<u32>, learned: Vec<bool>, mut beginnings: Vec<usize>, end: u32, context: usize) -> Result<Self> {
        if context == 0 {
            return Err(Error::argument("the context is 0 tokens, expected at least 1"));
        }
        if beginnings.is_empty() {
            return Err(Error::argument("found no token in the documents, expected at least 1"));
        }
        beginnings.push(stream.len() - 1);
        let starts = starts(&beginnings, context).into();
        Ok(Self { stream: stream.into(), learned: learned.into(), starts, context, end })
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
        self.learned.iter().skip(1).filter(|&&learned| learned).count()
    }

    /// Returns a hash of the stream and the context (FNV-1a), to check that a resumed run has the same data.
    pub fn fingerprint(&self) -> u64 {
        let numbers = self.stream.iter().map(|&token| u64::from(token)).chain([self.context as u64]);
        numbers.fold(0xcbf2_9ce4_8422_2325, |hash, n| (hash ^ n).wrapping_mul(0x0100_0000_01b3))
    }

    /// Returns all windows in order, `batch` at a time; the last batch may be smaller. Every token counts exactly once.
    pub fn evaluation(&self, batch: usize) -> impl Iterator<Item = Batch> {
        let all: Vec<usize> = (0..self.len()).collect();
        let batch = batch.clamp(1, (MAX_BATCH / self.context).max(1));
        let first = (0..self.len()).step_by(batch);
        first.map(move |first| self.batch(&all[first..(first + batch).min(all.len())], true))
    }

    /// Returns the windows with the given indices as a batch.
    fn batch(&self, windows: &[usize], evaluation: bool) -> Batch {
        let shape = (windows.len(), self.context);
        let mut batch = Batch { inputs: Array2::from_elem(shape, self.end), targets: Array2::from_elem(shape, IGNORE) };
        let rows = batch.inputs.rows_mut().into_iter().zip(batch.targets.rows_mut());
        for (&window, (mut inputs, mut targets)) in windows.iter().zip(rows) {
            let start = self.starts[window];
            let last = self.stream.len() - 1;
            let next = self.starts.get(window + 1).copied().filter(|_| evaluation).unwrap_or(last);
            for (input, token) in inputs.iter_mut().zip(&self.stream[start..last]) {
                *input = *token;
            }
            let predicted = self.stream[start + 1..=next].iter().zip(&self.learned[start + 1..=next]);
            for (target, (token, learned)) in targets.iter_mut().zip(predicted) {
                *target = if *learned { *token } else { IGNORE };
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

/// The position of a training run in its data: everything that a resumed run needs to see the same batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The number of epochs that are complete.
    pub epoch: u64,
    /// The number of windows of the current epoch that have been used.
    pub position: usize,
}

/// An endless stream of batches for training. Each epoch uses all windows once, in a new random order. If an epoch ends
/// within a batch, the batch is filled up from the next epoch.
#[derive(Clone, Debug)]
pub struct Batches {
    windows: Windows,
    batch: usize,
    seed: u64,
    cursor: Cursor,
    order: Vec<usize>, // the order of the current epoch
}

impl Batches {
    /// Makes batches of `batch` windows. The order depends only on `seed`.
    ///
    /// # Errors
    /// If there is less data than one window, or if the batch has no windows or too many tokens.
    pub fn new(windows: Windows, batch: usize, seed: u64) -> Result<Self> {
        Self::from_cursor(windows, batch, seed, Cursor::default())
    }

    /// Continues at the position of another run with the same windows and seed.
    ///
    /// # Errors
    /// The same as those of [`new`](Self::new), and if the cursor is beyond the last window.
    pub fn from_cursor(windows: Windows, batch: usize, seed: u64, cursor: Cursor) -> Result<Self> {
        let (context, found) = (windows.context, windows.stream.len());
        if found <= context {
            return Err(Error::argument(format!(
                "the training data has {found} tokens, expected at least {}: give more text or a --context below {found}",
                context + 1
            )));
        }
        if batch == 0 || batch.checked_mul(context).is_none_or(|tokens| tokens > MAX_BATCH) {
            return Err(Error::argument(format!(
                "a batch of {batch} windows of {context} tokens, expected between 1 window and {MAX_BATCH} tokens"
            )));
        }
        if cursor.position > windows.len() {
            return Err(Error::argument(format!(
                "the run stopped after window {} of its data, but there are only {}: resume with the same data and --context",
                cursor.position,
                windows.len()
            )));
        }
        let order = order(windows.len(), seed, cursor.epoch);
        Ok(Self { windows, batch, seed, cursor, order })
    }

    /// Returns the position of the next batch.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Returns the windows that the batches consist of.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Returns the next batch, with inputs and targets (B, T).
    pub fn next_batch(&mut self) -> Batch {
        let windows = self.next_windows();
        self.windows.batch(&windows, false)
    }

    /// Moves on by a batch. Returns it if it is `wanted`.
    pub fn next_if(&mut self, wanted: bool) -> Option<Batch> {
        let windows = self.next_windows();
        wanted.then(|| self.windows.batch(&windows, false))
    }

    fn next_windows(&mut self) -> Vec<usize> {
        let mut windows = Vec::with_capacity(self.batch);
        while windows.len() < self.batch {
            if self.cursor.position == self.order.len() {
                self.cursor = Cursor { epoch: self.cursor.epoch + 1, position: 0 };
                self.order = order(self.order.len(), self.seed, self.cursor.epoch);
            }
            windows.push(self.order[self.cursor.position]);
            self.cursor.position += 1;
        }
        windows
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        Some(self.next_batch())
    }
}

/// Returns the order of `n` windows in an epoch, by a Fisher-Yates shuffle. Each epoch uses its own stream of the
/// generator, so it does not depend on the epochs before it.
fn order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, rng.random_range(0..=last as u64) as usize);
    }
    order
}
