//! Linear layer.   y = x·Wᵀ + b
//!
//! x (T, H), W (O, H), b (O,) → y (T, O).  A weight has one row per output, as in PyTorch and in every checkpoint. It is
//! in memory or in a file; a stored weight is frozen.
//! The backward pass:  dx = dy·W,  dW = dyᵀ·x,  db = Σₜ dyₜ.  The forward pass saves nothing except its inputs.
//!
//! Book: [tensor](../../../../book/tensor.html)

use crate::kernels::{axpy, par_product, parallel};
use crate::parameter::Value;
use crate::profile;
use crate::tensor::{Tensor, array, matrix};
use ndarray::{Array2, ArrayView2};

/// Starts the timer of one product of `rows` rows with W.
fn timer(name: &'static str, rows: usize, w: &Value) -> profile::Timer {
    profile::product((name, w.format()), rows, (w.inputs(), w.outputs()), w.bytes())
}

/// y (T, O) = x·Wᵀ + b
pub fn forward(x: ArrayView2<f32>, w: &Value, b: Option<&[f32]>) -> Array2<f32> {
    let _timer = timer("linear", x.nrows(), w);
    w.product(x, b)
}

/// dx (T, H) = dy·W
fn input_gradient(dy: ArrayView2<f32>, w: &Value) -> Array2<f32> {
    let _timer = timer("linear ′x", dy.nrows(), w);
    w.input_gradient(dy)
}

/// dW (O, H) = dyᵀ·x
fn weight_gradient(dy: ArrayView2<f32>, x: ArrayView2<f32>) -> Array2<f32> {
    let (inputs, outputs) = (x.ncols(), dy.ncols());
    let _timer = profile::product(("linear ′w", ""), x.nrows(), (inputs, outputs), 4 * inputs * outputs);
    par_product(dy.t(), x, None)
}

/// Σ over the rows. Blocks of rows are summed on all threads, and the sums of the blocks are added in order.
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
/// y = x·Wᵀ + b on tensors. `x` may have any number of leading dimensions; `w` is a tensor, or a parameter that may be
/// stored in a file.
pub fn linear(x: &Tensor, w: impl Into<Value>, b: Option<&Tensor>) -> Tensor {
    let w = w.into();
    let y = forward(x.matrix(), &w, b.map(Tensor::data));
    let y = array(&[&x.shape()[..x.shape().len() - 1], &[w.outputs()]].concat(), y.into_raw_vec_and_offset().0);
    let inputs: Vec<&Tensor> = [Some(x), b, w.tensor()].into_iter().flatten().collect();
    Tensor::from_op(y, &inputs, || {
        let (x_needs, w_needs) = (x.needs_grad(), w.tensor().is_some_and(Tensor::needs_grad));
        let b_needs = b.map(Tensor::needs_grad);
        let (x, w) = (x.value().clone(), w.clone());
        Box::new(move |dy| {
            let dy = matrix(&dy);
            let dx = x_needs.then(|| array(x.shape(), input_gradient(dy, &w).into_raw_vec_and_offset().0));
            let db = b_needs.map(|needs| needs.then(|| array(&[dy.ncols()], column_sums(dy))));
            let dw = w_needs.then(|| weight_gradient(dy, matrix(&x)).into_dyn().into_shared());
            [Some(dx), db, Some(dw)].into_iter().flatten().collect() // in the order of the inputs
        })
    })
}
// ANCHOR_END: linear

/// The product a·b of two matrices: (M, K)·(K, N) → (M, N).
pub fn matmul(a: &Tensor, b: &Tensor) -> Tensor {
    linear(a, super::shape::permute(b, &[1, 0]), None)
}
