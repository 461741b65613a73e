//! The chosen experts and their weights.
//!
//! Book: [routing](../../book/src/routing.md)

use crate::common::{Reference, assert_derivative, assert_matches_reference, random};
use ossia::ops::elementwise::{add, div, exp};
use ossia::ops::reduce::sum_axis;
use ossia::ops::shape::{concat, narrow};
use ossia::ops::top_k::{forward, top_k};
use ossia::tensor::{Tensor, slice};

#[test]
fn top_k_matches_transformers() {
    let reference = Reference::open("top_k");
    assert_matches_reference(&reference, &["logits"], |t| top_k(&t[0], 3).1);
    let (indices, _) = forward(slice(&reference.array("logits")), 8, 3);
    for (t, (actual, expected)) in indices.chunks(3).zip(reference.ids("indices").chunks(3)).enumerate() {
        assert_eq!(actual, expected, "token {t}");
    }
}

#[test]
fn top_k_of_equal_logits_takes_the_lowest_indices() {
    assert_eq!(forward(&[1.0; 8], 8, 3).0, [0, 1, 2]);
    assert_eq!(forward(&[0.0, 2.0, 5.0, 2.0, 2.0], 5, 3).0, [2, 1, 3]);
    assert_eq!(forward(&[-0.0, 0.0, -0.0, 0.0], 4, 2).0, [0, 1]);
}

#[test]
fn top_k_backward_is_derived_right() {
    for active in [1, 2, 5] {
        let logits = random(&[4, 5], 3);
        let (indices, _) = forward(slice(&logits), 5, active);
        // A softmax over the chosen columns, from elementary operations.
        let naive = |t: &[Tensor]| {
            let rows: Vec<Tensor> = (0..4)
                .map(|row| {
                    let of_row = narrow(&t[0], 0, row, 1);
                    let chosen: Vec<Tensor> =
                        (0..active).map(|a| narrow(&of_row, 1, indices[row * active + a] as usize, 1)).collect();
                    let exps = exp(&concat(&chosen.iter().collect::<Vec<_>>(), 1));
                    div(&exps, &sum_axis(&exps, 1))
                })
                .collect();
            concat(&rows.iter().collect::<Vec<_>>(), 0)
        };
        // With one expert its weight is 1 whatever the logit: the gradient is 0 and rounding is all there is to measure.
        if active == 1 {
            let t = Tensor::parameter(logits.clone());
            let w = add(&top_k(&t, 1).1, &Tensor::constant(random(&[4, 1], 1)));
            let gradients = ossia::ops::reduce::sum(&w).backward();
            assert!(slice(gradients.get(&t).unwrap()).iter().all(|&d| d == 0.0));
        } else {
            assert_derivative(&[logits], |t| top_k(&t[0], active).1, naive);
        }
    }
}

#[test]
fn top_k_of_huge_logits_is_finite_and_sums_to_one() {
    let (indices, weights) = forward(&[1e30, -1e30, 3e38, 0.0], 4, 2);
    assert_eq!(indices, [2, 0]);
    assert_eq!(weights, [1.0, 0.0]);
}
