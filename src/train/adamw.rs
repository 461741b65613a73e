//! AdamW.
//!
//! Each parameter moves against a running mean of its gradient, divided by the square root of a running mean of the
//! squared gradient, so that all parameters move at a similar pace. Weight decay pulls matrices towards zero directly
//! ("decoupled"), not through the gradient; norms, biases and sinks do not decay.
//! Loshchilov & Hutter 2019, <https://arxiv.org/abs/1711.05101>
//!
//! Book: [adamw](../../../../book/adamw.html)

use crate::kernels::{self, AdamWStep, parallel};
use crate::parameter::Role;
use crate::profile;
use serde::{Deserialize, Serialize};

/// Numbers that one thread updates at a time.
const PIECE: usize = 1 << 14;

/// An update reads weight, gradient and moments, and writes all of them except the gradient.
const UPDATE: profile::Op = profile::Op::per_number("adamw", 13, 28);

/// The hyperparameters of AdamW. Muon uses the weight decay and the clipping, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// β₁, the decay rate of the running mean of the gradient.
    pub beta1: f64,
    /// β₂, the decay rate of the running mean of the squared gradient.
    pub beta2: f64,
    /// ε, which keeps the division finite.
    pub epsilon: f64,
    /// λ, the weight decay: each step multiplies a matrix by 1 − lr·λ.
    pub weight_decay: f64,
    /// The largest norm of the gradient of all parameters together; a longer gradient is scaled down to it.
    pub clip: f64,
}

impl Default for Hyperparameters {
    /// Returns the values with which language models are usually trained.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, clip: 1.0 }
    }
}

// ANCHOR: decays
/// Returns whether weight decay applies to a parameter: to matrices it does, to norms, biases and sinks it does not.
pub fn decays(role: Role) -> bool {
    role.is_matrix()
}
// ANCHOR_END: decays

impl Hyperparameters {
    // ANCHOR: constants
    /// Returns the constants of step `step`, counted from 1. `keep` is the factor of weight decay, and `gradient_scale` that of
    /// clipping.
    pub fn step(&self, step: u64, lr: f64, keep: f32, gradient_scale: f32) -> AdamWStep {
        let exponent = step as i32;
        AdamWStep {
            keep,
            one_minus_beta1: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            one_minus_beta2: (1.0 - self.beta2) as f32,
            step_size: (lr / (1.0 - self.beta1.powi(exponent))) as f32,
            root_correction: (1.0 - self.beta2.powi(exponent)).sqrt() as f32,
            epsilon: self.epsilon as f32,
            gradient_scale,
        }
    }
    // ANCHOR_END: constants
}

/// Updates one parameter, in pieces on all threads.
pub fn update(step: &AdamWStep, gradient: &[f32], weight: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let _timer = UPDATE.start(weight.len());
    let pieces = weight.chunks_mut(PIECE).zip(m.chunks_mut(PIECE)).zip(v.chunks_mut(PIECE)).zip(gradient.chunks(PIECE));
    parallel::for_each(pieces.collect(), |(((weight, m), v), gradient)| {
        kernels::adamw(step, gradient, weight, m, v);
    });
}
