//! Sequences: which rows of a batch belong together.

use std::ops::Range;
use std::sync::Arc;

/// Independent sequences in the rows of a matrix, one after the other. A token sees tokens of its own sequence only. Copies share
/// the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    starts: Arc<[usize]>, // the first row of each sequence, and the number of rows
}

impl Sequences {
    /// Returns `count` sequences of the same length.
    pub fn equal(count: usize, length: usize) -> Self {
        Self { starts: (0..=count).map(|i| i * length).collect() }
    }

    /// Returns sequences of these lengths. Panics if one has no rows.
    pub fn of_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut starts = vec![0];
        for length in lengths {
            assert!(length > 0, "a sequence without rows");
            starts.push(starts[starts.len() - 1] + length);
        }
        Self { starts: starts.into() }
    }

    /// Returns the number of sequences.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of rows of all sequences.
    pub fn rows(&self) -> usize {
        self.starts[self.len()]
    }

    /// Returns the length of the sequences, if there are some and all have the same.
    pub fn equal_length(&self) -> Option<usize> {
        let length = self.iter().next()?.len();
        self.iter().all(|rows| rows.len() == length).then_some(length)
    }

    /// Returns the rows of a sequence.
    pub fn get(&self, sequence: usize) -> Range<usize> {
        self.starts[sequence]..self.starts[sequence + 1]
    }

    /// Returns the rows of each sequence.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.len()).map(|sequence| self.get(sequence))
    }

    /// Returns the sequence of each row, and the position of the row in it.
    pub fn places(&self) -> Vec<(usize, usize)> {
        let places =
            |(sequence, rows): (usize, Range<usize>)| (0..rows.len()).map(move |position| (sequence, position));
        self.iter().enumerate().flat_map(places).collect()
    }
}
