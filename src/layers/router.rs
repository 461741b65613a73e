//! Router: chooses the experts of each token, and how much each of them counts.
//!
//! Book: [routing](../../../../book/routing.html)

use super::Linear;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::dispatch::Dispatch;
use crate::ops::top_k::{choose, weights_of};
use crate::parameter::{Role, Scope};
use crate::tensor::Tensor;
use std::sync::Arc;

/// A linear layer with one output per expert.
#[derive(Clone)]
pub struct Router {
    linear: Linear, // (E, H)
    active: usize,  // A
}

children!(Router: linear);

/// The decisions of a router for T tokens.
#[derive(Clone)]
pub struct Routing {
    /// (T, E)
    pub logits: Tensor,
    /// The weights of the chosen experts; they sum to 1 per token. (T, A)
    pub weights: Tensor,
    /// The chosen experts of each token. (T·A,)
    pub chosen: Arc<[u32]>,
    /// The visits of tokens to experts, sorted by expert.
    pub dispatch: Arc<Dispatch>,
}

impl Router {
    /// Creates a router for the experts of the configuration.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, config: &ModelConfig) -> Result<Self> {
        let (hidden, experts) = (config.hidden_size, config.experts);
        let linear = Linear::new(scope, (hidden, experts), Role::Router, config.initial_std(hidden))?;
        Ok(Self { linear, active: config.experts_per_token })
    }

    // ANCHOR: forward
    /// x (T, H) → the routing of T tokens. `replay` has the experts that were chosen elsewhere (T·A,): they are taken instead of
    /// those with the largest logits, and only their weights are computed.
    pub fn forward(&self, x: &Tensor, replay: Option<&Arc<[u32]>>) -> Routing {
        let logits = self.linear.forward(x);
        let experts = logits.shape()[1];
        let chosen = replay.cloned().unwrap_or_else(|| choose(logits.data(), experts, self.active).into());
        let weights = weights_of(&logits, &chosen);
        let dispatch = Arc::new(Dispatch::new(&chosen, experts, self.active));
        Routing { logits, weights, chosen, dispatch }
    }
    // ANCHOR_END: forward
}
