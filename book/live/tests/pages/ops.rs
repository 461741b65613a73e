//! RMSNorm and SwiGLU.

use super::{ask, number, numbers, refused};
use ossia::ops::{rms_norm, swiglu};
use serde_json::{Value, json};

#[test]
fn rms_norm_shows_the_numbers_of_the_op() {
    let (x, w, dy) = ([3.0, 1.0], [0.5, 2.0], [0.3, -1.5]);
    let (y, r) = rms_norm::forward(&x, &w, 1e-5);
    let (dx, dw) = rms_norm::backward(&dy, &x, &w, &r);
    let answer = ask("rms_norm", json!({"x": x, "w": w, "dy": dy, "eps": 1e-5}));
    assert_eq!(numbers(&answer["y"]), y);
    assert_eq!(number(&answer["r"]), r[0]);
    assert_eq!(numbers(&answer["dx"]), dx);
    assert_eq!(numbers(&answer["dw"]), dw);
}

#[test]
fn rms_norm_has_a_gradient_that_is_orthogonal_to_x_only_without_epsilon() {
    let product = |eps: f64| {
        let answer = ask("rms_norm", json!({"x": [3, 1], "w": [1, 1], "dy": [0.5, 1], "eps": eps}));
        number(&answer["product"]).abs()
    };
    assert!(product(0.0) < 1e-6);
    assert!(product(1.0) > 0.1);
}

#[test]
fn rms_norm_refuses_what_has_no_finite_result() {
    let of = |x: Value, eps: Value| refused("rms_norm", json!({"x": x, "w": [1, 1], "dy": [1, 1], "eps": eps}));
    assert!(of(json!([0, 0]), json!(0)).contains("not finite"));
    assert!(of(json!([1e30, 0]), json!(0)).contains("not finite"));
    assert!(of(json!([1e300, 0]), json!(0)).contains("too large"));
    assert!(of(json!([null, 0]), json!(0)).contains("expected a number"));
    assert!(of(json!([1, 0]), json!(-1)).contains("expected a number"));
}

#[test]
fn swiglu_shows_the_numbers_of_the_op() {
    for (gate, up) in [(1.5, 0.5), (7.0, 0.0), (-10.0, 10.0)] {
        let answer = ask("swiglu", json!({"gate": gate, "up": up}));
        assert_eq!(number(&answer["y"]), swiglu::forward(&[gate, up], 1.702, 7.0)[0]);
        let gradient = swiglu::backward(&[1.0], &[gate, up], 1.702, 7.0);
        assert_eq!([number(&answer["dgate"]), number(&answer["dup"])], gradient[..]);
    }
}

#[test]
fn swiglu_refuses_what_is_out_of_range() {
    refused("swiglu", json!({"gate": 11, "up": 0}));
    refused("swiglu", json!({"gate": 0, "up": null}));
}
