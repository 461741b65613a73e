//! One SwiGLU network for every token: what a layer without experts has in their place.       Book: swiglu.md

use super::{Linear, Source, Visitor};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::swiglu::swiglu;
use crate::tensor::Tensor;

/// A dense clamped SwiGLU, with gates and ups in turns as in the experts.
#[derive(Clone)]
pub struct Mlp {
    gate_up: Linear, // (2I, H)
    down: Linear,    // (H, I)
    alpha: f32,
    limit: f32,
}

impl Mlp {
    /// A dense layer of the configuration's `dense_intermediate_size`.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(source: &mut dyn Source, name: &str, config: &ModelConfig) -> Result<Self> {
        let (hidden, inner) = (config.hidden_size, config.dense_intermediate_size);
        let gate_up = (hidden, 2 * inner);
        Ok(Self {
            gate_up: Linear::new(source, &format!("{name}.gate_up"), gate_up, config.initial_std(hidden))?,
            down: Linear::new(source, &format!("{name}.down"), (inner, hidden), config.residual_std(inner))?,
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

    /// `gate_up`, `down`
    pub fn visit<'p>(&'p mut self, name: &str, visitor: Visitor<'_, 'p>) {
        self.gate_up.visit(&format!("{name}.gate_up"), visitor);
        self.down.visit(&format!("{name}.down"), visitor);
    }
}
