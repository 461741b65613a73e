//! Matrix product, and the linear layer  y = x·Wᵀ + b.       Book: tensor.md
//!
//! x (T, H), W (O, H), b (O,) → y (T, O).  A weight has one row per output, as in PyTorch and in every checkpoint.
//! The way back:  dx = dy·W,  dW = dyᵀ·x,  db = Σₜ dyₜ.  Nothing is saved but the inputs.

use crate::kernels::{axpy, par_gemm, parallel};
use crate::profile;
use crate::tensor::{Tensor, array, matrix};
use ndarray::{Array2, ArrayView2};

/// 2·T·H·O operations; x, W and y once each.
fn timer(name: &'static str, (rows, inputs): (usize, usize), outputs: usize) -> profile::Timer {
    profile::op(name, 2 * rows * inputs * outputs, 4 * (rows * inputs + inputs * outputs + rows * outputs))
}

/// y = x·Wᵀ + b
pub fn forward(x: ArrayView2<f32>, w: ArrayView2<f32>, b: Option<&[f32]>) -> Array2<f32> {
    let _timer = timer("linear", x.dim(), w.nrows());
    let mut y = Array2::zeros((x.nrows(), w.nrows()));
    if let Some(b) = b {
        assert_eq!(b.len(), w.nrows(), "a bias of {} for {} outputs", b.len(), w.nrows());
        y.rows_mut().into_iter().for_each(|mut row| row.as_slice_mut().expect("row-major").copy_from_slice(b));
    }
    par_gemm(1.0, x, w.t(), if b.is_some() { 1.0 } else { 0.0 }, y.view_mut());
    y
}

/// (dx, dW, db) = (dy·W, dyᵀ·x, Σₜ dyₜ)
pub fn backward(dy: ArrayView2<f32>, x: ArrayView2<f32>, w: ArrayView2<f32>) -> (Array2<f32>, Array2<f32>, Vec<f32>) {
    (input_gradient(dy, w), weight_gradient(dy, x), column_sums(dy))
}

fn input_gradient(dy: ArrayView2<f32>, w: ArrayView2<f32>) -> Array2<f32> {
    let _timer = timer("linear ′x", dy.dim(), w.ncols());
    let mut dx = Array2::zeros((dy.nrows(), w.ncols()));
    par_gemm(1.0, dy, w, 0.0, dx.view_mut());
    dx
}

fn weight_gradient(dy: ArrayView2<f32>, x: ArrayView2<f32>) -> Array2<f32> {
    let _timer = timer("linear ′w", x.dim(), dy.ncols());
    let mut dw = Array2::zeros((dy.ncols(), x.ncols()));
    par_gemm(1.0, dy.t(), x, 0.0, dw.view_mut());
    dw
}

/// Σ over the rows: blocks of rows on all threads, then the blocks in order.
pub fn column_sums(x: ArrayView2<f32>) -> Vec<f32> {
    const BLOCK: usize = 256;
    let sum_of = |first: usize| {
        let mut sum = vec![0.0; x.ncols()];
        for row in x.rows().into_iter().skip(first).take(BLOCK) {
            axpy(1.0, row.to_slice().expect("row-major"), &mut sum);
        }
        sum
    };
    let blocks = parallel::map(x.nrows().div_ceil(BLOCK), |block| sum_of(block * BLOCK));
    let mut total = vec![0.0; x.ncols()];
    blocks.iter().for_each(|block| axpy(1.0, block, &mut total));
    total
}

// ANCHOR: linear
/// y = x·Wᵀ + b on tensors; x may have any number of leading dimensions.
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Tensor {
    let y = forward(x.matrix(), w.matrix(), b.map(Tensor::data));
    let y = array(&[&x.shape()[..x.shape().len() - 1], &w.shape()[..1]].concat(), y.into_raw_vec_and_offset().0);
    let mut inputs = vec![x, w];
    inputs.extend(b);
    Tensor::from_op(y, &inputs, || {
        let (x_needs, w_needs, b_needs) = (x.needs_grad(), w.needs_grad(), b.is_some_and(Tensor::needs_grad));
        let (x, w) = (x.value().clone(), w.value().clone());
        Box::new(move |dy| {
            let dy = matrix(&dy);
            let dx = x_needs.then(|| array(x.shape(), input_gradient(dy, matrix(&w)).into_raw_vec_and_offset().0));
            let dw = w_needs.then(|| weight_gradient(dy, matrix(&x)).into_dyn().into_shared());
            let db = b_needs.then(|| array(&[w.shape()[0]], column_sums(dy)));
            vec![dx, dw, db]
        })
    })
}
// ANCHOR_END: linear

/// The plain product a·b of two matrices: (M, K)·(K, N) → (M, N).
pub fn matmul(a: &Tensor, b: &Tensor) -> Tensor {
    linear(a, &super::shape::permute(b, &[1, 0]), None)
}
