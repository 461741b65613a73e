//! Which experts a token goes to, and how much each counts.       Book: routing.md

use super::{Linear, Source, Visitor};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::dispatch::Dispatch;
use crate::ops::top_k::top_k;
use crate::tensor::Tensor;
use std::sync::Arc;

/// A linear layer with one output per expert.
#[derive(Clone)]
pub struct Router {
    linear: Linear, // (E, H)
    active: usize,
}

/// What a router decided.
#[derive(Clone)]
pub struct Routing {
    /// (T, E)
    pub logits: Tensor,
    /// (T, A), summing to 1 for each token.
    pub weights: Tensor,
    /// Who goes where.
    pub dispatch: Arc<Dispatch>,
}

impl Router {
    /// One linear layer.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(source: &mut dyn Source, name: &str, config: &ModelConfig) -> Result<Self> {
        let (hidden, experts) = (config.hidden_size, config.experts);
        let linear = Linear::new(source, name, (hidden, experts), config.initial_std(hidden))?;
        Ok(Self { linear, active: config.experts_per_token })
    }

    // ANCHOR: forward
    /// x (T, H) → the routing of T tokens.
    pub fn forward(&self, x: &Tensor) -> Routing {
        let logits = self.linear.forward(x);
        let (indices, weights) = top_k(&logits, self.active);
        let dispatch = Arc::new(Dispatch::new(&indices, logits.shape()[1], self.active));
        Routing { logits, weights, dispatch }
    }
    // ANCHOR_END: forward

    /// `weight`, `bias`
    pub fn visit<'p>(&'p mut self, name: &str, visitor: Visitor<'_, 'p>) {
        self.linear.visit(name, visitor);
    }
}
