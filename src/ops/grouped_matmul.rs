//! Grouped matrix product, one matrix per expert.   y = x·Wₑ + bₑ  for the rows of expert e
//!
//! x (R, In) sorted by expert, W (E, In, Out), b (E, Out) → y (R, Out).  `offsets` (E + 1,) says where the rows of each
//! expert begin. Dense weights are laid out as in the Hugging Face checkpoint, one row per input; stored weights as in
//! their file, and frozen.
//! The backward pass, per expert:  dx = dy·Wₑᵀ,  dWₑ = xᵀ·dy,  dbₑ = Σ dy.
//!
//! If the rows come from S ranks, `offsets` (S·E + 1,) has the experts once for each rank. The gradients dW (S, E, In, Out) and
//! db (S, E, Out) are then those of each rank's rows, to be added in the order of the ranks.
//!
//! Book: [experts](../../../../book/experts.html)

use super::linear::column_sums;
use crate::kernels::{gemm, parallel};
use crate::parameter::Value;
use crate::profile;
use crate::tensor::{Tensor, array, matrix};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

/// Starts the timer of the products of `rows` rows with the matrices of the experts that have any.
fn timer(
    name: &'static str,
    format: &'static str,
    sizes: (usize, usize, usize),
    matrix_bytes: usize,
    offsets: &[usize],
) -> profile::Timer {
    let (rows, inputs, outputs) = sizes;
    let matrices = offsets.windows(2).filter(|range| range[0] < range[1]).count();
    profile::product((name, format), rows, (inputs, outputs), matrices * matrix_bytes)
}

/// Returns [`timer`] for a product with the matrices of `w`.
fn timer_of(name: &'static str, rows: usize, w: &Value, offsets: &[usize]) -> profile::Timer {
    timer(name, w.format(), (rows, w.inputs(), w.outputs()), w.bytes() / w.shape()[0], offsets)
}

// ANCHOR: forward
/// y (R, Out)
pub fn forward(x: ArrayView2<f32>, w: &Value, b: &[f32], offsets: &[usize]) -> Array2<f32> {
    let _timer = timer_of("experts", x.nrows(), w, offsets);
    per_rank(x, w, offsets, |x, offsets| w.product_of_experts(x, b, offsets))
}
// ANCHOR_END: forward

/// dx (R, In)
fn input_gradient(dy: ArrayView2<f32>, w: &Value, offsets: &[usize]) -> Array2<f32> {
    let _timer = timer_of("experts ′x", dy.nrows(), w, offsets);
    per_rank(dy, w, offsets, |dy, offsets| w.input_gradient_of_experts(dy, offsets))
}

/// Computes the product of the rows of each rank on its own, as that rank would.
fn per_rank(
    x: ArrayView2<f32>,
    w: &Value,
    offsets: &[usize],
    product: impl Fn(ArrayView2<f32>, &[usize]) -> Array2<f32>,
) -> Array2<f32> {
    let experts = w.shape()[0];
    if offsets.len() == experts + 1 {
        return product(x, offsets);
    }
    let of_rank = |first: usize| {
        let offsets = &offsets[first..=first + experts];
        let rows = x.slice(s![offsets[0]..offsets[experts], ..]);
        product(rows, &offsets.iter().map(|offset| offset - offsets[0]).collect::<Vec<_>>())
    };
    let products: Vec<Array2<f32>> = (0..offsets.len() - 1).step_by(experts).map(of_rank).collect();
    let views: Vec<ArrayView2<f32>> = products.iter().map(|product| product.view()).collect();
    ndarray::concatenate(Axis(0), &views).expect("all products have as many columns")
}

// ANCHOR: weight_gradient
/// dW (E, In, Out). The gradient of an expert without rows is 0.
fn weight_gradient(dy: ArrayView2<f32>, x: ArrayView2<f32>, offsets: &[usize]) -> Vec<f32> {
    let (inputs, outputs, experts) = (x.ncols(), dy.ncols(), offsets.len() - 1);
    let _timer = timer("experts ′w", "", (x.nrows(), inputs, outputs), 4 * inputs * outputs, offsets);
    parallel::build(experts * inputs * outputs, inputs * outputs, |expert, dw| {
        let rows = offsets[expert]..offsets[expert + 1];
        let dw = ArrayViewMut2::from_shape((inputs, outputs), dw).expect("the matrix of one expert");
        gemm(1.0, x.slice(s![rows.clone(), ..]).t(), dy.slice(s![rows, ..]), 0.0, dw);
    })
}
// ANCHOR_END: weight_gradient

/// db (E, Out)
fn bias_gradient(dy: ArrayView2<f32>, offsets: &[usize]) -> Vec<f32> {
    let experts = offsets.windows(2);
    parallel::map(experts.len(), |e| column_sums(dy.slice(s![offsets[e]..offsets[e + 1], ..]))).concat()
}

/// The grouped product on tensors: x (R, In), w (E, In, Out), b (E, Out) → (R, Out). `w` is a tensor, or a parameter
/// that may be stored in a file.
pub fn grouped_matmul(x: &Tensor, w: impl Into<Value>, b: &Tensor, offsets: &[usize]) -> Tensor {
    let w = w.into();
    let (experts, groups, inputs, outputs) = (w.shape()[0], offsets.len() - 1, w.inputs(), w.outputs());
    assert!(groups > 0 && groups.is_multiple_of(experts), "grouped_matmul: {groups} groups, w {:?}", w.shape());
    assert_eq!(x.shape(), [offsets[groups], inputs], "grouped_matmul: x {:?}, w {:?}", x.shape(), w.shape());
    assert_eq!(b.shape(), [experts, outputs], "grouped_matmul: b {:?}, w {:?}", b.shape(), w.shape());
    let y = forward(x.matrix(), &w, b.data(), offsets);
    let y = array(&[x.shape()[0], outputs], y.into_raw_vec_and_offset().0);
    let inputs_of_op: Vec<&Tensor> = [Some(x), Some(b), w.tensor()].into_iter().flatten().collect();
    Tensor::from_op(y, &inputs_of_op, || {
        let (x_needs, b_needs) = (x.needs_grad(), b.needs_grad());
        let w_needs = w.tensor().is_some_and(Tensor::needs_grad);
        let (x, w, offsets) = (x.value().clone(), w.clone(), offsets.to_vec());
        Box::new(move |dy| {
            let dy = matrix(&dy);
            let dx = x_needs.then(|| array(x.shape(), input_gradient(dy, &w, &offsets).into_raw_vec_and_offset().0));
            let of_ranks = |shape: &[usize]| {
                if groups == experts { shape.to_vec() } else { [&[groups / experts], shape].concat() }
            };
            let db = b_needs.then(|| array(&of_ranks(&[experts, outputs]), bias_gradient(dy, &offsets)));
            let dw = w_needs
                .then(|| array(&of_ranks(&[experts, inputs, outputs]), weight_gradient(dy, matrix(&x), &offsets)));
            vec![dx, db, dw] // in the order of the inputs; a stored weight is not among them
        })
    })
}
