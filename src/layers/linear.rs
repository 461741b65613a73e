//! Linear layer with a bias.   y = x·Wᵀ + b
//!
//! Book: [tensor](../../../../book/tensor.html)

use super::Weight;
use crate::error::Result;
use crate::parameter::{Init, Parameter, Role, Scope};
use crate::tensor::Tensor;

/// A linear layer with a bias.
#[derive(Clone)]
pub struct Linear {
    weight: Weight,  // (out, in)
    bias: Parameter, // (out,)
}

children!(Linear: weight, bias);

impl Linear {
    /// Creates a layer. A new `weight` of the given role has standard deviation `std`; a new `bias` is 0.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, (inputs, outputs): (usize, usize), role: Role, std: f32) -> Result<Self> {
        Ok(Self {
            weight: Weight::new(scope, &[outputs, inputs], role, std)?,
            bias: scope.take("bias", &[outputs], Role::Bias, Init::Zeros)?,
        })
    }

    /// x (T, in) → (T, out)
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.weight.forward(x, Some(self.bias.tensor()))
    }
}
