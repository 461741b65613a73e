//! The optimizer: one step of every trainable parameter, by [AdamW](super::adamw) or by [Muon](super::muon), after the gradient
//! was clipped.
//!
//! Book: [adamw](../../../../book/adamw.html)

use super::adamw::{self, Hyperparameters, decays};
use super::muon;
use super::pieces;
use crate::error::{Error, Result};
use crate::parameter::{Parameter, Role};
use crate::tensor::{Gradients, slice};
use serde::{Deserialize, Serialize};
use std::ops::Range;

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

    /// Returns whether a running mean of the squared gradient is kept for a parameter.
    pub fn has_squares(self, role: Role) -> bool {
        self.of(role) == Method::AdamW
    }
}

/// The running means of one parameter, each with as many numbers as the parameter.
#[derive(Clone)]
pub struct Moments {
    /// The running mean of the gradient.
    pub m: Vec<f32>,
    /// The running mean of the squared gradient. Muon has none: it is empty.
    pub v: Vec<f32>,
}

/// The optimizer: its step count, and the moments of every trainable parameter in the order of the model. If several ranks
/// train together, each has the moments of its own share of the numbers, and updates no others.
#[derive(Clone)]
pub struct Optimizer {
    method: Method,
    hyperparameters: Hyperparameters,
    steps: u64,
    moments: Vec<Moments>,
    share: Vec<Range<usize>>,
}

impl Optimizer {
    /// Creates an optimizer for the trainable ones among `parameters`.
    pub fn new(method: Method, hyperparameters: Hyperparameters, parameters: &[&Parameter]) -> Self {
        let trainable = parameters.iter().filter(|parameter| parameter.is_trainable());
        let zeros = |parameter: &&&Parameter| {
            let count = parameter.value().count();
            let squares = if method.has_squares(parameter.role()) { count } else { 0 };
            Moments { m: vec![0.0; count], v: vec![0.0; squares] }
        };
        let moments = trainable.map(|parameter| zeros(&parameter)).collect();
        Self::resume(method, hyperparameters, 0, moments)
    }

    /// Creates an optimizer that continues after `steps` steps with the moments of every trainable parameter.
    pub fn resume(method: Method, hyperparameters: Hyperparameters, steps: u64, moments: Vec<Moments>) -> Self {
        let share = moments.iter().map(|moments| 0..moments.m.len()).collect();
        Self { method, hyperparameters, steps, moments, share }
    }

    /// Drops the moments of all numbers that are not in a share, and updates only these from now on. `share` has a range of each
    /// whole parameter, and `local` says where it is in what this rank holds of it.
    ///
    /// # Panics
    /// If this was called before.
    pub fn restrict(&mut self, share: &[Range<usize>], local: &[Range<usize>]) {
        let is_whole = |(moments, share): (&Moments, &Range<usize>)| share.end <= moments.m.len();
        assert!(self.moments.iter().zip(share).all(is_whole), "an optimizer is divided once");
        self.share = local.to_vec();
        for (Moments { m, v }, share) in self.moments.iter_mut().zip(share) {
            *m = m[share.clone()].to_vec();
            if !v.is_empty() {
                *v = v[share.clone()].to_vec();
            }
        }
    }

    /// Returns the same optimizer with other moments.
    pub fn with_moments(&self, moments: Vec<Moments>) -> Self {
        Self::resume(self.method, self.hyperparameters.clone(), self.steps, moments)
    }

    /// Returns the rule by which matrices are updated.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Returns how many steps it has taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the moments of every trainable parameter.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    /// Returns the moments, to be changed.
    pub fn moments_mut(&mut self) -> &mut [Moments] {
        &mut self.moments
    }

    /// Returns how many numbers of a parameter have to be updated by one rank: a whole matrix with Muon.
    pub fn unit(&self, parameter: &Parameter) -> usize {
        let (rows, columns) = matrix_shape(parameter);
        if self.method.of(parameter.role()) == Method::Muon { (rows * columns).max(1) } else { pieces::PIECE }
    }

    /// Updates every trainable parameter that has a gradient; skips frozen ones. Returns the norm of the gradient before
    /// clipping.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the gradient is not finite; no parameter has changed then.
    pub fn step(&mut self, mut parameters: Vec<&mut Parameter>, gradients: &Gradients, lr: f64) -> Result<f64> {
        parameters.retain(|parameter| parameter.is_trainable());
        let is_whole = |(parameter, share): (&&mut Parameter, &Range<usize>)| share.len() == parameter.value().count();
        assert!(parameters.iter().zip(&self.share).all(is_whole), "an optimizer with a share takes no step alone");
        let gradients: Vec<_> = parameters.iter().map(|p| gradients.get(p.tensor()).map(slice)).collect();
        let squares = self.squares(&parameters, &gradients);
        let norm = self.norm(&parameters, &squares)?;
        self.update(&mut parameters, &gradients, lr, norm);
        Ok(norm)
    }

    // ANCHOR: step
    /// Updates the trainable parameters, given their gradients and the norm of all of these.
    pub fn update(&mut self, parameters: &mut [&mut Parameter], gradients: &[Option<&[f32]>], lr: f64, norm: f64) {
        assert_eq!(parameters.len(), self.moments.len(), "the optimizer was created for other parameters");
        self.steps += 1;
        // The 10⁻⁶ is PyTorch's (`clip_grad_norm_`).
        let scale = (self.hyperparameters.clip / (norm + 1e-6)).min(1.0) as f32;
        let keep = |role| (1.0 - lr * if decays(role) { self.hyperparameters.weight_decay } else { 0.0 }) as f32;
        let mut matrices = Vec::new();
        let state = self.moments.iter_mut().zip(&self.share);
        for ((parameter, gradient), (Moments { m, v }, share)) in parameters.iter_mut().zip(gradients).zip(state) {
            let Some(gradient) = gradient else { continue };
            let (role, shape) = (parameter.role(), matrix_shape(parameter));
            let weight = &mut parameter.tensor_mut().data_mut()[share.clone()];
            match self.method.of(role) {
                Method::AdamW => {
                    let step = self.hyperparameters.step(self.steps, lr, keep(role), scale);
                    adamw::update(&step, gradient, weight, m, v);
                }
                Method::Muon => matrices.extend(muon::matrices(shape, weight, m, gradient)),
            }
        }
        muon::update(lr, keep(Role::Matrix), scale, matrices);
    }
    // ANCHOR_END: step

    // ANCHOR: norm
    /// Returns the sums of the squares of the pieces of each gradient.
    pub fn squares(&self, parameters: &[&mut Parameter], gradients: &[Option<&[f32]>]) -> Vec<Vec<f64>> {
        let _timer = pieces::NORM.start(self.moments.iter().map(|moments| moments.m.len()).sum());
        let squares = |(parameter, gradient): (&&mut Parameter, &Option<&[f32]>)| {
            pieces::squares(gradient.unwrap_or(&[]), self.unit(parameter))
        };
        parameters.iter().zip(gradients).map(squares).collect()
    }

    /// Returns the norm of all gradients together.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if it is not finite.
    pub fn norm(&self, parameters: &[&mut Parameter], squares: &[Vec<f64>]) -> Result<f64> {
        let mut total = 0.0;
        for (parameter, squares) in parameters.iter().zip(squares) {
            let squares: f64 = squares.iter().sum();
            if !squares.is_finite() {
                let tensor = format!("the gradient of {}", parameter.name());
                return Err(Error::NotFinite { step: self.steps + 1, tensor });
            }
            total += squares;
        }
        Ok(total.sqrt())
    }
    // ANCHOR_END: norm
}

/// Returns the rows and columns of a matrix, or of each matrix of a stack.
fn matrix_shape(parameter: &Parameter) -> (usize, usize) {
    match *parameter.tensor().shape() {
        [.., rows, columns] => (rows, columns),
        _ => (1, parameter.value().count()),
    }
}
