//! RMSNorm with a weight.   y = x · r · w
//!
//! Book: [rms_norm](../../../../book/rms_norm.html)

use crate::error::Result;
use crate::ops::rms_norm::rms_norm;
use crate::parameter::{Init, Parameter, Role, Scope};
use crate::tensor::Tensor;

/// RMSNorm with its weight.
#[derive(Clone)]
pub struct RmsNorm {
    weight: Parameter, // (H,)
    eps: f32,
}

children!(RmsNorm: weight);

impl RmsNorm {
    /// Creates a norm. A new `weight` is 1.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, hidden_size: usize, eps: f32) -> Result<Self> {
        Ok(Self { weight: scope.take("weight", &[hidden_size], Role::Norm, Init::Ones)?, eps })
    }

    /// x (T, H) → (T, H)
    pub fn forward(&self, x: &Tensor) -> Tensor {
        rms_norm(x, self.weight.tensor(), self.eps)
    }
}
