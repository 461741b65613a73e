//! Rotary positions: the rotation, its inverse, and YaRN's frequencies.
//!
//! Book: [rotary](../../book/src/rotary.md)

use crate::common::{Reference, TOLERANCE, assert_close, assert_derivative, random};
use ossia::config::{ModelConfig, Yarn};
use ossia::layers::{Angles, Rotary};
use ossia::ops::elementwise::{add, mul, sub};
use ossia::ops::rope::rope;
use ossia::ops::shape::{concat, narrow};
use ossia::tensor::{Array, Tensor, array, slice};

fn config(head_dim: usize, yarn: Option<Yarn>) -> ModelConfig {
    ModelConfig { head_dim, yarn, ..ModelConfig::nano() }
}

#[test]
fn rope_frequencies_and_tables_match_transformers() {
    let reference = Reference::open("rope");
    for (name, yarn) in [("plain", None), ("yarn", Some(Yarn::gpt_oss()))] {
        let rotary = Rotary::new(&config(64, yarn));
        let expected = reference.array(&format!("{name}.inverse_frequencies"));
        for (i, (a, b)) in rotary.inverse_frequencies().iter().zip(slice(&expected)).enumerate() {
            assert!((a - b).abs() <= 1e-6 * b, "{name}: inverse frequency {i} is {a}; expected {b}");
        }
        for start in [0, 5_000, 100_000] {
            let Angles { cos, sin } = rotary.angles(start..start + 3);
            // A frequency that differs in its last bit turns 100,000 positions to an angle 0.006 away.
            let tolerance = 1e-5 + 2e-7 * start as f32;
            assert_close("cos", slice(&cos), slice(&reference.array(&format!("{name}.cos.{start}"))), tolerance);
            assert_close("sin", slice(&sin), slice(&reference.array(&format!("{name}.sin.{start}"))), tolerance);
        }
    }
}

#[test]
fn rope_yarn_ramp_of_gpt_oss() {
    let (low, high) = Rotary::ramp(&Yarn::gpt_oss(), 64.0, 150_000.0);
    assert!((low - 8.0928).abs() < 1e-4 && (high - 17.3980).abs() < 1e-4, "{low} {high}");
    let truncated = Yarn { truncate: true, ..Yarn::gpt_oss() };
    assert_eq!(Rotary::ramp(&truncated, 64.0, 150_000.0), (8.0, 18.0));
    let rotary = Rotary::new(&config(64, Some(Yarn::gpt_oss())));
    assert!((rotary.concentration() - 1.346_573_6).abs() < 1e-6);
}

#[test]
fn rope_matches_transformers_there_and_back() {
    let reference = Reference::open("rope");
    let Angles { cos, sin } = Rotary::new(&config(8, Some(Yarn::gpt_oss()))).angles(0..5);
    let x = Tensor::parameter(array(&[10, 24], slice(&reference.array("x")).to_vec()));
    let y = rope(&x, &cos, &sin);
    assert_close("y", y.data(), slice(&reference.array("y")), TOLERANCE);
    let dy = array(&[10, 24], slice(&reference.array("dy")).to_vec());
    let gradients = crate::common::weighted_sum(&y, &dy).backward();
    assert_close("dx", slice(gradients.get(&x).unwrap()), slice(&reference.array("dx")), TOLERANCE);
}

/// One head, one sequence, from elementary operations.
fn naive(x: &Tensor, cos: &Array, sin: &Array) -> Tensor {
    let half = cos.shape()[1];
    let (a, b) = (narrow(x, 1, 0, half), narrow(x, 1, half, half));
    let (cos, sin) = (Tensor::constant(cos.clone()), Tensor::constant(sin.clone()));
    concat(&[&sub(&mul(&a, &cos), &mul(&b, &sin)), &add(&mul(&b, &cos), &mul(&a, &sin))], 1)
}

#[test]
fn rope_backward_is_derived_right() {
    for (tokens, dim) in [(1, 2), (5, 6), (9, 16)] {
        let Angles { cos, sin } = Rotary::new(&config(dim, None)).angles(3..3 + tokens);
        assert_derivative(&[random(&[tokens, dim], 1)], |t| rope(&t[0], &cos, &sin), |t| naive(&t[0], &cos, &sin));
    }
}

#[test]
fn rope_depends_on_the_distance_of_positions_only() {
    let rotary = Rotary::new(&config(16, None));
    let (q, k) = (Tensor::constant(random(&[1, 16], 1)), Tensor::constant(random(&[1, 16], 2)));
    let score = |q_at: usize, k_at: usize| {
        let turned = |x: &Tensor, at| {
            let Angles { cos, sin } = rotary.angles(at..at + 1);
            rope(x, &cos, &sin)
        };
        ossia::kernels::dot(turned(&q, q_at).data(), turned(&k, k_at).data())
    };
    assert!((score(7, 3) - score(107, 103)).abs() < 1e-4);
    assert!((score(7, 3) - score(7, 4)).abs() > 1e-3);
}
