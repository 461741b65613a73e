//! The optimizer: one step of every trainable parameter, by [AdamW](super::adamw) or by [Muon](super::muon), after the gradient
//! was clipped.
//!
//! Book: [adamw](../../../../book/adamw.html)

use super::adamw::{self, Hyperparameters, decays};
use super::muon;
use crate::error::{Error, Result};
use crate::kernels::{self, parallel};
use crate::parameter::{Parameter, Role};
use crate::profile;
use crate::tensor::{Gradients, slice};
use serde::{Deserialize, Serialize};

/// Numbers whose squares one thread adds up at a time.
const PIECE: usize = 1 << 14;

/// The norm reads the gradient.
const NORM: profile::Op = profile::Op::per_number("gradient norm", 2, 4);

/// The rule by which matrices are updated. Everything else is updated by AdamW.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// AdamW: each number at its own pace.
    #[default]
    AdamW,
    /// Muon: each matrix in a direction whose singular values are all about 1.
    Muon,
}

impl Method {
    // ANCHOR: of
    /// Returns the rule for a parameter. Muon is for matrices that map a vector to another one: the matrices of attention, of
    /// dense layers, and of each expert. A row of the embedding, of the output projection and of a router belongs to one token
    /// or one expert, and goes its own way.
    pub fn of(self, role: Role) -> Method {
        if matches!(role, Role::Matrix | Role::Expert) { self } else { Method::AdamW }
    }
    // ANCHOR_END: of
}

/// The running means of one parameter, each with as many numbers as the parameter.
#[derive(Clone)]
pub struct Moments {
    /// The running mean of the gradient.
    pub m: Vec<f32>,
    /// The running mean of the squared gradient. Muon has none: it is empty.
    pub v: Vec<f32>,
}

/// The optimizer: its step count, and the moments of every trainable parameter in the order of the model.
#[derive(Clone)]
pub struct Optimizer {
    method: Method,
    hyperparameters: Hyperparameters,
    steps: u64,
    moments: Vec<Moments>,
}

impl Optimizer {
    /// Creates an optimizer for the trainable ones among `parameters`.
    pub fn new(method: Method, hyperparameters: Hyperparameters, parameters: &[&Parameter]) -> Self {
        let trainable = parameters.iter().filter(|parameter| parameter.is_trainable());
        let zeros = |parameter: &&&Parameter| {
            let count = parameter.value().count();
            let squares = if method.of(parameter.role()) == Method::AdamW { count } else { 0 };
            Moments { m: vec![0.0; count], v: vec![0.0; squares] }
        };
        let moments = trainable.map(|parameter| zeros(&parameter)).collect();
        Self { method, hyperparameters, steps: 0, moments }
    }

    /// Creates an optimizer that continues after `steps` steps with the moments of every trainable parameter.
    pub fn resume(method: Method, hyperparameters: Hyperparameters, steps: u64, moments: Vec<Moments>) -> Self {
        Self { method, hyperparameters, steps, moments }
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
        self.steps += 1;
        // The 10⁻⁶ is PyTorch's (`clip_grad_norm_`).
        let scale = (self.hyperparameters.clip / (norm + 1e-6)).min(1.0) as f32;
        let keep = |role| (1.0 - lr * if decays(role) { self.hyperparameters.weight_decay } else { 0.0 }) as f32;
        let mut matrices = Vec::new();
        for (parameter, Moments { m, v }) in parameters.into_iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(parameter.tensor()).map(slice) else { continue };
            let role = parameter.role();
            match self.method.of(role) {
                Method::AdamW => {
                    let step = self.hyperparameters.step(self.steps, lr, keep(role), scale);
                    adamw::update(&step, gradient, parameter.tensor_mut().data_mut(), m, v);
                }
                Method::Muon => matrices.extend(muon::matrices(parameter.tensor_mut(), m, gradient)),
            }
        }
        muon::update(lr, keep(Role::Matrix), scale, matrices);
        Ok(norm)
    }
    // ANCHOR_END: step

    // ANCHOR: norm
    /// Returns the norm of all gradients together.
    fn checked_norm(&self, parameters: &[&mut Parameter], gradients: &Gradients) -> Result<f64> {
        let _timer = NORM.start(self.moments.iter().map(|moments| moments.m.len()).sum());
        let mut total = 0.0;
        for parameter in parameters {
            let Some(gradient) = gradients.get(parameter.tensor()) else { continue };
            let gradient = slice(gradient);
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
