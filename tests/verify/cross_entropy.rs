//! Cross-entropy, fused with the output projection.
//!
//! Book: [loss](../../book/src/loss.md)

use crate::common::{Reference, assert_close, assert_derivative, assert_matches_reference, random};
use ossia::ops::cross_entropy::{IGNORE, cross_entropy, forward};
use ossia::ops::elementwise::{add, exp, ln, mul, scale, sub};
use ossia::ops::linear::linear;
use ossia::ops::reduce::{max_axis, sum, sum_axis};
use ossia::tensor::{Tensor, array, matrix, slice};

#[test]
fn cross_entropy_matches_pytorch_with_ignored_targets() {
    let reference = Reference::open("cross_entropy");
    let targets: Vec<u32> =
        slice(&reference.array("targets")).iter().map(|&t| if t < 0.0 { IGNORE } else { t as u32 }).collect();
    assert_matches_reference(&reference, &["h", "w"], |t| cross_entropy(&t[0], &t[1], &targets));
    let w = reference.array("w");
    let losses = forward(matrix(&reference.array("h")), &Tensor::constant(w).into(), &targets);
    assert_close("losses", &losses, slice(&reference.array("losses")), 1e-5);
}

fn naive(t: &[Tensor], targets: &[u32]) -> Tensor {
    let z = linear(&t[0], &t[1], None);
    let [tokens, vocabulary] = *z.shape() else { panic!("a matrix") };
    let mut one_hot = vec![0.0; tokens * vocabulary];
    targets.iter().enumerate().for_each(|(t, &target)| one_hot[t * vocabulary + target as usize] = 1.0);
    let largest = max_axis(&z, 1);
    let log_sum = add(&ln(&sum_axis(&exp(&sub(&z, &largest)), 1)), &largest);
    let chosen = sum_axis(&mul(&z, &Tensor::constant(array(&[tokens, vocabulary], one_hot))), 1);
    scale(&sum(&sub(&log_sum, &chosen)), 1.0 / tokens as f32)
}

#[test]
fn cross_entropy_backward_is_derived_right() {
    for (tokens, vocabulary) in [(1, 2), (5, 7), (9, 33)] {
        let targets: Vec<u32> = (0..tokens as u32).map(|t| (t * 5) % vocabulary as u32).collect();
        let inputs = [random(&[tokens, 4], 1), random(&[vocabulary, 4], 2)];
        assert_derivative(&inputs, |t| cross_entropy(&t[0], &t[1], &targets), |t| naive(t, &targets));
    }
}

#[test]
fn cross_entropy_over_several_blocks_equals_one_matrix_of_logits() {
    // 20,000 entries: blocks of 64 tokens, so 150 tokens are three blocks, the last one short.
    let [h, w] = [random(&[150, 4], 1), random(&[20_000, 4], 2)].map(Tensor::parameter);
    let targets: Vec<u32> = (0..150).map(|t| t * 131).collect();
    let (fast, slow) = (cross_entropy(&h, &w, &targets), naive(&[h.clone(), w.clone()], &targets));
    assert_close("loss", fast.data(), slow.data(), 1e-5);
    let (fast, slow) = (fast.backward(), slow.backward());
    for t in [&h, &w] {
        assert_close("gradient", slice(fast.get(t).unwrap()), slice(slow.get(t).unwrap()), 1e-4);
    }
}

#[test]
fn cross_entropy_is_scaled_on_the_way_back() {
    let [h, w] = [random(&[3, 4], 1), random(&[5, 4], 2)].map(Tensor::parameter);
    let once = cross_entropy(&h, &w, &[0, 1, 2]).backward();
    let twice = scale(&cross_entropy(&h, &w, &[0, 1, 2]), 2.0).backward();
    let doubled: Vec<f32> = slice(once.get(&h).unwrap()).iter().map(|x| 2.0 * x).collect();
    assert_close("dh", slice(twice.get(&h).unwrap()), &doubled, 1e-6);
}

#[test]
fn cross_entropy_without_gradient_gives_the_same_loss() {
    let [h, w] = [random(&[3, 4], 1), random(&[5, 4], 2)].map(Tensor::parameter);
    let recorded = cross_entropy(&h, &w, &[4, IGNORE, 2]);
    let plain = cross_entropy(&h.detach(), w.detach(), &[4, IGNORE, 2]);
    assert_eq!(recorded.item(), plain.item());
    assert!(!plain.needs_grad());
}

#[test]
fn cross_entropy_of_nothing_that_counts_is_zero_and_of_huge_logits_finite() {
    let [h, w] = [random(&[2, 4], 1), random(&[5, 4], 2)].map(Tensor::parameter);
    let loss = cross_entropy(&h, &w, &[IGNORE, IGNORE]);
    assert_eq!(loss.item(), 0.0);
    assert!(slice(loss.backward().get(&h).unwrap()).iter().all(|&x| x == 0.0));
    let h = Tensor::parameter(array(&[1, 1], vec![1e4]));
    let w = Tensor::parameter(array(&[2, 1], vec![1.0, -1.0]));
    assert_eq!(cross_entropy(&h, &w, &[1]).item(), 2e4);
}

#[test]
fn cross_entropy_trains_with_the_vocabulary_of_gpt_oss() {
    // 512 tokens × 201,088 entries would be 412 MB of logits, and as much again of gradients.
    let [h, w] = [random(&[512, 8], 1), random(&[201_088, 8], 2)].map(Tensor::parameter);
    let targets: Vec<u32> = (0..512).map(|t| t * 392).collect();
    let loss = cross_entropy(&h, &w, &targets);
    // Logits of variance 8 around 0: ln V + 8/2, minus nothing on average.
    assert!((loss.item() - (201_088_f32.ln() + 4.0)).abs() < 1.0, "{}", loss.item());
    let gradients = loss.backward();
    // Each row of dz sums to 0, so dW's columns do too.
    let dw = matrix(gradients.get(&w).unwrap()).to_owned();
    let worst = dw.sum_axis(ndarray::Axis(0)).iter().fold(0.0_f32, |a, b| a.max(b.abs()));
    assert!(worst < 1e-4, "{worst}");
}
