//! y = x · r · w
//!
//! Book: [rms_norm](../../book/src/rms_norm.md)

use crate::common::{Reference, assert_close, assert_derivative, assert_matches_reference, random};
use ossia::ops::elementwise::{add, div, mul, sqrt};
use ossia::ops::reduce::mean_axis;
use ossia::ops::rms_norm::{forward, rms_norm};
use ossia::tensor::{Tensor, array, slice};

const EPS: f32 = 1e-5;

#[test]
fn rms_norm_matches_transformers() {
    let reference = Reference::open("rms_norm");
    assert_matches_reference(&reference, &["x", "w"], |t| rms_norm(&t[0], &t[1], EPS));
}

fn naive(t: &[Tensor]) -> Tensor {
    let mean_square = mean_axis(&mul(&t[0], &t[0]), 1);
    let root = sqrt(&add(&mean_square, &Tensor::constant(array(&[1], vec![EPS]))));
    mul(&div(&t[0], &root), &t[1])
}

#[test]
fn rms_norm_backward_is_derived_right() {
    for hidden in [1, 2, 7, 8, 9, 31, 32, 33] {
        let inputs = [random(&[5, hidden], 1), random(&[hidden], 2)];
        if hidden == 1 {
            // y hardly depends on x: central differences would measure rounding. The composition still decides.
            let (y, slow) = (
                rms_norm(&Tensor::constant(inputs[0].clone()), &Tensor::constant(inputs[1].clone()), EPS),
                inputs.clone().map(Tensor::constant),
            );
            assert_close("y", y.data(), naive(&slow).data(), 1e-5);
            continue;
        }
        assert_derivative(&inputs, |t| rms_norm(&t[0], &t[1], EPS), naive);
    }
}

#[test]
fn rms_norm_of_more_rows_than_a_piece_sums_every_row_into_dw() {
    let (x, w) = (random(&[300, 6], 3), random(&[6], 4));
    let slow = [Tensor::parameter(x), Tensor::parameter(w)];
    let dy = random(&[300, 6], 5);
    let fast = crate::common::weighted_sum(&rms_norm(&slow[0], &slow[1], EPS), &dy).backward();
    let expected = crate::common::weighted_sum(&naive(&slow), &dy).backward();
    for t in &slow {
        assert_close("gradient", slice(fast.get(t).unwrap()), slice(expected.get(t).unwrap()), 2e-5);
    }
}

#[test]
fn rms_norm_of_zeros_is_zero_and_of_huge_numbers_is_finite() {
    let (y, r) = forward(&[0.0; 4], &[1.0; 4], EPS);
    assert_eq!(y, [0.0; 4]);
    assert_close("r", &r, &[1.0 / EPS.sqrt()], 1e-6);
    let (y, _) = forward(&[1e18, -1e18, 1e18, 1e18], &[2.0; 4], EPS);
    assert_close("y", &y, &[2.0, -2.0, 2.0, 2.0], 1e-5);
    assert!(forward(&[], &[1.0; 4], EPS).0.is_empty());
}
