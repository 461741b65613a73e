//! The Switch form of the load-balancing loss.

use crate::common::{Reference, assert_derivative, assert_matches_reference, random};
use ossia::ops::dispatch::Dispatch;
use ossia::ops::elementwise::{add, div, exp, mul, scale};
use ossia::ops::load_balancing::{forward, load_balancing};
use ossia::ops::reduce::{mean_axis, sum_axis};
use ossia::ops::shape::concat;
use ossia::ops::top_k;
use ossia::tensor::{Tensor, array, slice};

fn visits(logits: &[&Tensor], experts: usize, active: usize) -> Vec<usize> {
    let all: Vec<f32> = logits.iter().flat_map(|t| t.data()).copied().collect();
    Dispatch::new(&top_k::forward(&all, experts, active).0, experts, active).load()
}

fn op(t: &[Tensor], active: usize) -> Tensor {
    let layers: Vec<&Tensor> = t.iter().collect();
    load_balancing(&layers, &visits(&layers, t[0].shape()[1], active))
}

#[test]
fn load_balancing_matches_transformers() {
    let reference = Reference::open("load_balancing");
    assert_matches_reference(&reference, &["a", "b"], |t| op(t, 2));
}

#[test]
fn load_balancing_backward_is_derived_right() {
    let inputs = [random(&[4, 5], 1), random(&[4, 5], 2)];
    // Nudging a logit must not change who is chosen: the count has no gradient.
    let fixed = visits(&[&Tensor::constant(inputs[0].clone()), &Tensor::constant(inputs[1].clone())], 5, 2);
    let naive = |t: &[Tensor]| {
        let exps = exp(&concat(&[&t[0], &t[1]], 0));
        let mean = mean_axis(&div(&exps, &sum_axis(&exps, 1)), 0);
        let share = fixed.iter().map(|&n| n as f32 / 8.0).collect();
        scale(&sum_axis(&mul(&mean, &Tensor::constant(array(&[1, 5], share))), 1), 5.0)
    };
    assert_derivative(
        &inputs,
        |t| add(&load_balancing(&[&t[0], &t[1]], &fixed), &Tensor::constant(array(&[1], vec![0.0]))),
        |t| ossia::ops::shape::reshape(&naive(t), &[1]),
    );
}

#[test]
fn load_balancing_is_a_where_the_load_is_even_and_e_where_it_is_not() {
    // Four experts, two per token, all logits equal: every share and probability is even.
    let (even, ..) = forward(&[0.0; 4 * 8], &[4, 4, 4, 4]);
    assert!((even - 2.0).abs() < 1e-6, "{even}");
    let one_sided: Vec<f32> = (0..8).flat_map(|_| [50.0, 0.0, 0.0, 0.0]).collect();
    let (uneven, ..) = forward(&one_sided, &[8, 0, 0, 0]);
    assert!((uneven - 4.0).abs() < 1e-5, "{uneven}");
    let t = Tensor::parameter(random(&[3, 4], 1));
    let gradients = op(std::slice::from_ref(&t), 4).backward();
    assert!(slice(gradients.get(&t).unwrap()).iter().all(|d| d.abs() < 1e-6), "all experts chosen: nothing to balance");
}
