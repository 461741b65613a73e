//! Tiled attention (FlashAttention): tiles of 64 positions by 64 keys, with an online softmax. The heads of a group share their
//! keys, so a query of each head at each position attends to a tile of keys. The queries are cut into panels of C queries.
//!
//! The scores of a panel and a tile are computed, used and dropped. While the tiles of keys pass, a query keeps the largest score
//! so far m, the sum ℓ of e^(s − m), and the weighted sum of values; when m grows, ℓ and the values are scaled down. The sink is
//! included from the start: m = sink, ℓ = 1. Keys that are not visible to any query of a panel are left out.
//! [`mod@super::backward`] recomputes the probabilities from lse = m + ln ℓ.
//!
//! Book: [tiles](../../../../../book/tiles.html)

use super::queries::{Queries, columns, matrix_mut, transpose};
use super::{Keys, Sequences, Shape, decode};
use crate::kernels::memory::{take, with_scratch};
use crate::kernels::{self, parallel};
use crate::profile;
use ndarray::{ArrayView2, s};
use std::ops::Range;

/// Positions per tile, and keys per tile.
pub(super) const TILE: usize = 64;

/// Starts the timer of `products` products of D numbers per visible pair of a query and a key, of several sequences from position
/// 0; `numbers` are read or written.
pub(super) fn timer(
    name: &'static str,
    products: usize,
    sequences: &Sequences,
    numbers: usize,
    shape: Shape,
) -> profile::Timer {
    let flops: usize = sequences.iter().map(|rows| shape.flops(0..rows.len())).sum();
    profile::op(name, products * flops, 4 * numbers)
}

// ANCHOR: visible_tiles
/// Returns the tiles (positions) of `keys` that are visible to any query at `positions`.
pub(super) fn visible_tiles(
    shape: Shape,
    positions: Range<usize>,
    keys: Range<usize>,
) -> impl Iterator<Item = Range<usize>> {
    let first = shape.first_visible(positions.start).max(keys.start);
    let end = positions.end.min(keys.end);
    let skipped = first.saturating_sub(keys.start) / TILE * TILE;
    (keys.start + skipped..end).step_by(TILE).map(move |start| start..(start + TILE).min(keys.end))
}
// ANCHOR_END: visible_tiles

/// Returns o and lse of one sequence whose first query is at position `q_start`. `keys` are runs in ascending order that
/// together contain every position that is visible to a query.
pub fn forward(q: &[f32], q_start: usize, keys: &[Keys], sinks: &[f32], shape: Shape) -> (Vec<f32>, Vec<f32>) {
    let tokens = q.len() / shape.query_width();
    let seen: usize = keys.iter().map(|run| run.k.bytes() + run.v.bytes()).sum();
    let flops = 2 * shape.flops(q_start..q_start + tokens);
    let _timer = profile::op("attention", flops, 4 * (2 * q.len() + seen / 4));
    if tokens == 1 {
        return decode::forward(q, q_start, keys, sinks, shape);
    }
    let (o_tile, lse_tile) = (TILE * shape.query_width(), TILE * shape.heads);
    parallel::build2((q.len(), o_tile), (tokens * shape.heads, lse_tile), |tile, o, lse| {
        let q = &q[tile * o_tile..][..o.len()];
        forward_tile(q, q_start + tile * TILE, keys, sinks, shape, o, lse);
    })
}

/// Computes [`forward`] for several sequences, each from position 0 with its own keys.
pub fn forward_batch(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sinks: &[f32],
    sequences: &Sequences,
    shape: Shape,
) -> (Vec<f32>, Vec<f32>) {
    let _timer = timer("attention", 2, sequences, 2 * q.len() + k.len() + v.len(), shape);
    let (mut o, mut lse) = (vec![0.0; q.len()], vec![0.0; sequences.rows() * shape.heads]);
    let (mut rest_of_o, mut rest_of_lse, mut tiles) = (&mut o[..], &mut lse[..], Vec::new());
    for rows in sequences.iter() {
        let (o, lse);
        (o, rest_of_o) = rest_of_o.split_at_mut(rows.len() * shape.query_width());
        (lse, rest_of_lse) = rest_of_lse.split_at_mut(rows.len() * shape.heads);
        let o_lse = o.chunks_mut(TILE * shape.query_width()).zip(lse.chunks_mut(TILE * shape.heads));
        tiles.extend(o_lse.enumerate().map(|(tile, (o, lse))| (rows.clone(), tile * TILE, o, lse)));
    }
    parallel::for_each(tiles, |(rows, position, o, lse)| {
        let q = &q[(rows.start + position) * shape.query_width()..][..o.len()];
        let run = rows.start * shape.kv_width()..rows.end * shape.kv_width();
        let keys = Keys::rows(0, &k[run.clone()], &v[run], shape);
        forward_tile(q, position, &[keys], sinks, shape, o, lse);
    });
    (o, lse)
}

/// Computes all heads of at most [`TILE`] positions, the first of which is `position`.
fn forward_tile(
    q: &[f32],
    position: usize,
    keys: &[Keys],
    sinks: &[f32],
    shape: Shape,
    o: &mut [f32],
    lse: &mut [f32],
) {
    let positions = position..position + q.len() / shape.query_width();
    let panels = (positions.len() * shape.group()).div_ceil(columns());
    let numbers = (2 * panels + 1) * shape.head_dim * columns() + TILE * columns();
    with_scratch(numbers, |mut scratch| {
        let (rows, scores) = (take(&mut scratch, shape.head_dim * columns()), take(&mut scratch, TILE * columns()));
        for kv in 0..shape.kv_heads {
            let mut scratch = &mut *scratch;
            let panel = |queries: Queries| Forward::new(queries.copy(q, position, rows), queries, sinks, &mut scratch);
            let mut panels: Vec<_> = Queries::panels(positions.clone(), kv, shape).map(panel).collect();
            for run in keys {
                for tile in visible_tiles(shape, positions.clone(), run.start..run.end()) {
                    let of_tile = run.slice(tile.clone());
                    let (k, v) = (of_tile.k.head(kv), of_tile.v.head(kv));
                    panels.iter_mut().for_each(|panel| panel.attend(&tile, k.view(), v.view(), scores));
                }
            }
            panels.into_iter().for_each(|panel| panel.finish(position, o, lse, scores));
        }
    });
}

/// The forward pass of a panel of C queries, as far as it has come.
struct Forward<'a> {
    queries: Queries,
    /// (D, C)
    q: &'a [f32],
    /// The largest score so far, (C,).
    m: Vec<f32>,
    /// Σ e^(s − m), (C,)
    l: Vec<f32>,
    /// Σ e^(s − m)·v, (D, C)
    o: &'a mut [f32],
}

impl<'a> Forward<'a> {
    /// Starts with the sinks: q (C, D). Takes its memory from `scratch`.
    fn new(q: ArrayView2<f32>, queries: Queries, sinks: &[f32], scratch: &mut &'a mut [f32]) -> Self {
        let (columns_of_q, o) = (take(scratch, q.len()), take(scratch, q.len()));
        transpose(q, columns_of_q);
        o.fill(0.0);
        let m = queries.numbers(|(_, head)| sinks[head]);
        Self { queries, q: columns_of_q, m, l: vec![1.0; columns()], o }
    }

    // ANCHOR: attend
    /// Attends to a tile of keys (positions): k and v (keys, D). `s` has room for the scores.
    fn attend(&mut self, tile: &Range<usize>, k: ArrayView2<f32>, v: ArrayView2<f32>, s: &mut [f32]) {
        let seen = self.queries.visible(tile);
        let rows = s![seen.start - tile.start..seen.end - tile.start, ..];
        let (k, v) = (k.slice(rows), v.slice(rows));
        let s = &mut s[..seen.len() * columns()];
        kernels::multiply_panel(self.queries.shape.scale(), k, self.q, false, matrix_mut(s));
        self.queries.hide(seen, s);
        kernels::online_softmax(s, &mut self.m, &mut self.l, self.o);
        kernels::multiply_panel(1.0, v.t(), s, true, matrix_mut(self.o));
    }
    // ANCHOR_END: attend

    /// Writes the results of the queries to the rows of o and lse, the first of which belong to the position `start`.
    fn finish(self, start: usize, o: &mut [f32], lse: &mut [f32], scratch: &mut [f32]) {
        for row in self.o.chunks_exact_mut(columns()) {
            row.iter_mut().zip(&self.l).for_each(|(o, l)| *o /= l);
        }
        let heads = self.queries.shape.heads;
        self.queries.write(self.o, o, start, 0..heads, &mut scratch[..columns() * columns()]);
        for ((position, head), (m, l)) in self.queries.places().zip(self.m.iter().zip(&self.l)) {
            lse[(position - start) * heads + head] = m + l.ln();
        }
    }
}
