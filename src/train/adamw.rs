//! AdamW, and clipping.       Book: adamw.md
//!
//! Each weight moves against a running mean of its gradient, divided by the root of a running mean of its square, so
//! that all weights move at a similar pace. Decay pulls weights towards zero directly ("decoupled"), not through
//! the gradient; norms, biases and sinks are spared.
//! Loshchilov & Hutter 2019, <https://arxiv.org/abs/1711.05101>

use crate::error::{Error, Result};
use crate::kernels::{self, parallel};
use crate::profile;
use crate::tensor::{Gradients, Tensor};
use serde::{Deserialize, Serialize};

/// Weights that one thread takes at a time.
const PIECE: usize = 1 << 14;

/// The settings of AdamW.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// β₁, how long the mean of gradients remembers.
    pub beta1: f64,
    /// β₂, the same for squares.
    pub beta2: f64,
    /// ε, keeps the division finite.
    pub epsilon: f64,
    /// λ, the share of lr that a weight loses in each step.
    pub weight_decay: f64,
    /// The gradient of all parameters together is scaled down to this length.
    pub clip: f64,
}

impl Default for Hyperparameters {
    /// What language models are usually trained with.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, clip: 1.0 }
    }
}

/// The running means of one parameter, as long as it.
#[derive(Clone)]
pub struct Moments {
    /// Of the gradient.
    pub m: Vec<f32>,
    /// Of its square.
    pub v: Vec<f32>,
}

/// The optimizer: how often it stepped, and the moments of every parameter in the model's order.
#[derive(Clone)]
pub struct AdamW {
    hyperparameters: Hyperparameters,
    steps: u64,
    moments: Vec<Moments>,
}

// ANCHOR: decays
/// Whether a parameter decays: matrices do, norms, biases and sinks do not.
pub fn decays(name: &str) -> bool {
    name.ends_with(".weight") && !name.contains("norm")
}
// ANCHOR_END: decays

impl AdamW {
    /// An optimizer that has not yet stepped.
    pub fn new(hyperparameters: Hyperparameters, parameters: &[(String, Tensor)]) -> Self {
        let zeros = |tensor: &Tensor| Moments { m: vec![0.0; tensor.data().len()], v: vec![0.0; tensor.data().len()] };
        Self { hyperparameters, steps: 0, moments: parameters.iter().map(|(_, tensor)| zeros(tensor)).collect() }
    }

    /// One that goes on.
    pub fn resume(hyperparameters: Hyperparameters, steps: u64, moments: Vec<Moments>) -> Self {
        Self { hyperparameters, steps, moments }
    }

    /// How often it stepped.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The moments of every parameter.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    // ANCHOR: step
    /// Moves every parameter that has a gradient. Returns the length of the gradient before clipping.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the gradient is not; nothing has moved then.
    pub fn step(&mut self, parameters: Vec<(String, &mut Tensor)>, gradients: &Gradients, lr: f64) -> Result<f64> {
        let norm = self.checked_norm(&parameters, gradients)?;
        let weights: usize = self.moments.iter().map(|moments| moments.m.len()).sum();
        let _timer = profile::op("adamw", 13 * weights, 28 * weights);
        self.steps += 1;
        let Hyperparameters { beta1, beta2, epsilon, weight_decay, clip } = self.hyperparameters;
        let exponent = self.steps as i32;
        for ((name, parameter), Moments { m, v }) in parameters.into_iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(parameter) else { continue };
            let step = kernels::AdamWStep {
                keep: if decays(&name) { (1.0 - lr * weight_decay) as f32 } else { 1.0 },
                one_minus_beta1: (1.0 - beta1) as f32,
                beta2: beta2 as f32,
                one_minus_beta2: (1.0 - beta2) as f32,
                step_size: (lr / (1.0 - beta1.powi(exponent))) as f32,
                root_correction: (1.0 - beta2.powi(exponent)).sqrt() as f32,
                epsilon: epsilon as f32,
                // The 10⁻⁶ is PyTorch's (`clip_grad_norm_`).
                gradient_scale: (clip / (norm + 1e-6)).min(1.0) as f32,
            };
            update(&step, crate::tensor::slice(gradient), parameter.data_mut(), m, v);
        }
        Ok(norm)
    }
    // ANCHOR_END: step

    // ANCHOR: norm
    /// The length of all gradients together.
    fn checked_norm(&self, parameters: &[(String, &mut Tensor)], gradients: &Gradients) -> Result<f64> {
        let weights: usize = self.moments.iter().map(|moments| moments.m.len()).sum();
        let _timer = profile::op("gradient norm", 2 * weights, 4 * weights);
        let mut total = 0.0;
        for (name, parameter) in parameters {
            let Some(gradient) = gradients.get(parameter) else { continue };
            let gradient = crate::tensor::slice(gradient);
            let squares = parallel::map(gradient.len().div_ceil(PIECE), |i| {
                let piece = &gradient[i * PIECE..gradient.len().min((i + 1) * PIECE)];
                f64::from(kernels::dot(piece, piece))
            });
            let squares: f64 = squares.iter().sum();
            if !squares.is_finite() {
                return Err(Error::NotFinite { step: self.steps + 1, tensor: format!("the gradient of {name}") });
            }
            total += squares;
        }
        Ok(total.sqrt())
    }
    // ANCHOR_END: norm
}

/// One parameter, in pieces on all threads.
fn update(step: &kernels::AdamWStep, gradient: &[f32], weight: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let pieces = weight.chunks_mut(PIECE).zip(m.chunks_mut(PIECE)).zip(v.chunks_mut(PIECE)).zip(gradient.chunks(PIECE));
    parallel::for_each(pieces.collect(), |(((weight, m), v), gradient)| {
        kernels::adamw(step, gradient, weight, m, v);
    });
}
