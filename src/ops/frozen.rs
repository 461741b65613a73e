//! Layers whose weights are frozen and stay in their file: linear, grouped, embedding.       Book: mxfp4.md
//!
//! The same maths as [`matmul`](super::matmul), [`grouped_matmul`](super::grouped_matmul) and
//! [`embedding`](super::embedding), with a [`Stored`] in the place of W. The gradient flows through to the input, and to
//! the bias where that is trained; the weight gets none.

use super::matmul::column_sums;
use crate::profile;
use crate::stored::{Numbers, Stored};
use crate::tensor::{Array, Tensor, array, matrix};
use ndarray::{Array2, ArrayView2, Axis, Slice};
use std::sync::Arc;

/// A matrix with the bias of its expert in every row. `biases` (E, O), `offsets` (E + 1,) rows.
fn rows_of_biases(biases: Option<&[f32]>, outputs: usize, offsets: &[usize]) -> Array2<f32> {
    let mut y = Array2::zeros((offsets[offsets.len() - 1], outputs));
    for (expert, range) in offsets.windows(2).enumerate() {
        let Some(biases) = biases else { break };
        let bias = ArrayView2::from_shape((1, outputs), &biases[expert * outputs..][..outputs]).expect("one row");
        y.slice_axis_mut(Axis(0), Slice::from(range[0]..range[1])).assign(&bias);
    }
    y
}

fn name(w: &Stored) -> &'static str {
    match (w.numbers(), w.shape().len()) {
        (Numbers::F32(_), 2) => "linear f32",
        (Numbers::Bf16(_), 2) => "linear bf16",
        (Numbers::Mxfp4 { .. }, 2) => "linear mxfp4",
        (Numbers::Int8(_), 2) => "linear int8",
        (Numbers::F32(_), _) => "experts f32",
        (Numbers::Bf16(_), _) => "experts bf16",
        (Numbers::Mxfp4 { .. }, _) => "experts mxfp4",
        (Numbers::Int8(_), _) => "experts int8",
    }
}

/// 2·R·inputs·outputs operations; the rows, and the matrices that have any.
fn timer(name: &'static str, rows: usize, w: &Stored, offsets: &[usize]) -> profile::Timer {
    let (inputs, outputs) = (w.inputs(), w.outputs());
    let matrices = offsets.windows(2).filter(|range| range[0] < range[1]).count();
    let weights = w.numbers().bytes() / (offsets.len() - 1) * matrices;
    profile::op(name, 2 * rows * inputs * outputs, weights + 4 * rows * (inputs + outputs))
}

/// y (R, outputs): the rows of expert e times matrix e. `b` (E, outputs).
pub fn forward(x: ArrayView2<f32>, w: &Stored, b: Option<&[f32]>, offsets: &[usize]) -> Array2<f32> {
    let _timer = timer(name(w), x.nrows(), w, offsets);
    let mut y = rows_of_biases(b, w.outputs(), offsets);
    for_experts(offsets, |expert, rows| {
        w.matrix(expert).apply(x.slice_axis(Axis(0), rows), y.slice_axis_mut(Axis(0), rows));
    });
    y
}

/// dx (R, inputs)
pub fn backward(dy: ArrayView2<f32>, w: &Stored, offsets: &[usize]) -> Array2<f32> {
    let _timer = timer("frozen ′x", dy.nrows(), w, offsets);
    let mut dx = Array2::zeros((dy.nrows(), w.inputs()));
    for_experts(offsets, |expert, rows| {
        w.matrix(expert).apply_back(dy.slice_axis(Axis(0), rows), dx.slice_axis_mut(Axis(0), rows));
    });
    dx
}

/// The rows of each expert that has any.
fn for_experts(offsets: &[usize], mut f: impl FnMut(usize, Slice)) {
    for (expert, range) in offsets.windows(2).enumerate() {
        if range[0] < range[1] {
            f(expert, Slice::from(range[0]..range[1]));
        }
    }
}

fn to_array(x: Array2<f32>, shape: &[usize]) -> Array {
    array(shape, x.into_raw_vec_and_offset().0)
}

/// y = x·W + b, expert by expert: x (R, inputs) sorted by expert, W a stack of E, b (E, outputs) → y (R, outputs).
pub fn grouped(x: &Tensor, w: &Arc<Stored>, b: &Tensor, offsets: &[usize]) -> Tensor {
    node(x, w, Some(b), offsets)
}

/// y = x·Wᵀ + b: x (…, inputs), W (outputs, inputs), b (outputs,) → y (…, outputs).
pub fn linear(x: &Tensor, w: &Arc<Stored>, b: Option<&Tensor>) -> Tensor {
    let rows = x.data().len() / w.inputs();
    node(x, w, b, &[0, rows])
}

fn node(x: &Tensor, w: &Arc<Stored>, b: Option<&Tensor>, offsets: &[usize]) -> Tensor {
    let shape = [&x.shape()[..x.shape().len() - 1], &[w.outputs()]].concat();
    let y = to_array(forward(x.matrix(), w, b.map(Tensor::data), offsets), &shape);
    let mut inputs = vec![x];
    inputs.extend(b);
    Tensor::from_op(y, &inputs, || {
        let (x_needs, b_shape) = (x.needs_grad(), b.filter(|b| b.needs_grad()).map(|b| b.shape().to_vec()));
        let (x_shape, w, offsets) = (x.shape().to_vec(), w.clone(), offsets.to_vec());
        Box::new(move |dy| {
            let dy = matrix(&dy);
            let dx = x_needs.then(|| to_array(backward(dy, &w, &offsets), &x_shape));
            let db = b_shape.map(|shape| {
                let sums =
                    offsets.windows(2).map(|range| column_sums(dy.slice_axis(Axis(0), (range[0]..range[1]).into())));
                array(&shape, sums.flatten().collect())
            });
            vec![dx, db]
        })
    })
}

/// The rows of `w` (V, H) that `ids` name, (T, H). Panics if an id is not below V.
pub fn embedding(ids: &[u32], w: &Stored) -> Tensor {
    let _timer = profile::op("embedding", 0, ids.len() * (4 * w.columns() + w.numbers().bytes() / w.rows().max(1)));
    let mut y = vec![0.0; ids.len() * w.columns()];
    for (&id, y) in ids.iter().zip(y.chunks_exact_mut(w.columns())) {
        w.all().expand_row(id as usize, y);
    }
    Tensor::constant(array(&[ids.len(), w.columns()], y))
}
