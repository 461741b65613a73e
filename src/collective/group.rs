//! Some of the ranks of a job, as a job of their own.

use super::{Collective, Messages};
use crate::error::{Error, Result};
use std::sync::Arc;

/// A group of ranks that follow each other. All groups of a job are equally large, and make the same operations at the same
/// time: to the ranks of other groups, they send empty messages.
pub struct Group {
    all: Arc<dyn Collective>,
    size: usize,
}

impl Group {
    /// Divides the ranks into groups of `size`, and returns the one of this rank.
    ///
    /// # Panics
    /// If the number of ranks is no multiple of `size`.
    pub fn new(all: Arc<dyn Collective>, size: usize) -> Self {
        assert!(all.size().is_multiple_of(size), "{} ranks make no groups of {size}", all.size());
        Self { all, size }
    }

    /// Returns the first rank of the group.
    fn first(&self) -> usize {
        self.all.rank() / self.size * self.size
    }
}

impl Collective for Group {
    fn rank(&self) -> usize {
        self.all.rank() % self.size
    }

    fn size(&self) -> usize {
        self.size
    }

    fn begin(&self, messages: Messages) {
        assert_eq!(messages.len(), self.size, "one message for each rank");
        let mut all = vec![Vec::new(); self.all.size()];
        messages.into_iter().zip(&mut all[self.first()..]).for_each(|(message, place)| *place = message);
        self.all.begin(all);
    }

    fn finish(&self) -> Result<Messages> {
        Ok(self.all.finish()?.drain(self.first()..self.first() + self.size).collect())
    }

    fn give_up(&self, error: &Error) {
        self.all.give_up(error);
    }
}
