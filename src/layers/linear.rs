//! y = x·Wᵀ + b

use super::{Init, Parameter, Source, Visitor, Weight};
use crate::error::Result;
use crate::tensor::Tensor;

/// A linear layer with a bias.
#[derive(Clone)]
pub struct Linear {
    weight: Weight, // (out, in)
    bias: Tensor,   // (out,)
}

impl Linear {
    /// `weight` begins with standard deviation `std`, `bias` with 0.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(source: &mut dyn Source, name: &str, (inputs, outputs): (usize, usize), std: f32) -> Result<Self> {
        Ok(Self {
            weight: source.weight(format!("{name}.weight"), &[outputs, inputs], Init::Normal(std))?,
            bias: source.parameter(format!("{name}.bias"), &[outputs], Init::Zeros)?,
        })
    }

    /// x (T, in) → (T, out)
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.weight.linear(x, Some(&self.bias))
    }

    /// `weight`, `bias`
    pub fn visit<'p>(&'p mut self, name: &str, visitor: Visitor<'_, 'p>) {
        visitor(format!("{name}.weight"), self.weight.parameter());
        visitor(format!("{name}.bias"), Parameter::Trained(&mut self.bias));
    }
}
