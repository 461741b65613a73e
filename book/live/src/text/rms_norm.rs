//! RMSNorm of two numbers, and its gradients.

use crate::Live;
use crate::number::{Typed, singles};
use ossia::error::{Error, Result};
use ossia::kernels;
use ossia::ops::rms_norm::{backward, forward};
use serde::{Deserialize, Serialize};
use std::f32::consts::TAU;

/// The directions in which [`Answer::curve`] is computed.
const DIRECTIONS: usize = 96;

#[derive(Deserialize)]
pub struct Question {
    x: [Typed; 2],
    w: [Typed; 2],
    /// The gradient with respect to y.
    dy: [Typed; 2],
    eps: Typed,
}

#[derive(Serialize)]
pub struct Answer {
    y: Vec<f32>,
    r: f32,
    dx: Vec<f32>,
    dw: Vec<f32>,
    /// The dot product of x and dx.
    product: f32,
    /// y for all directions of an x of the same length.
    curve: Vec<Vec<f32>>,
}

pub fn answer(_: &mut Live, question: Question) -> Result<Answer> {
    let (x, w) = (singles("x", question.x)?, singles("w", question.w)?);
    let dy = singles("dy", question.dy)?;
    let eps = question.eps.between("ε", 0.0, 1e6)? as f32;
    let (y, r) = forward(&x, &w, eps);
    let (dx, dw) = backward(&dy, &x, &w, &r);
    let product = kernels::dot(&x, &dx);
    let length = kernels::dot(&x, &x).sqrt();
    let curve = (0..=DIRECTIONS).map(|i| {
        let (sin, cos) = (i as f32 / DIRECTIONS as f32 * TAU).sin_cos();
        forward(&[length * cos, length * sin], &w, eps).0
    });
    let curve: Vec<_> = curve.collect();
    let numbers = [&y, &r, &dx, &dw].into_iter().flatten().chain(curve.iter().flatten());
    let finite = numbers.chain([&product]).all(|number| number.is_finite());
    match finite {
        true => Ok(Answer { y, r: r[0], dx, dw, product, curve }),
        false => Err(Error::argument("a result is not finite: x is zero without ε, or a number is too large")),
    }
}
