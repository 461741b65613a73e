//! Tiled attention (FlashAttention): tiles of 64 positions by 64 keys, with an online softmax. The heads of a group share their
//! keys, so a tile has a row of scores for each position and head.
//!
//! A tile of scores is computed, used and dropped. While the tiles of keys pass, a query keeps the largest score so far m,
//! the sum ℓ of e^(s − m), and the weighted sum of values; when m grows, ℓ and the values are scaled down. The sink is
//! included from the start: m = sink, ℓ = 1. Tiles that are not visible to any query are skipped.
//! The backward pass recomputes each tile of probabilities from lse = m + ln ℓ.

use super::{Keys, Shape, decode};
use crate::kernels::{self, gemm, parallel};
use crate::profile;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use std::ops::Range;

/// Positions per tile, and keys per tile.
const TILE: usize = 64;

/// Starts the timer of `products` products of D numbers per visible pair of a query and a key, of `sequences` sequences;
/// `numbers` are read or written.
fn timer(
    name: &'static str,
    products: usize,
    (sequences, positions): (usize, Range<usize>),
    numbers: usize,
    shape: Shape,
) -> profile::Timer {
    profile::op(name, products * sequences * shape.flops(positions), 4 * numbers)
}

/// Returns the rows `rows` and the columns of one head, of a matrix with `width` columns.
fn head<'a>(x: &'a [f32], width: usize, rows: Range<usize>, head: usize, dim: usize) -> ArrayView2<'a, f32> {
    let x = ArrayView2::from_shape((x.len() / width, width), x).expect("whole rows");
    x.slice_move(s![rows, head * dim..(head + 1) * dim])
}

fn head_mut<'a>(x: &'a mut [f32], width: usize, rows: Range<usize>, head: usize, dim: usize) -> ArrayViewMut2<'a, f32> {
    let x = ArrayViewMut2::from_shape((x.len() / width, width), x).expect("whole rows");
    x.slice_move(s![rows, head * dim..(head + 1) * dim])
}

/// Copies rows of `dim` numbers that begin at the given places.
fn copy_rows(x: &[f32], places: impl ExactSizeIterator<Item = usize>, dim: usize) -> Array2<f32> {
    let rows = places.len();
    let mut numbers = Vec::with_capacity(rows * dim);
    places.for_each(|place| numbers.extend_from_slice(&x[place..][..dim]));
    Array2::from_shape_vec((rows, dim), numbers).expect("D numbers per row")
}

/// Returns the numbers of a row.
fn numbers(x: &Array2<f32>, row: usize) -> &[f32] {
    &x.as_slice().expect("row-major")[row * x.ncols()..][..x.ncols()]
}

// ANCHOR: visible
/// Returns the keys of `tile` (positions) that are visible to the query at `position`, as indices in the tile.
fn visible(shape: Shape, position: usize, tile: &Range<usize>) -> Range<usize> {
    let first = shape.first_visible(position).clamp(tile.start, tile.end);
    let end = (position + 1).clamp(first, tile.end);
    first - tile.start..end - tile.start
}

/// Returns the tiles (positions) of `keys` that are visible to any query at `positions`.
fn visible_tiles(shape: Shape, positions: Range<usize>, keys: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let first = shape.first_visible(positions.start).max(keys.start);
    let end = positions.end.min(keys.end);
    let skipped = first.saturating_sub(keys.start) / TILE * TILE;
    (keys.start + skipped..end).step_by(TILE).map(move |start| start..(start + TILE).min(keys.end))
}
// ANCHOR_END: visible

/// Computes the scores of queries `q` and keys `k`: s ← q·kᵀ/√D, in rows of [`TILE`] numbers.
fn scores(q: ArrayView2<f32>, k: ArrayView2<f32>, scale: f32, s: &mut [f32]) {
    let mut s = ArrayViewMut2::from_shape((s.len() / TILE, TILE), s).expect("whole rows");
    gemm(scale, q, k.t(), 0.0, s.slice_mut(s![..q.nrows(), ..k.nrows()]));
}

fn tile_view(s: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    let s = ArrayView2::from_shape((s.len() / TILE, TILE), s).expect("whole rows");
    s.slice_move(s![..rows, ..columns])
}

/// Returns o and lse of one sequence whose first query is at position `q_start`. `keys` are runs in ascending order that
/// together contain every position that is visible to a query.
pub fn forward(q: &[f32], q_start: usize, keys: &[Keys], sinks: &[f32], shape: Shape) -> (Vec<f32>, Vec<f32>) {
    let tokens = q.len() / shape.query_width();
    let seen: usize = keys.iter().map(|run| run.k.bytes() + run.v.bytes()).sum();
    let _timer = timer("attention", 2, (1, q_start..q_start + tokens), 2 * q.len() + seen / 4, shape);
    if tokens == 1 {
        return decode::forward(q, q_start, keys, sinks, shape);
    }
    let (o_tile, lse_tile) = (TILE * shape.query_width(), TILE * shape.heads);
    parallel::build2((q.len(), o_tile), (tokens * shape.heads, lse_tile), |tile, o, lse| {
        let q = &q[tile * o_tile..][..o.len()];
        forward_tile(q, q_start + tile * TILE, keys, sinks, shape, o, lse);
    })
}

/// Computes [`forward`] for several sequences of equal length, each from position 0 with its own keys.
pub fn forward_batch(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sinks: &[f32],
    sequences: usize,
    shape: Shape,
) -> (Vec<f32>, Vec<f32>) {
    let tokens = q.len() / shape.query_width() / sequences;
    let _timer = timer("attention", 2, (sequences, 0..tokens), 2 * q.len() + k.len() + v.len(), shape);
    let (mut o, mut lse) = (vec![0.0; q.len()], vec![0.0; sequences * tokens * shape.heads]);
    let sequences = o.chunks_mut(tokens * shape.query_width()).zip(lse.chunks_mut(tokens * shape.heads)).enumerate();
    let mut tiles = Vec::new();
    for (sequence, (o, lse)) in sequences {
        let o_lse = o.chunks_mut(TILE * shape.query_width()).zip(lse.chunks_mut(TILE * shape.heads));
        tiles.extend(o_lse.enumerate().map(|(tile, (o, lse))| (sequence * tokens, tile * TILE, o, lse)));
    }
    parallel::for_each(tiles, |(first_row, position, o, lse)| {
        let q = &q[(first_row + position) * shape.query_width()..][..o.len()];
        let run = first_row * shape.kv_width()..(first_row + tokens) * shape.kv_width();
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
    let (q_width, dim, group) = (shape.query_width(), shape.head_dim, shape.group());
    let tokens = q.len() / q_width;
    let rows = group * tokens; // the queries of a group of heads, one head after the other
    let mut s = vec![0.0; rows * TILE];
    for kv in 0..shape.kv_heads {
        let at = |row: usize| row % tokens * q_width + (kv * group + row / tokens) * dim;
        let q = copy_rows(q, (0..rows).map(at), dim);
        // ANCHOR: forward_tile
        let mut m: Vec<f32> = (0..rows).map(|row| sinks[kv * group + row / tokens]).collect();
        let mut l = vec![1.0; rows];
        let mut values = Array2::zeros((rows, dim));
        for run in keys {
            for tile in visible_tiles(shape, position..position + tokens, run.start..run.end()) {
                let of_tile = run.slice(tile.clone());
                let (k, v) = (of_tile.k.head(kv), of_tile.v.head(kv));
                scores(q.view(), k.view(), shape.scale(), &mut s);
                for ((row, s), mut values) in s.chunks_exact_mut(TILE).enumerate().zip(values.rows_mut()) {
                    let seen = visible(shape, position + row % tokens, &tile);
                    s[..seen.start].fill(0.0);
                    s[seen.end..].fill(0.0);
                    let m_new = m[row].max(kernels::max(&s[seen.clone()]));
                    if m_new > m[row] {
                        let shrink = (m[row] - m_new).exp();
                        l[row] *= shrink;
                        kernels::scale(shrink, values.as_slice_mut().expect("row-major"));
                        m[row] = m_new;
                    }
                    l[row] += kernels::exp_sum(&mut s[seen], m_new);
                }
                gemm(1.0, tile_view(&s, rows, tile.len()), v.view(), 1.0, values.view_mut());
            }
        }
        for row in 0..rows {
            let o = &mut o[at(row)..][..dim];
            o.copy_from_slice(numbers(&values, row));
            kernels::scale(1.0 / l[row], o);
            lse[row % tokens * shape.heads + kv * group + row / tokens] = m[row] + l[row].ln();
        }
        // ANCHOR_END: forward_tile
    }
}

/// The inputs and results of the forward pass that the backward pass needs. Rows are B·T.
pub struct Saved<'a> {
    /// (B·T, N·D)
    pub q: &'a [f32],
    /// (B·T, K·D)
    pub k: &'a [f32],
    /// (B·T, K·D)
    pub v: &'a [f32],
    /// (N,)
    pub sinks: &'a [f32],
    /// (B·T, N·D)
    pub o: &'a [f32],
    /// (B·T, N)
    pub lse: &'a [f32],
}

/// The gradients of everything that went in, in its shape.
pub struct Grads {
    /// (B·T, N·D)
    pub dq: Vec<f32>,
    /// (B·T, K·D)
    pub dk: Vec<f32>,
    /// (B·T, K·D)
    pub dv: Vec<f32>,
    /// (N,)
    pub dsinks: Vec<f32>,
}

/// One sequence and one key/value head with its group of query heads: what one thread does by itself.
struct GroupGrads {
    /// (T, G·D)
    dq: Vec<f32>,
    /// (T, D)
    dk: Vec<f32>,
    /// (T, D)
    dv: Vec<f32>,
    /// (G,)
    dsinks: Vec<f32>,
}

/// Computes all gradients, from do (B·T, N·D).
pub fn backward(d_o: &[f32], saved: &Saved, sequences: usize, shape: Shape) -> Grads {
    let (q_width, kv_width, dim) = (shape.query_width(), shape.kv_width(), shape.head_dim);
    let tokens = d_o.len() / q_width / sequences;
    let _timer = timer("attention ′", 5, (sequences, 0..tokens), 4 * saved.q.len() + 4 * saved.k.len(), shape);
    let parts = parallel::map(sequences * shape.kv_heads, |i| {
        backward_part(d_o, saved, i / shape.kv_heads * tokens, tokens, i % shape.kv_heads, shape)
    });
    // The heads of a row are contiguous in memory.
    let gather = |width: usize, part_width: usize, of: &(dyn Fn(&GroupGrads) -> &[f32] + Sync)| {
        parallel::build(sequences * tokens * width, TILE * width, |piece, rows| {
            for (row, all) in (piece * TILE..).zip(rows.chunks_exact_mut(width)) {
                let (sequence, t) = (row / tokens, row % tokens);
                for (kv, all) in all.chunks_exact_mut(part_width).enumerate() {
                    all.copy_from_slice(&of(&parts[sequence * shape.kv_heads + kv])[t * part_width..][..part_width]);
                }
            }
        })
    };
    let mut grads = Grads {
        dq: gather(q_width, shape.group() * dim, &|part| &part.dq),
        dk: gather(kv_width, dim, &|part| &part.dk),
        dv: gather(kv_width, dim, &|part| &part.dv),
        dsinks: vec![0.0; shape.heads],
    };
    for (i, part) in parts.iter().enumerate() {
        let first = i % shape.kv_heads * shape.group();
        kernels::axpy(1.0, &part.dsinks, &mut grads.dsinks[first..first + shape.group()]);
    }
    grads
}

fn backward_part(d_o: &[f32], saved: &Saved, first: usize, tokens: usize, kv: usize, shape: Shape) -> GroupGrads {
    let (q_width, kv_width, dim, group) = (shape.query_width(), shape.kv_width(), shape.head_dim, shape.group());
    let (mut dq, mut dsinks) = (vec![0.0; tokens * group * dim], vec![0.0; group]);
    let (mut dk, mut dv) = (vec![0.0; tokens * dim], vec![0.0; tokens * dim]);
    let (mut p, mut dp) = (vec![0.0; TILE * TILE], vec![0.0; TILE * TILE]);
    let in_batch = |range: &Range<usize>| first + range.start..first + range.end;
    for (g, dsink) in dsinks.iter_mut().enumerate() {
        let h = kv * group + g;
        // ANCHOR: backward_part
        let number = |x: &[f32], t: usize| x[(first + t) * shape.heads + h];
        let at = |t: usize| (first + t) * q_width + h * dim;
        let delta_of = |t| kernels::dot(&d_o[at(t)..][..dim], &saved.o[at(t)..][..dim]);
        let delta: Vec<f32> = (0..tokens).map(delta_of).collect();
        *dsink = -(0..tokens).map(|t| (saved.sinks[h] - number(saved.lse, t)).exp() * delta[t]).sum::<f32>();
        for q_first in (0..tokens).step_by(TILE) {
            let queries = q_first..(q_first + TILE).min(tokens);
            let q = head(saved.q, q_width, in_batch(&queries), h, dim);
            let d_o = head(d_o, q_width, in_batch(&queries), h, dim);
            for keys in visible_tiles(shape, queries.clone(), 0..tokens) {
                let k = head(saved.k, kv_width, in_batch(&keys), kv, dim);
                let v = head(saved.v, kv_width, in_batch(&keys), kv, dim);
                scores(q, k, shape.scale(), &mut p);
                scores(d_o, v, 1.0, &mut dp);
                let rows = p.chunks_exact_mut(TILE).zip(dp.chunks_exact_mut(TILE));
                for (t, (p, dp)) in queries.clone().zip(rows) {
                    let seen = visible(shape, t, &keys);
                    p[..seen.start].fill(0.0);
                    p[seen.end..].fill(0.0);
                    kernels::exp_sum(&mut p[seen], number(saved.lse, t));
                    for (ds, p) in dp.iter_mut().zip(p) {
                        *ds = *p * (*ds - delta[t]) * shape.scale();
                    }
                }
                let (p, ds) = (tile_view(&p, q.nrows(), k.nrows()), tile_view(&dp, q.nrows(), k.nrows()));
                gemm(1.0, p.t(), d_o, 1.0, head_mut(&mut dv, dim, keys.clone(), 0, dim));
                gemm(1.0, ds.t(), q, 1.0, head_mut(&mut dk, dim, keys, 0, dim));
                gemm(1.0, ds, k, 1.0, head_mut(&mut dq, group * dim, queries.clone(), g, dim));
            }
        }
        // ANCHOR_END: backward_part
    }
    GroupGrads { dq, dk, dv, dsinks }
}
