//! One layer: attention, then experts, each behind a norm and beside a residual connection.       Book: model.md

use super::router::Routing;
use super::{Attention, Experts, LayerCache, Mlp, RmsNorm, Router, Source, Visitor};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::elementwise::add;
use crate::tensor::{Array, Tensor, recompute};

/// One layer of the model.
#[derive(Clone)]
pub struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    feed_forward: FeedForward,
}

/// The second half of a block.
#[derive(Clone)]
enum FeedForward {
    Experts(Box<(Router, Experts)>),
    Dense(Box<Mlp>),
}

/// What a block computed on the way.
pub struct BlockOutput {
    /// (B·T, H), after the output projection and before the residual.
    pub attention: Tensor,
    /// The router's decisions; `None` in a dense layer.
    pub routing: Option<Routing>,
    /// (B·T, H), before the residual.
    pub feed_forward: Tensor,
    /// (B·T, H), what the next block gets.
    pub hidden: Tensor,
}

impl Block {
    /// Layer `layer` of the configuration.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(source: &mut dyn Source, name: &str, config: &ModelConfig, layer: usize) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let (hidden, eps) = (config.hidden_size, config.rms_norm_eps);
        Ok(Self {
            attention_norm: RmsNorm::new(source, &part("attention_norm"), hidden, eps)?,
            attention: Attention::new(source, &part("attention"), config, layer)?,
            mlp_norm: RmsNorm::new(source, &part("mlp_norm"), hidden, eps)?,
            feed_forward: if config.is_dense(layer) {
                FeedForward::Dense(Box::new(Mlp::new(source, &part("mlp"), config)?))
            } else {
                let router = Router::new(source, &part("router"), config)?;
                FeedForward::Experts(Box::new((router, Experts::new(source, &part("experts"), config)?)))
            },
        })
    }

    // ANCHOR: forward
    /// x (B·T, H) → what [`BlockOutput`] lists.
    pub fn forward(
        &self,
        x: &Tensor,
        angles: &(Array, Array),
        sequences: usize,
        cache: Option<&mut LayerCache>,
    ) -> BlockOutput {
        let attention = self.attention.forward(&self.attention_norm.forward(x), angles, sequences, cache);
        let x = add(x, &attention);
        let normed = self.mlp_norm.forward(&x);
        let (routing, feed_forward) = match &self.feed_forward {
            FeedForward::Experts(parts) => {
                let routing = parts.0.forward(&normed);
                let out = parts.1.forward(&normed, &routing);
                (Some(routing), out)
            }
            FeedForward::Dense(mlp) => (None, mlp.forward(&normed)),
        };
        let hidden = add(&x, &feed_forward);
        BlockOutput { attention, routing, feed_forward, hidden }
    }
    // ANCHOR_END: forward

    /// [`Block::forward`] without a cache, of which only x is kept for the way back: see [`recompute`]. Gradients flow
    /// through `hidden` and the router's logits.
    pub fn forward_recomputed(&self, x: &Tensor, angles: &(Array, Array), sequences: usize) -> BlockOutput {
        let (block, angles) = (self.clone(), angles.clone());
        recompute(
            x,
            move |x| block.forward(x, &angles, sequences, None),
            |out| {
                let logits = out.routing.as_mut().map(|routing| &mut routing.logits);
                std::iter::once(&mut out.hidden).chain(logits).collect()
            },
        )
    }

    /// `attention_norm`, `attention`, `mlp_norm`, and `router` with `experts`, or `mlp`.
    pub fn visit<'p>(&'p mut self, name: &str, visitor: Visitor<'_, 'p>) {
        self.attention_norm.visit(&format!("{name}.attention_norm"), visitor);
        self.attention.visit(&format!("{name}.attention"), visitor);
        self.mlp_norm.visit(&format!("{name}.mlp_norm"), visitor);
        match &mut self.feed_forward {
            FeedForward::Experts(parts) => {
                parts.0.visit(&format!("{name}.router"), visitor);
                parts.1.visit(&format!("{name}.experts"), visitor);
            }
            FeedForward::Dense(mlp) => mlp.visit(&format!("{name}.mlp"), visitor),
        }
    }
}
