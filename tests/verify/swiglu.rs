//! Clamped SwiGLU.
//!
//! Book: [swiglu](../../book/src/swiglu.md)

use crate::common::{Reference, assert_derivative, assert_matches_reference, random};
use ossia::ops::elementwise::{add, clamp, mul, scale, sigmoid};
use ossia::ops::shape::{narrow, reshape};
use ossia::ops::swiglu::{forward, swiglu};
use ossia::tensor::{Tensor, array, slice};

const ALPHA: f32 = 1.702;
const LIMIT: f32 = 7.0;

#[test]
fn swiglu_matches_transformers_also_at_and_beyond_the_limit() {
    let reference = Reference::open("swiglu");
    assert_matches_reference(&reference, &["gate_up"], |t| swiglu(&t[0], ALPHA, LIMIT));
}

fn naive(gate_up: &Tensor) -> Tensor {
    let [rows, columns] = *gate_up.shape() else { panic!("a matrix") };
    let pairs = reshape(gate_up, &[rows * columns / 2, 2]);
    let gate = clamp(&narrow(&pairs, 1, 0, 1), f32::NEG_INFINITY, LIMIT);
    let up = clamp(&narrow(&pairs, 1, 1, 1), -LIMIT, LIMIT);
    let one = Tensor::constant(array(&[1], vec![1.0]));
    let y = mul(&add(&up, &one), &mul(&gate, &sigmoid(&scale(&gate, ALPHA))));
    reshape(&y, &[rows, columns / 2])
}

#[test]
fn swiglu_backward_is_derived_right() {
    for inner in [1, 7, 8, 9, 33] {
        let gate_up = random(&[3, 2 * inner], 1);
        let wide = array(gate_up.shape(), slice(&gate_up).iter().map(|x| 2.0 * x).collect());
        assert_derivative(&[wide], |t| swiglu(&t[0], ALPHA, LIMIT), |t| naive(&t[0]));
    }
}

#[test]
fn swiglu_of_more_numbers_than_a_piece() {
    let gate_up = random(&[70, 600], 2);
    let expected = naive(&Tensor::constant(gate_up.clone()));
    crate::common::assert_close("y", &forward(slice(&gate_up), ALPHA, LIMIT), expected.data(), 1e-5);
}

#[test]
fn swiglu_has_the_plus_one_and_both_clamps() {
    // up = 0 leaves the gate's part: the + 1 is there.
    let gated = |gate: f32| gate / (1.0 + (-ALPHA * gate).exp());
    let y = forward(&[2.0, 0.0, 1e9, 1e9, -1e9, -1e9, 0.0, 5.0], ALPHA, LIMIT);
    crate::common::assert_close("y", &y, &[gated(2.0), 8.0 * gated(7.0), 0.0, 0.0], 1e-6);
    assert!(forward(&[], ALPHA, LIMIT).is_empty());
}
