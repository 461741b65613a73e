//! Dense feed-forward layer: one SwiGLU network for every token, in a layer without experts.
//!
//! Book: [swiglu](../../../../book/swiglu.html)

use super::Linear;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::swiglu::swiglu;
use crate::parameter::{Role, Scope};
use crate::tensor::Tensor;

/// A dense clamped SwiGLU. Gate and up outputs alternate, as in the experts.
#[derive(Clone)]
pub struct Mlp {
    gate_up: Linear, // (2I, H)
    down: Linear,    // (H, I)
    alpha: f32,
    limit: f32,
}

children!(Mlp: gate_up, down);

impl Mlp {
    /// Creates a layer of the configuration's `dense_intermediate_size`.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, config: &ModelConfig) -> Result<Self> {
        let (hidden, inner) = (config.hidden_size, config.dense_intermediate_size);
        let (std, residual_std) = (config.initial_std(hidden), config.residual_std(inner));
        Ok(Self {
            gate_up: Linear::new(&mut scope.child("gate_up"), (hidden, 2 * inner), Role::Matrix, std)?,
            down: Linear::new(&mut scope.child("down"), (inner, hidden), Role::Matrix, residual_std)?,
            alpha: config.swiglu_alpha,
            limit: config.swiglu_limit,
        })
    }

    // ANCHOR: forward
    /// x (T, H) → (T, H)
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.down.forward(&swiglu(&self.gate_up.forward(x), self.alpha, self.limit))
    }
    // ANCHOR_END: forward
}
