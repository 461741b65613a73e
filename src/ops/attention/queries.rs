//! The queries of a tile, side by side in panels.
//!
//! The heads of a group share their keys, so a query of each head at each position is a column of a panel. Scores and
//! probabilities are matrices (keys, C), where C is the number of columns of a panel: a row belongs to a key.
//!
//! Book: [tiles](../../../../../book/tiles.html)

use super::Shape;
use crate::kernels;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use std::ops::Range;

/// At most C queries of one group of heads. Query i of a group is its head i % G at position i / G.
#[derive(Debug, Clone)]
pub struct Queries {
    range: Range<usize>,
    /// The key/value head of the group.
    kv: usize,
    pub shape: Shape,
}

/// Returns C, the number of queries that are processed together.
pub fn columns() -> usize {
    kernels::panel_columns()
}

/// Returns numbers in rows of C.
pub fn matrix(x: &[f32]) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((x.len() / columns(), columns()), x).expect("whole rows")
}

/// Returns numbers in rows of C.
pub fn matrix_mut(x: &mut [f32]) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((x.len() / columns(), columns()), x).expect("whole rows")
}

/// Packs the rows of x (C, D) as the columns of a panel (D, C).
pub fn transpose(x: ArrayView2<f32>, panel: &mut [f32]) {
    kernels::pack_panel(x.reversed_axes(), panel);
}

impl Queries {
    /// Cuts the queries of a group at `positions` into panels.
    pub fn panels(positions: Range<usize>, kv: usize, shape: Shape) -> impl Iterator<Item = Self> {
        let all = positions.start * shape.group()..positions.end * shape.group();
        let panel = move |start| Self { range: start..all.end.min(start + columns()), kv, shape };
        all.clone().step_by(columns()).map(panel)
    }

    /// Returns the position and the head of each query.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (group, first) = (self.shape.group(), self.kv * self.shape.group());
        self.range.clone().map(move |i| (i / group, first + i % group))
    }

    /// Returns a number for the position and the head of each query, (C,), and zeros for columns without a query.
    pub fn numbers(&self, number: impl Fn((usize, usize)) -> f32) -> Vec<f32> {
        let mut numbers = vec![0.0; columns()];
        numbers.iter_mut().zip(self.places()).for_each(|(x, place)| *x = number(place));
        numbers
    }

    /// Copies the rows of the queries, (C, D), from x (T, N·D), whose first row belongs to the position `start`. Columns
    /// without a query get zeros.
    pub fn copy<'a>(&self, x: &[f32], start: usize, rows: &'a mut [f32]) -> ArrayView2<'a, f32> {
        let (dim, width) = (self.shape.head_dim, self.shape.query_width());
        rows[self.range.len() * dim..].fill(0.0);
        for (row, (position, head)) in rows.chunks_exact_mut(dim).zip(self.places()) {
            row.copy_from_slice(&x[(position - start) * width + head * dim..][..dim]);
        }
        ArrayView2::from_shape((columns(), dim), rows).expect("D numbers per query")
    }

    /// Writes the columns of x (D, C) to the rows of y, which has the numbers of `heads` for each position from `start` on.
    /// `block` (C, C) is overwritten.
    pub fn write(&self, x: &[f32], y: &mut [f32], start: usize, heads: Range<usize>, block: &mut [f32]) {
        let (dim, width) = (self.shape.head_dim, heads.len() * self.shape.head_dim);
        for (i, x) in matrix(x).axis_chunks_iter(Axis(0), columns()).enumerate() {
            let numbers = x.nrows();
            transpose(x, block);
            for (row, (position, head)) in block.chunks_exact(columns()).zip(self.places()) {
                let at = (position - start) * width + (head - heads.start) * dim + i * columns();
                y[at..][..numbers].copy_from_slice(&row[..numbers]);
            }
        }
    }

    // ANCHOR: visible
    /// Returns the positions of the first and the last query.
    fn ends(&self) -> (usize, usize) {
        (self.range.start / self.shape.group(), (self.range.end - 1) / self.shape.group())
    }

    /// Returns the keys of `tile` (positions) that are visible to any of the queries.
    pub fn visible(&self, tile: &Range<usize>) -> Range<usize> {
        let (first, last) = self.ends();
        let start = self.shape.first_visible(first).clamp(tile.start, tile.end);
        start..(last + 1).clamp(start, tile.end)
    }

    /// Replaces the scores of hidden keys by −∞: s (keys, C).
    pub fn hide(&self, keys: Range<usize>, s: &mut [f32]) {
        let (first, last) = self.ends();
        // The first column whose query is at `position` or after it.
        let column = |position: usize| (position * self.shape.group()).saturating_sub(self.range.start).min(columns());
        let at = |key: usize| (key - keys.start) * columns();
        for key in keys.start.max(first + 1)..keys.end {
            s[at(key)..][..column(key)].fill(f32::NEG_INFINITY);
        }
        if let Some(window) = self.shape.window {
            for key in keys.start..keys.end.min((last + 1).saturating_sub(window)) {
                s[at(key)..][column(key + window)..columns()].fill(f32::NEG_INFINITY);
            }
        }
    }
    // ANCHOR_END: visible
}
