//! A machine that counts: its matrices are in a memory, and their numbers come through a small cache.

use std::collections::VecDeque;

/// Numbers in a line: 64 bytes of `f32`, which memory and cache exchange as a whole.
pub const LINE: usize = 16;

/// Lines that the cache holds: 16 KiB.
const LINES: usize = 256;

/// A matrix in the memory of a [`Machine`], row by row.
#[derive(Debug, Clone, Copy)]
pub struct Matrix {
    /// Its rows.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
    first: usize,
}

/// A memory, a cache, and counters. The cache replaces the line that was not used for the longest time.
#[derive(Default)]
pub struct Machine {
    memory: Vec<f32>,
    /// When each line of the memory was last used, if it is in the cache.
    last_use: Vec<Option<u64>>,
    /// Uses of lines in the order of time. An entry is out of date if its line was used again.
    uses: VecDeque<(usize, u64)>,
    cached: usize,
    time: u64,
    /// The number of loads and stores.
    pub accesses: u64,
    /// The number of lines that were fetched from the memory.
    pub fetched: u64,
}

impl Machine {
    /// Puts a matrix into the memory.
    pub fn matrix(&mut self, rows: usize, columns: usize, numbers: impl Fn(usize, usize) -> f32) -> Matrix {
        let first = self.memory.len();
        self.memory.extend((0..rows * columns).map(|i| numbers(i / columns, i % columns)));
        self.memory.resize(self.memory.len().next_multiple_of(LINE), 0.0);
        self.last_use.resize(self.memory.len() / LINE, None);
        Matrix { rows, columns, first }
    }

    /// Loads the number in row i and column j.
    pub fn load(&mut self, m: Matrix, i: usize, j: usize) -> f32 {
        let place = self.touch(m, i, j);
        self.memory[place]
    }

    /// Stores a number in row i and column j.
    pub fn store(&mut self, m: Matrix, i: usize, j: usize, x: f32) {
        let place = self.touch(m, i, j);
        self.memory[place] = x;
    }

    /// Returns all numbers of a matrix, without counting.
    pub fn numbers(&self, m: Matrix) -> &[f32] {
        &self.memory[m.first..][..m.rows * m.columns]
    }

    /// Counts an access, fetches the line if it is not in the cache, and returns where the number is.
    fn touch(&mut self, m: Matrix, i: usize, j: usize) -> usize {
        assert!(i < m.rows && j < m.columns, "row {i}, column {j} of a matrix with shape ({}, {})", m.rows, m.columns);
        let place = m.first + i * m.columns + j;
        self.accesses += 1;
        self.time += 1;
        if self.last_use[place / LINE].replace(self.time).is_none() {
            self.fetched += 1;
            self.cached += 1;
        }
        self.uses.push_back((place / LINE, self.time));
        while self.cached > LINES || self.uses.front().is_some_and(|&(line, time)| self.last_use[line] != Some(time)) {
            let Some((line, time)) = self.uses.pop_front() else { break };
            if self.last_use[line] == Some(time) {
                self.last_use[line] = None;
                self.cached -= 1;
            }
        }
        place
    }
}
