//! y = x·Wᵀ + b
//!
//! Book: [tensor](../../book/src/tensor.md)

use crate::common::{Reference, assert_close, assert_derivative, assert_matches_reference, random};
use ossia::ops::elementwise::add;
use ossia::ops::linear::{column_sums, linear, matmul};
use ossia::ops::shape::permute;
use ossia::tensor::{Tensor, array, matrix};

#[test]
fn linear_matches_pytorch() {
    let reference = Reference::open("linear");
    assert_matches_reference(&reference, &["x", "w", "b"], |t| linear(&t[0], &t[1], Some(&t[2])));
}

#[test]
fn linear_backward_is_derived_right() {
    for (tokens, inputs, outputs) in [(1, 1, 1), (3, 5, 2), (9, 8, 17)] {
        assert_derivative(
            &[random(&[tokens, inputs], 1), random(&[outputs, inputs], 2), random(&[outputs], 3)],
            |t| linear(&t[0], &t[1], Some(&t[2])),
            |t| add(&matmul(&t[0], &permute(&t[1], &[1, 0])), &t[2]),
        );
    }
}

#[test]
fn linear_of_no_rows_is_no_rows() {
    let w = Tensor::parameter(random(&[4, 3], 1));
    let y = linear(&Tensor::constant(array(&[0, 3], vec![])), &w, None);
    assert_eq!(y.shape(), [0, 4]);
}

#[test]
fn linear_keeps_leading_dimensions() {
    let y = linear(&Tensor::constant(random(&[2, 3, 5], 1)), Tensor::constant(random(&[4, 5], 2)), None);
    assert_eq!(y.shape(), [2, 3, 4]);
}

#[test]
fn linear_bias_gradient_sums_more_rows_than_a_block() {
    let dy = random(&[1000, 3], 4);
    let expected = matrix(&dy).sum_axis(ndarray::Axis(0));
    assert_close("db", &column_sums(matrix(&dy)), expected.as_slice().unwrap(), 1e-5);
}
