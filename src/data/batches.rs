//! Documents as token ids, cut into windows, grouped into batches.
//!
//! The documents become one stream, `end d₁ end d₂ end … dₙ end`: a model sees where each begins, and learns where
//! each ends. A window of context T takes T + 1 tokens of it, T inputs and, shifted by one, T targets.
//!
//! Where does the next window start? At the beginning of the last document, if this window cut it off and also began
//! before it; otherwise where this window ended. So every document shorter than T is seen whole from its start by some
//! window, and a longer one is cut into windows without a gap:
//!
//! ```text
//! stream    end a a a end b b b b end c c c c c c c c c end       T = 6
//! window 0  end a a a end b b
//! window 1            end b b b b end c
//! window 2                        end c c c c c c
//! window 3                                      c c c c end
//! ```
//!
//! In training every target counts. In evaluation a target counts only up to the start of the next window, so that
//! every token of the stream after the first is counted exactly once, with its whole document in front of it where
//! that fits: the mean is comparable to an exact entropy.
//!
//! Of a conversation only what the assistant says is to be learned. Its documents are masked ([`Windows::masked`]), and
//! lie one after another as `d₁ end d₂ end … dₙ end`: they begin with a mark of their own.

use crate::error::{Error, Result};
use ndarray::Array2;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// A target that does not count.
pub const IGNORE: u32 = u32::MAX;

/// The most tokens that a batch may have.
const MAX_BATCH: usize = 1 << 26;

/// Tokens of which only some are to be learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskedDocument {
    /// The tokens.
    pub ids: Vec<u32>,
    /// For each of them, whether a model should learn to predict it.
    pub learned: Vec<bool>,
}

/// The stream, and where windows start in it.
#[derive(Clone, Debug)]
pub struct Windows {
    stream: Vec<u32>,
    learned: Vec<bool>, // for each token of the stream, whether it counts as a target
    starts: Vec<usize>,
    context: usize,
    end: u32,
}

/// What a model is given and what it should predict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// (B, T)
    pub inputs: Array2<u32>,
    /// (B, T), [`IGNORE`] where nothing is to be predicted.
    pub targets: Array2<u32>,
}

impl Batch {
    /// The number of targets that count.
    pub fn counted(&self) -> usize {
        self.targets.iter().filter(|&&target| target != IGNORE).count()
    }
}

impl Windows {
    /// Cuts documents into windows of `context` tokens; `end` is the id that stands between them. Empty documents are
    /// left out.
    ///
    /// # Errors
    /// No token at all, or a context of 0.
    pub fn new(documents: &[Vec<u32>], end: u32, context: usize) -> Result<Self> {
        let mut stream = vec![end];
        let mut beginnings = Vec::new(); // of documents: the end token before each, and last the end of the stream
        for document in documents.iter().filter(|document| !document.is_empty()) {
            beginnings.push(stream.len() - 1);
            stream.extend(document);
            stream.push(end);
        }
        let learned = vec![true; stream.len()];
        Self::cut(stream, learned, beginnings, end, context)
    }

    /// Cuts masked documents into windows. The ends between them are not learned.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), no token that is to be learned, and a mask that is not as long as its document.
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
        let starts = starts(&beginnings, context);
        Ok(Self { stream, learned, starts, context, end })
    }

    /// The number of windows, at least 1.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Never: there is at least one window.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Tokens of a window, T.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Tokens of the stream that are predicted: all but the first, and those that are not to be learned.
    pub fn tokens(&self) -> usize {
        self.learned.iter().skip(1).filter(|&&learned| learned).count()
    }

    /// The stream and its cut in one number (FNV-1a), to tell whether a resumed run has the same data.
    pub fn fingerprint(&self) -> u64 {
        let numbers = self.stream.iter().map(|&token| u64::from(token)).chain([self.context as u64]);
        numbers.fold(0xcbf2_9ce4_8422_2325, |hash, n| (hash ^ n).wrapping_mul(0x0100_0000_01b3))
    }

    /// All windows in order, `batch` at a time, the last batch smaller; every token counts exactly once.
    pub fn evaluation(&self, batch: usize) -> impl Iterator<Item = Batch> {
        let all: Vec<usize> = (0..self.len()).collect();
        let batch = batch.clamp(1, (MAX_BATCH / self.context).max(1));
        let first = (0..self.len()).step_by(batch);
        first.map(move |first| self.batch(&all[first..(first + batch).min(all.len())], true))
    }

    /// The windows with the given numbers.
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
/// Where the windows start. Document k has the tokens from `beginnings[k]`, the end token before it, to
/// `beginnings[k + 1]`, the end token behind it.
fn starts(beginnings: &[usize], context: usize) -> Vec<usize> {
    let last = beginnings[beginnings.len() - 1];
    let (mut starts, mut start) = (vec![0], 0);
    while last - start > context {
        let end = start + context; // the window's last target
        let begun = beginnings.partition_point(|&beginning| beginning <= end);
        let cut_off = beginnings[begun - 1]; // the last document that began; if it ended here, it is the next one
        start = if cut_off > start { cut_off } else { end };
        starts.push(start);
    }
    starts
}
// ANCHOR_END: starts

/// Where a training run is in its data: all that a resumed run needs to see the same batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// How often all windows have been seen.
    pub epoch: u64,
    /// How many windows of this epoch have been seen.
    pub position: usize,
}

/// Batches for training, without end. Each epoch has all windows once, in an order of its own; a batch at the end of
/// an epoch is filled up from the next.
#[derive(Clone, Debug)]
pub struct Batches {
    windows: Windows,
    batch: usize,
    seed: u64,
    cursor: Cursor,
    order: Vec<usize>, // of the cursor's epoch
}

impl Batches {
    /// Batches of `batch` windows, in an order that depends on `seed` alone.
    ///
    /// # Errors
    /// Less data than one window, a batch of 0 windows or too many.
    pub fn new(windows: Windows, batch: usize, seed: u64) -> Result<Self> {
        Self::from_cursor(windows, batch, seed, Cursor::default())
    }

    /// Goes on where the batches of another run with the same windows and seed were.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and a cursor outside of the windows.
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

    /// The place of the next batch.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// What the batches are made of.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The next batch: (B, T) inputs and targets. There is always one.
    pub fn next_batch(&mut self) -> Batch {
        let mut windows = Vec::with_capacity(self.batch);
        while windows.len() < self.batch {
            if self.cursor.position == self.order.len() {
                self.cursor = Cursor { epoch: self.cursor.epoch + 1, position: 0 };
                self.order = order(self.order.len(), self.seed, self.cursor.epoch);
            }
            windows.push(self.order[self.cursor.position]);
            self.cursor.position += 1;
        }
        self.windows.batch(&windows, false)
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        Some(self.next_batch())
    }
}

/// The order of `n` windows in an epoch: a Fisher-Yates shuffle. The epoch is the stream of the generator, so no
/// epoch depends on the ones before.
fn order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, rng.random_range(0..=last as u64) as usize);
    }
    order
}
