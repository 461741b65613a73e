//! AdamW: single steps, worked out by hand. That ten steps in a row are PyTorch's is shown in `training.rs`.
//!
//! Book: [adamw](../../book/src/adamw.md)

use crate::common::assert_close;
use ossia::ops::elementwise::{add, mul};
use ossia::ops::reduce::sum;
use ossia::parameter::{Parameter, Role};
use ossia::tensor::{Tensor, array};
use ossia::train::adamw::Hyperparameters;
use ossia::train::{Method, Optimizer};

/// The role, value and gradient of a parameter.
type Weight = (Role, f32, f32);

/// Takes `count` steps with the same gradients. Returns the parameters after each step, and the optimizer.
fn steps(hyperparameters: Hyperparameters, weights: &[Weight], lr: f64, count: usize) -> (Vec<Vec<f32>>, Optimizer) {
    let one = |x: f32| array(&[1], vec![x]);
    let parameter = |&(role, value, _): &Weight| Parameter::new("w", role, Tensor::parameter(one(value)));
    let mut all: Vec<Parameter> = weights.iter().map(parameter).collect();
    let mut optimizer = Optimizer::new(Method::AdamW, hyperparameters, &all.iter().collect::<Vec<_>>());
    let after = (0..count).map(|_| {
        let parts = all.iter().zip(weights).map(|(w, &(.., g))| sum(&mul(w.tensor(), &Tensor::constant(one(g)))));
        let gradients = parts.reduce(|a, b| add(&a, &b)).unwrap().backward();
        optimizer.step(all.iter_mut().collect(), &gradients, lr).unwrap();
        all.iter().map(|w| w.tensor().data()[0]).collect()
    });
    (after.collect(), optimizer)
}

fn plain() -> Hyperparameters {
    Hyperparameters { weight_decay: 0.0, clip: f64::INFINITY, ..Hyperparameters::default() }
}

/// With the corrections of m and v, the same gradient again and again moves a weight by lr again and again.
#[test]
fn adamw_steps_are_as_long_as_lr_from_the_first_on() {
    for beta2 in [0.95, 0.999] {
        let weights = [(Role::Matrix, 1.0, 1e-3), (Role::Matrix, 1.0, -1e3)];
        let (after, _) = steps(Hyperparameters { beta2, ..plain() }, &weights, 0.01, 30);
        for (i, w) in after.iter().enumerate() {
            let way = 0.01 * (i + 1) as f32;
            assert_close(&format!("β₂ {beta2}, step {}", i + 1), w, &[1.0 - way, 1.0 + way], 1e-4);
        }
    }
}

/// Decay takes its share of the weight, and no more where gradients are small; m and v know nothing of it.
#[test]
fn adamw_decay_is_no_part_of_the_gradient() {
    let settings = Hyperparameters { weight_decay: 0.1, ..plain() };
    let (after, optimizer) = steps(settings.clone(), &[(Role::Matrix, 2.0, 0.0), (Role::Bias, 2.0, 0.0)], 0.01, 2);
    assert_close("w", &after[1], &[2.0 * 0.999 * 0.999, 2.0], 1e-6);
    assert!(optimizer.moments().iter().all(|moments| moments.m == [0.0] && moments.v == [0.0]));
    let (after, _) = steps(settings, &[(Role::Matrix, 2.0, 5.0)], 0.01, 1);
    assert_close("w", &after[0], &[2.0 * 0.999 - 0.01], 1e-6);
}

/// A gradient as small as ε is halved. With ε below the root it would be divided by 10,000.
#[test]
fn adamw_epsilon_stands_beside_the_root() {
    let (after, _) = steps(plain(), &[(Role::Matrix, 0.0, 1e-8)], 0.01, 1);
    assert_close("w", &after[0], &[-0.005], 1e-4);
}

/// 3 and 4 have the norm 5, whether they are in one parameter or in two. A gradient that is short enough does not change.
#[test]
fn adamw_clips_all_gradients_by_their_common_length() {
    let weights = [(Role::Matrix, 0.0, 3.0), (Role::Bias, 0.0, 4.0)];
    let moments = |clip: f64| {
        let (_, optimizer) = steps(Hyperparameters { clip, ..plain() }, &weights, 0.01, 1);
        optimizer.moments().iter().map(|moments| moments.m[0]).collect::<Vec<_>>()
    };
    assert_close("clipped to 1", &moments(1.0), &[0.06, 0.08], 1e-6);
    assert_close("clipped to 10", &moments(10.0), &[0.3, 0.4], 1e-6);
}

/// 1 − 0.999 in f32 is 0.00099998713. PyTorch rounds the difference, and not β₂ before it.
#[test]
fn adamw_rounds_one_minus_beta_once() {
    let (_, optimizer) = steps(Hyperparameters { beta2: 0.999, ..plain() }, &[(Role::Matrix, 0.0, 1.0)], 0.01, 1);
    assert_eq!(optimizer.moments()[0].v, [0.001]);
    assert_eq!(optimizer.moments()[0].m, [0.1]);
}
