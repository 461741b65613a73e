//! Shuffles windows and groups them into batches.

use super::windows::{Batch, MAX_BATCH, Windows};
use crate::error::{Error, Result};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

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
        windows.check_length()?;
        let context = windows.context();
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
