//! Linear layer with a bias.   y = x·Wᵀ + b
//!
//! Book: [tensor](../../../../book/tensor.html)

use crate::error::Result;
use crate::ops::linear::linear;
use crate::parameter::{Init, Parameter, Role, Scope};
use crate::tensor::Tensor;

/// A linear layer with a bias.
#[derive(Clone)]
pub struct Linear {
    weight: Parameter, // (out, in)
    bias: Parameter,   // (out,)
}

children!(Linear: weight, bias);

impl Linear {
    /// Creates a layer. A new `weight` of the given role has standard deviation `std`; a new `bias` is 0.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, (inputs, outputs): (usize, usize), role: Role, std: f32) -> Result<Self> {
        Ok(Self {
            weight: scope.take("weight", &[outputs, inputs], role, Init::Normal(std))?,
            bias: scope.take("bias", &[outputs], Role::Bias, Init::Zeros)?,
        })
    }

    /// x (T, in) → (T, out)
    pub fn forward(&self, x: &Tensor) -> Tensor {
        linear(x, &self.weight, Some(self.bias.tensor()))
    }
}
