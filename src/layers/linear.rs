//! y = x·Wᵀ + b

use super::{Init, Source, Visitor};
use crate::error::Result;
use crate::ops::matmul::linear;
use crate::tensor::Tensor;

/// A linear layer with a bias.
#[derive(Clone)]
pub struct Linear {
    weight: Tensor, // (out, in)
    bias: Tensor,   // (out,)
}

impl Linear {
    /// `weight` begins with standard deviation `std`, `bias` with 0.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(source: &mut dyn Source, name: &str, (inputs, outputs): (usize, usize), std: f32) -> Result<Self> {
        Ok(Self {
            weight: source.parameter(format!("{name}.weight"), &[outputs, inputs], Init::Normal(std))?,
            bias: source.parameter(format!("{name}.bias"), &[outputs], Init::Zeros)?,
        })
    }

    /// x (T, in) → (T, out)
    pub fn forward(&self, x: &Tensor) -> Tensor {
        linear(x, &self.weight, Some(&self.bias))
    }

    /// `weight`, `bias`
    pub fn visit<'p>(&'p mut self, name: &str, visitor: Visitor<'_, 'p>) {
        visitor(format!("{name}.weight"), &mut self.weight);
        visitor(format!("{name}.bias"), &mut self.bias);
    }
}
