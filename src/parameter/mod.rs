//! Parameters: named values with a role, and where a new layer gets them from.
//!
//! A [`Parameter`] is a named [`Value`] of the model. Its [`Role`] says how the optimizer, the quantizer and reports
//! treat it, so that nothing has to be guessed from a name. The value is in memory ([`Value::Dense`]) or in a file
//! ([`Value::Stored`]); only `Value` itself distinguishes the two.
//!
//! A layer takes its parameters from a [`Scope`], which joins the names of nested layers and asks a [`Source`] for the values:
//! random numbers for a new model, a checkpoint for a saved one.
//!
//! Book: [model](../../../book/model.html)

mod correction;
mod quantize;
mod roles;
mod source;
mod value;

pub use roles::Roles;
pub use source::{Init, Random, Request, Scope, Source};
pub use value::Value;

use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::ops::Range;

// ANCHOR: parameter
/// A named array of the model.
#[derive(Clone)]
pub struct Parameter {
    name: String,
    role: Role,
    value: Value,
}

/// The purpose of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The token embedding. (V, H)
    Embedding,
    /// The matrix of a linear layer: attention, a dense feed-forward layer. (out, in)
    Matrix,
    /// The output projection, if it is not the embedding. (V, H)
    Head,
    /// The stacked matrices of experts. (E, in, out)
    Expert,
    /// The matrix of a router. (E, H)
    Router,
    /// The weight of an RMSNorm. (H,)
    Norm,
    /// A bias: (out,), or (E, out) of experts.
    Bias,
    /// The attention sinks of a layer. (N,)
    Sink,
}
// ANCHOR_END: parameter

impl Role {
    /// Returns whether the parameter is a matrix or a stack of matrices. A checkpoint may leave these in their file;
    /// norms, biases and sinks are always in memory.
    pub fn is_matrix(self) -> bool {
        matches!(self, Role::Embedding | Role::Matrix | Role::Head | Role::Expert | Role::Router)
    }
}

impl Parameter {
    /// Creates a parameter. Panics if a norm, bias or sink is not in memory.
    pub fn new(name: impl Into<String>, role: Role, value: impl Into<Value>) -> Self {
        let (name, value) = (name.into(), value.into());
        assert!(role.is_matrix() || value.tensor().is_some(), "{name}: a {role:?} is always in memory");
        Self { name, role, value }
    }

    /// Returns the full name, such as `layers.0.attention.q.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the purpose of the parameter.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the tensor of a parameter that is in memory. Panics if the parameter is stored in a file, which only
    /// parameters of a matrix role can be.
    pub fn tensor(&self) -> &Tensor {
        self.value.tensor().unwrap_or_else(|| panic!("{} is not in memory", self.name))
    }

    /// Like [`tensor`](Self::tensor), to be changed, as an optimizer does.
    pub fn tensor_mut(&mut self) -> &mut Tensor {
        match &mut self.value {
            Value::Dense(tensor) => tensor,
            Value::Stored(_) => panic!("{} is not in memory", self.name),
        }
    }

    /// Returns whether the backward pass computes a gradient with respect to this parameter. The optimizer skips all
    /// others, which are called frozen.
    pub fn is_trainable(&self) -> bool {
        self.value.tensor().is_some_and(Tensor::needs_grad)
    }

    /// Freezes the parameter: operations on it are no longer recorded. Its numbers stay the same.
    pub fn detach(&mut self) {
        if let Value::Dense(tensor) = &mut self.value {
            *tensor = tensor.detach();
        }
    }

    /// Keeps some experts, of all that are stacked. Their numbers in a file are not copied.
    pub fn keep_experts(&mut self, experts: Range<usize>) {
        self.value = self.value.part(experts);
    }

    /// Freezes the parameter, and makes a matrix in memory a stored one, which shares the numbers.
    pub fn freeze(&mut self) {
        self.detach();
        if self.role.is_matrix() {
            self.value = self.value.stored_in_memory();
        }
    }
}
