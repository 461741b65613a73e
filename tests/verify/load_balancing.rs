//! The Switch form of the load-balancing loss.
//!
//! Book: [routing](../../book/src/routing.md)

use crate::common::{Reference, assert_close, assert_derivative, assert_matches_reference, random};
use ossia::ops::cross_entropy::IGNORE;
use ossia::ops::dispatch::Dispatch;
use ossia::ops::elementwise::{add, div, exp, mul, scale};
use ossia::ops::load_balancing::{ExpertLoad, forward, load_balancing};
use ossia::ops::reduce::{mean_axis, sum_axis};
use ossia::ops::shape::concat;
use ossia::ops::top_k;
use ossia::tensor::{Tensor, array, slice};

/// The load of experts that the `active` largest logits choose, by the tokens that count.
fn load(layers: &[&Tensor], active: usize, targets: &[u32]) -> ExpertLoad {
    let mut load = ExpertLoad::default();
    for logits in layers {
        let experts = logits.shape()[1];
        load.add_layer(&Dispatch::new(&top_k::forward(logits.data(), experts, active).0, experts, active), targets);
    }
    load
}

fn op(t: &[Tensor], active: usize, targets: &[u32]) -> Tensor {
    let layers: Vec<&Tensor> = t.iter().collect();
    load_balancing(&layers, targets, &load(&layers, active, targets))
}

#[test]
fn load_balancing_matches_transformers() {
    let reference = Reference::open("load_balancing");
    assert_matches_reference(&reference, &["a", "b"], |t| op(t, 2, &[0; 6]));
}

/// transformers leaves tokens out by its attention mask.
#[test]
fn load_balancing_of_the_tokens_that_count_matches_transformers() {
    let reference = Reference::open("load_balancing_masked");
    let targets: Vec<u32> = reference.array("mask").iter().map(|&m| if m == 1.0 { 0 } else { IGNORE }).collect();
    assert!(targets.contains(&IGNORE));
    assert_matches_reference(&reference, &["a", "b"], |t| op(t, 2, &targets));
}

/// The parts of three micro-batches, one of which has no token that counts, are the loss and the gradient of one batch.
#[test]
fn load_balancing_of_micro_batches_adds_up_to_one_batch() {
    let (whole, parts) = (random(&[9, 5], 3), [(0, 2), (2, 3), (5, 4)]);
    let targets = [0, IGNORE, IGNORE, IGNORE, IGNORE, 0, 0, IGNORE, 0];
    let whole = Tensor::parameter(whole);
    let step = load(&[&whole], 2, &targets);
    let loss = op(std::slice::from_ref(&whole), 2, &targets);
    let expected = loss.backward();
    let (mut sum, mut gradient) = (0.0, Vec::new());
    let mut loads = ExpertLoad::default();
    for (first, rows) in parts {
        let part = Tensor::parameter(array(&[rows, 5], whole.data()[first * 5..][..rows * 5].to_vec()));
        let targets = &targets[first..][..rows];
        loads.add(&load(&[&part], 2, targets));
        let loss = load_balancing(&[&part], targets, &step);
        sum += loss.item();
        gradient.extend(slice(loss.backward().get(&part).unwrap()).to_vec());
    }
    assert_eq!(loads, step);
    assert!((sum - loss.item()).abs() < 1e-6, "{sum} {}", loss.item());
    assert_close("the gradient", &gradient, slice(expected.get(&whole).unwrap()), 1e-6);
}

#[test]
fn load_balancing_backward_is_derived_right() {
    let inputs = [random(&[4, 5], 1), random(&[4, 5], 2)];
    // Nudging a logit must not change who is chosen: the count has no gradient.
    let fixed = load(&[&Tensor::constant(inputs[0].clone()), &Tensor::constant(inputs[1].clone())], 2, &[0; 4]);
    let naive = |t: &[Tensor]| {
        let exps = exp(&concat(&[&t[0], &t[1]], 0));
        let mean = mean_axis(&div(&exps, &sum_axis(&exps, 1)), 0);
        let share = fixed.visits.iter().map(|&n| n as f32 / 8.0).collect();
        scale(&sum_axis(&mul(&mean, &Tensor::constant(array(&[1, 5], share))), 1), 5.0)
    };
    assert_derivative(
        &inputs,
        |t| add(&load_balancing(&[&t[0], &t[1]], &[0; 4], &fixed), &Tensor::constant(array(&[1], vec![0.0]))),
        |t| ossia::ops::shape::reshape(&naive(t), &[1]),
    );
}

#[test]
fn load_balancing_is_a_where_the_load_is_even_and_e_where_it_is_not() {
    // Four experts, two per token, all logits equal: every share and probability is even.
    let load = |visits: [usize; 4]| ExpertLoad { visits: visits.to_vec(), tokens: 8 };
    let (even, ..) = forward(&[0.0; 4 * 8], &[0; 8], &load([4; 4]));
    assert!((even - 2.0).abs() < 1e-6, "{even}");
    let one_sided: Vec<f32> = (0..8).flat_map(|_| [50.0, 0.0, 0.0, 0.0]).collect();
    let (uneven, ..) = forward(&one_sided, &[0; 8], &load([8, 0, 0, 0]));
    assert!((uneven - 4.0).abs() < 1e-5, "{uneven}");
    let t = Tensor::parameter(random(&[3, 4], 1));
    let gradients = op(std::slice::from_ref(&t), 4, &[0; 3]).backward();
    assert!(slice(gradients.get(&t).unwrap()).iter().all(|d| d.abs() < 1e-6), "all experts chosen: nothing to balance");
}
