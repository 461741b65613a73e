//! The AdamW optimizer, with gradient clipping.
//!
//! Each parameter moves against a running mean of its gradient, divided by the square root of a running mean of the
//! squared gradient, so that all parameters move at a similar pace. Weight decay pulls matrices towards zero directly
//! ("decoupled"), not through the gradient; norms, biases and sinks do not decay.
//! Loshchilov & Hutter 2019, <https://arxiv.org/abs/1711.05101>
//!
//! Book: [adamw](../../../../book/adamw.html)

use crate::error::{Error, Result};
use crate::kernels::{self, parallel};
use crate::parameter::{Parameter, Role};
use crate::profile;
use crate::tensor::Gradients;
use serde::{Deserialize, Serialize};

/// Numbers that one thread updates at a time.
const PIECE: usize = 1 << 14;

/// An update reads weight, gradient and moments, and writes all of them except the gradient.
const UPDATE: profile::Op = profile::Op::per_number("adamw", 13, 28);
/// The norm reads the gradient.
const NORM: profile::Op = profile::Op::per_number("gradient norm", 2, 4);

/// The hyperparameters of AdamW.
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

/// The running means of one parameter, each with as many numbers as the parameter.
#[derive(Clone)]
pub struct Moments {
    /// The running mean of the gradient.
    pub m: Vec<f32>,
    /// The running mean of the squared gradient.
    pub v: Vec<f32>,
}

/// The optimizer: its step count, and the moments of every trainable parameter in the order of the model.
#[derive(Clone)]
pub struct AdamW {
    hyperparameters: Hyperparameters,
    steps: u64,
    moments: Vec<Moments>,
}

// ANCHOR: decays
/// Returns whether weight decay applies to a parameter: to matrices it does, to norms, biases and sinks it does not.
pub fn decays(role: Role) -> bool {
    role.is_matrix()
}
// ANCHOR_END: decays

impl AdamW {
    /// Creates an optimizer for the trainable ones among `parameters`.
    pub fn new(hyperparameters: Hyperparameters, parameters: &[&Parameter]) -> Self {
        let trainable = parameters.iter().filter(|parameter| parameter.is_trainable());
        let zeros = |count: usize| Moments { m: vec![0.0; count], v: vec![0.0; count] };
        let moments = trainable.map(|parameter| zeros(parameter.value().count())).collect();
        Self { hyperparameters, steps: 0, moments }
    }

    /// Creates an optimizer that continues after `steps` steps with the moments of every trainable parameter.
    pub fn resume(hyperparameters: Hyperparameters, steps: u64, moments: Vec<Moments>) -> Self {
        Self { hyperparameters, steps, moments }
    }

    /// Returns how many steps it has taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the moments of every trainable parameter.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    // ANCHOR: step
    /// Updates every trainable parameter that has a gradient; skips frozen ones. Returns the norm of the gradient before
    /// clipping.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the gradient is not finite; no parameter has changed then.
    pub fn step(&mut self, mut parameters: Vec<&mut Parameter>, gradients: &Gradients, lr: f64) -> Result<f64> {
        parameters.retain(|parameter| parameter.is_trainable());
        assert_eq!(parameters.len(), self.moments.len(), "the optimizer was created for other parameters");
        let norm = self.checked_norm(&parameters, gradients)?;
        let _timer = UPDATE.start(self.numbers());
        self.steps += 1;
        let Hyperparameters { beta1, beta2, epsilon, weight_decay, clip } = self.hyperparameters;
        let exponent = self.steps as i32;
        for (parameter, Moments { m, v }) in parameters.into_iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(parameter.tensor()) else { continue };
            let step = kernels::AdamWStep {
                keep: if decays(parameter.role()) { (1.0 - lr * weight_decay) as f32 } else { 1.0 },
                one_minus_beta1: (1.0 - beta1) as f32,
                beta2: beta2 as f32,
                one_minus_beta2: (1.0 - beta2) as f32,
                step_size: (lr / (1.0 - beta1.powi(exponent))) as f32,
                root_correction: (1.0 - beta2.powi(exponent)).sqrt() as f32,
                epsilon: epsilon as f32,
                // The 10⁻⁶ is PyTorch's (`clip_grad_norm_`).
                gradient_scale: (clip / (norm + 1e-6)).min(1.0) as f32,
            };
            update(&step, crate::tensor::slice(gradient), parameter.tensor_mut().data_mut(), m, v);
        }
        Ok(norm)
    }
    // ANCHOR_END: step

    /// Returns how many numbers the optimizer updates in a step.
    fn numbers(&self) -> usize {
        self.moments.iter().map(|moments| moments.m.len()).sum()
    }

    // ANCHOR: norm
    /// Returns the norm of all gradients together.
    fn checked_norm(&self, parameters: &[&mut Parameter], gradients: &Gradients) -> Result<f64> {
        let _timer = NORM.start(self.numbers());
        let mut total = 0.0;
        for parameter in parameters {
            let Some(gradient) = gradients.get(parameter.tensor()) else { continue };
            let gradient = crate::tensor::slice(gradient);
            let squares = parallel::map(gradient.len().div_ceil(PIECE), |i| {
                let piece = &gradient[i * PIECE..gradient.len().min((i + 1) * PIECE)];
                f64::from(kernels::dot(piece, piece))
            });
            let squares: f64 = squares.iter().sum();
            if !squares.is_finite() {
                return Err(Error::NotFinite {
                    step: self.steps + 1,
                    tensor: format!("the gradient of {}", parameter.name()),
                });
            }
            total += squares;
        }
        Ok(total.sqrt())
    }
    // ANCHOR_END: norm
}

/// Updates one parameter, in pieces on all threads.
fn update(step: &kernels::AdamWStep, gradient: &[f32], weight: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let pieces = weight.chunks_mut(PIECE).zip(m.chunks_mut(PIECE)).zip(v.chunks_mut(PIECE)).zip(gradient.chunks(PIECE));
    parallel::for_each(pieces.collect(), |(((weight, m), v), gradient)| {
        kernels::adamw(step, gradient, weight, m, v);
    });
}
