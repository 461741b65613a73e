//! The backward pass of attention in tiles. It recomputes each tile of probabilities from lse = m + ln ℓ.
//!
//! Book: [tiles](../../../../../book/tiles.html)

use super::queries::{Queries, columns, matrix, matrix_mut, transpose};
use super::tiled::{TILE, timer, visible_tiles};
use super::{Sequences, Shape};
use crate::kernels::memory::{take, with_scratch};
use crate::kernels::{self, parallel};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use std::ops::Range;

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
pub fn backward(d_o: &[f32], saved: &Saved, sequences: &Sequences, shape: Shape) -> Grads {
    let (q_width, kv_width, dim) = (shape.query_width(), shape.kv_width(), shape.head_dim);
    let _timer = timer("attention ′", 5, sequences, 4 * saved.q.len() + 4 * saved.k.len(), shape);
    let parts = parallel::map(sequences.len() * shape.kv_heads, |i| {
        backward_part(d_o, saved, sequences.get(i / shape.kv_heads), i % shape.kv_heads, shape)
    });
    let places = sequences.places();
    // A row of the result has the numbers of all heads, one head after the other.
    let gather = |width: usize, part_width: usize, of: &(dyn Fn(&GroupGrads) -> &[f32] + Sync)| {
        parallel::build(places.len() * width, TILE * width, |piece, rows| {
            for ((sequence, t), all) in places[piece * TILE..].iter().zip(rows.chunks_exact_mut(width)) {
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

/// Computes one key/value head of the sequence that has these rows.
fn backward_part(d_o: &[f32], saved: &Saved, rows: Range<usize>, kv: usize, shape: Shape) -> GroupGrads {
    let (first, tokens) = (rows.start, rows.len());
    let (dim, group) = (shape.head_dim, shape.group());
    let (mut dq, mut dsinks) = (vec![0.0; tokens * group * dim], vec![0.0; group]);
    let (mut dk, mut dv) = (Array2::zeros((tokens, dim)), Array2::zeros((tokens, dim)));
    let heads = kv * group..(kv + 1) * group;
    let (k, v) = (head(saved.k, first..first + tokens, kv, shape), head(saved.v, first..first + tokens, kv, shape));
    let panels = (TILE.min(tokens) * group).div_ceil(columns());
    let numbers = (5 * panels + 1) * dim.next_multiple_of(columns()) * columns() + 2 * TILE * columns();
    with_scratch(numbers, |mut scratch| {
        let (rows, p) = (take(&mut scratch, dim * columns()), take(&mut scratch, TILE * columns()));
        let ds = take(&mut scratch, TILE * columns());
        for start in (0..tokens).step_by(TILE) {
            let (positions, mut scratch) = (start..(start + TILE).min(tokens), &mut *scratch);
            let panel = |queries| Backward::new(queries, d_o, saved, first, rows, &mut scratch);
            let mut panels: Vec<_> = Queries::panels(positions.clone(), kv, shape).map(panel).collect();
            for tile in visible_tiles(shape, positions, 0..tokens) {
                for panel in &mut panels {
                    let seen = panel.queries.visible(&tile);
                    let rows = s![seen.clone(), ..];
                    let (dk, dv) = (dk.slice_mut(rows), dv.slice_mut(rows));
                    panel.attend(seen, (k.slice(rows), v.slice(rows)), (dk, dv), (p, ds));
                }
            }
            for panel in panels {
                panel.queries.write(panel.dq, &mut dq, 0, heads.clone(), &mut p[..columns() * columns()]);
                for ((_, head), dsink) in panel.queries.places().zip(&panel.dsinks) {
                    dsinks[head - heads.start] += dsink;
                }
            }
        }
    });
    GroupGrads { dq, dk: dk.into_raw_vec_and_offset().0, dv: dv.into_raw_vec_and_offset().0, dsinks }
}

/// Returns the rows `rows` of one head, (T, D), of x (B·T, K·D).
fn head(x: &[f32], rows: Range<usize>, kv: usize, shape: Shape) -> ArrayView2<'_, f32> {
    let x = ArrayView2::from_shape((x.len() / shape.kv_width(), shape.kv_width()), x).expect("whole rows");
    x.slice_move(s![rows, kv * shape.head_dim..(kv + 1) * shape.head_dim])
}

/// The backward pass of a panel of C queries, as far as it has come.
struct Backward<'a> {
    queries: Queries,
    /// The queries as columns, (D, C).
    q: &'a [f32],
    /// The gradients of the results as columns, (D, C).
    d_o: &'a [f32],
    /// The queries as rows, in panels (C, C).
    q_rows: &'a [f32],
    /// The gradients of the results as rows, in panels (C, C).
    d_o_rows: &'a [f32],
    /// (C,)
    lse: Vec<f32>,
    /// ⟨do, o⟩, (C,)
    delta: Vec<f32>,
    /// The gradient of the sink from each query, (C,).
    dsinks: Vec<f32>,
    /// (D, C)
    dq: &'a mut [f32],
}

impl<'a> Backward<'a> {
    /// Packs the queries of the sequence whose first row is `first`. Takes its memory from `scratch`; `rows` (C, D) is
    /// overwritten.
    fn new(
        queries: Queries,
        d_o: &[f32],
        saved: &Saved,
        first: usize,
        rows: &mut [f32],
        scratch: &mut &'a mut [f32],
    ) -> Self {
        let shape = queries.shape;
        let number = |(position, head): (usize, usize)| (first + position) * shape.heads + head;
        let delta = queries.numbers(|place| {
            let row = number(place) * shape.head_dim..(number(place) + 1) * shape.head_dim;
            kernels::dot(&d_o[row.clone()], &saved.o[row])
        });
        let lse = queries.numbers(|place| saved.lse[number(place)]);
        let sinks = queries.numbers(|(_, head)| saved.sinks[head]);
        let dsinks = (0..columns()).map(|i| -(sinks[i] - lse[i]).exp() * delta[i]).collect();
        let mut pack = |x: &[f32]| {
            let x = queries.copy(&x[first * shape.query_width()..], 0, rows);
            let packed = take(scratch, x.len());
            transpose(x, packed);
            let panels = take(scratch, x.ncols().next_multiple_of(columns()) * columns());
            pack_rows(x, panels);
            (&*packed, &*panels)
        };
        let ((q, q_rows), (d_o, d_o_rows)) = (pack(saved.q), pack(d_o));
        let dq = take(scratch, q.len());
        dq.fill(0.0);
        Self { queries, q, d_o, q_rows, d_o_rows, lse, delta, dsinks, dq }
    }

    // ANCHOR: attend
    /// Adds the gradients that come from the keys `seen` (positions). All matrices are (keys, D), except P and dS.
    fn attend(
        &mut self,
        seen: Range<usize>,
        (k, v): (ArrayView2<f32>, ArrayView2<f32>),
        (dk, dv): (ArrayViewMut2<f32>, ArrayViewMut2<f32>),
        (p, ds): (&mut [f32], &mut [f32]),
    ) {
        let (numbers, scale) = (seen.len() * columns(), self.queries.shape.scale());
        let (p, ds) = (&mut p[..numbers], &mut ds[..numbers]);
        kernels::multiply_panel(scale, k, self.q, false, matrix_mut(p));
        kernels::multiply_panel(1.0, v, self.d_o, false, matrix_mut(ds));
        self.queries.hide(seen, p);
        kernels::online_softmax_backward(p, ds, &self.lse, &self.delta, scale);
        add_product(matrix(p), self.d_o_rows, dv);
        add_product(matrix(ds), self.q_rows, dk);
        kernels::multiply_panel(1.0, k.t(), ds, true, matrix_mut(self.dq));
    }
    // ANCHOR_END: attend
}

/// Packs x (C, D) in panels (C, C).
fn pack_rows(x: ArrayView2<f32>, panels: &mut [f32]) {
    let parts = x.axis_chunks_iter(Axis(1), columns()).zip(panels.chunks_exact_mut(columns() * columns()));
    parts.for_each(|(x, panel)| kernels::pack_panel(x, panel));
}

/// C ← C + A·B, with B (C, D) in panels.
fn add_product(a: ArrayView2<f32>, panels: &[f32], mut c: ArrayViewMut2<f32>) {
    let parts = panels.chunks_exact(columns() * columns()).zip(c.axis_chunks_iter_mut(Axis(1), columns()));
    parts.for_each(|(panel, c)| kernels::multiply_panel(1.0, a, panel, true, c));
}
