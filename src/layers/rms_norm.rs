//! y = x · r · w

use super::{Init, Parameter, Source, Visitor};
use crate::error::Result;
use crate::ops::rms_norm::rms_norm;
use crate::tensor::Tensor;

/// RMSNorm with its weight.
#[derive(Clone)]
pub struct RmsNorm {
    weight: Tensor, // (H,)
    eps: f32,
}

impl RmsNorm {
    /// `weight` begins with ones: every number counts the same.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(source: &mut dyn Source, name: &str, hidden_size: usize, eps: f32) -> Result<Self> {
        Ok(Self { weight: source.parameter(format!("{name}.weight"), &[hidden_size], Init::Ones)?, eps })
    }

    /// x (T, H) → (T, H)
    pub fn forward(&self, x: &Tensor) -> Tensor {
        rms_norm(x, &self.weight, self.eps)
    }

    /// `weight`
    pub fn visit<'p>(&'p mut self, name: &str, visitor: Visitor<'_, 'p>) {
        visitor(format!("{name}.weight"), Parameter::Trained(&mut self.weight));
    }
}
