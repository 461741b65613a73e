//! One matrix product per expert:  y = x·Wₑ + bₑ  for the rows of expert e.       Book: experts.md
//!
//! x (R, In) sorted by expert, W (E, In, Out), b (E, Out) → y (R, Out).  `offsets` (E + 1,) says where each
//! expert's rows begin. The weights lie as in the Hugging Face checkpoint: one row per input, so no transpose.
//! The way back, per expert:  dx = dy·Wₑᵀ,  dWₑ = xᵀ·dy,  dbₑ = Σ dy.

use super::matmul::column_sums;
use crate::kernels::{gemm, parallel};
use crate::profile;
use crate::tensor::{Tensor, array, matrix, slice};
use ndarray::{ArrayView2, ArrayViewMut2, s};

/// Rows of one expert that make a piece of work: enough to pay for packing Wₑ again.
const ROWS: usize = 512;

/// A run of rows that belong to one expert, and where its part of a result is to be written.
struct Piece<'a> {
    expert: usize,
    first_row: usize,
    out: &'a mut [f32],
}

/// Cuts a result of `width` numbers a row in runs of at most [`ROWS`] rows, none of which spans two experts.
fn pieces<'a>(out: &'a mut [f32], width: usize, offsets: &[usize]) -> Vec<Piece<'a>> {
    let mut rest = out;
    let mut pieces = Vec::new();
    for (expert, range) in offsets.windows(2).enumerate() {
        for first_row in (range[0]..range[1]).step_by(ROWS) {
            let rows = ROWS.min(range[1] - first_row);
            let (out, after) = rest.split_at_mut(rows * width);
            pieces.push(Piece { expert, first_row, out });
            rest = after;
        }
    }
    pieces
}

fn view<'a>(rows: usize, columns: usize, numbers: &'a [f32]) -> ArrayView2<'a, f32> {
    ArrayView2::from_shape((rows, columns), numbers).expect("rows times columns is the length")
}

fn view_mut(columns: usize, numbers: &mut [f32]) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((numbers.len() / columns, columns), numbers).expect("whole rows")
}

/// 2·R·In·Out operations; x, y and the matrices of experts that have rows once each.
fn timer(name: &'static str, (rows, inputs): (usize, usize), outputs: usize, offsets: &[usize]) -> profile::Timer {
    let weights = offsets.windows(2).filter(|range| range[0] < range[1]).count() * inputs * outputs;
    profile::op(name, 2 * rows * inputs * outputs, 4 * (rows * (inputs + outputs) + weights))
}

// ANCHOR: forward
/// y (R, Out)
pub fn forward(x: ArrayView2<f32>, w: &[f32], b: &[f32], offsets: &[usize]) -> Vec<f32> {
    let inputs = x.ncols();
    let outputs = b.len() / (offsets.len() - 1);
    let _timer = timer("experts", x.dim(), outputs, offsets);
    let mut y = vec![0.0; x.nrows() * outputs];
    parallel::for_each(pieces(&mut y, outputs, offsets), |piece| {
        let w = view(inputs, outputs, &w[piece.expert * inputs * outputs..][..inputs * outputs]);
        let b = &b[piece.expert * outputs..][..outputs];
        piece.out.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(b));
        let rows = piece.out.len() / outputs;
        gemm(1.0, x.slice(s![piece.first_row..piece.first_row + rows, ..]), w, 1.0, view_mut(outputs, piece.out));
    });
    y
}
// ANCHOR_END: forward

/// dx (R, In)
fn input_gradient(dy: ArrayView2<f32>, w: &[f32], inputs: usize, offsets: &[usize]) -> Vec<f32> {
    let outputs = dy.ncols();
    let _timer = timer("experts ′x", dy.dim(), inputs, offsets);
    let mut dx = vec![0.0; dy.nrows() * inputs];
    parallel::for_each(pieces(&mut dx, inputs, offsets), |piece| {
        let w = view(inputs, outputs, &w[piece.expert * inputs * outputs..][..inputs * outputs]);
        let rows = piece.out.len() / inputs;
        gemm(1.0, dy.slice(s![piece.first_row..piece.first_row + rows, ..]), w.t(), 0.0, view_mut(inputs, piece.out));
    });
    dx
}

// ANCHOR: weight_gradient
/// dW (E, In, Out) and db (E, Out). An expert without rows has gradient 0.
fn weight_gradient(dy: ArrayView2<f32>, x: ArrayView2<f32>, offsets: &[usize]) -> (Vec<f32>, Vec<f32>) {
    let (inputs, outputs, experts) = (x.ncols(), dy.ncols(), offsets.len() - 1);
    let _timer = timer("experts ′w", x.dim(), outputs, offsets);
    let (mut dw, mut db) = (vec![0.0; experts * inputs * outputs], vec![0.0; experts * outputs]);
    parallel::for_chunks2(&mut dw, inputs * outputs, &mut db, outputs, |expert, dw, db| {
        let rows = offsets[expert]..offsets[expert + 1];
        let (x, dy) = (x.slice(s![rows.clone(), ..]), dy.slice(s![rows, ..]));
        gemm(1.0, x.t(), dy, 0.0, view_mut(outputs, dw));
        db.copy_from_slice(&column_sums(dy));
    });
    (dw, db)
}
// ANCHOR_END: weight_gradient

/// (dx, dW, db), from dy (R, Out)
pub fn backward(
    dy: ArrayView2<f32>,
    x: ArrayView2<f32>,
    w: &[f32],
    offsets: &[usize],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (dw, db) = weight_gradient(dy, x, offsets);
    (input_gradient(dy, w, x.ncols(), offsets), dw, db)
}

/// The grouped product on tensors: x (R, In), w (E, In, Out), b (E, Out) → (R, Out).
pub fn grouped_matmul(x: &Tensor, w: &Tensor, b: &Tensor, offsets: &[usize]) -> Tensor {
    let [experts, inputs, outputs] = *w.shape() else { panic!("expert weights are (E, In, Out), not {:?}", w.shape()) };
    assert_eq!(x.shape(), [offsets[experts], inputs], "grouped_matmul: x {:?}, w {:?}", x.shape(), w.shape());
    assert_eq!(b.shape(), [experts, outputs], "grouped_matmul: b {:?}, w {:?}", b.shape(), w.shape());
    let y = array(&[x.shape()[0], outputs], forward(x.matrix(), w.data(), b.data(), offsets));
    Tensor::from_op(y, &[x, w, b], || {
        let (x_needs, w_needs) = (x.needs_grad(), w.needs_grad() || b.needs_grad());
        let (x, w, offsets) = (x.value().clone(), w.value().clone(), offsets.to_vec());
        Box::new(move |dy| {
            let dy = matrix(&dy);
            let dx = x_needs.then(|| array(x.shape(), input_gradient(dy, slice(&w), inputs, &offsets)));
            let weights = w_needs.then(|| weight_gradient(dy, matrix(&x), &offsets));
            let (dw, db) = weights.unzip();
            let dw = dw.map(|dw| array(&[experts, inputs, outputs], dw));
            vec![dx, dw, db.map(|db| array(&[experts, outputs], db))]
        })
    })
}
