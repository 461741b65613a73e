//! Block: attention, then a feed-forward layer, each behind a norm and inside a residual connection.
//!
//! Book: [model](../../../../book/model.html)

use super::router::Routing;
use super::{Angles, Attention, Component, Experts, Layer, LayerCache, Mlp, RmsNorm, Router, Weight};
use crate::collective::Collective;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::attention::{KvFormat, Sequences};
use crate::ops::elementwise::add;
use crate::parameter::{Parameter, Scope};
use crate::tensor::{Tensor, recompute};
use std::sync::Arc;

/// One layer of the model.
#[derive(Clone)]
pub struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    feed_forward: FeedForward,
}

children!(Block: attention_norm, attention, mlp_norm, feed_forward);

/// A mixture of experts: a router, and the experts that it chooses from.
#[derive(Clone)]
struct Moe {
    router: Router,
    experts: Experts,
}

children!(Moe: router, experts);

/// The second half of a block.
#[derive(Clone)]
enum FeedForward {
    Moe(Box<Moe>),
    Dense(Box<Mlp>),
}

impl Layer for FeedForward {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Parameter)) {
        match self {
            FeedForward::Moe(moe) => moe.visit(f),
            FeedForward::Dense(mlp) => mlp.visit(f),
        }
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Parameter)) {
        match self {
            FeedForward::Moe(moe) => moe.visit_mut(f),
            FeedForward::Dense(mlp) => mlp.visit_mut(f),
        }
    }
    fn visit_weights(&mut self, f: &mut dyn FnMut(&mut Weight)) {
        match self {
            FeedForward::Moe(moe) => moe.visit_weights(f),
            FeedForward::Dense(mlp) => mlp.visit_weights(f),
        }
    }
}

/// The results of a block.
pub struct BlockOutput {
    /// After the output projection of attention and before the residual connection. (B·T, H)
    pub attention: Tensor,
    /// The decisions of the router; `None` in a dense layer.
    pub routing: Option<Routing>,
    /// The output of the feed-forward layer before the residual connection. (B·T, H)
    pub feed_forward: Tensor,
    /// The input of the next block. (B·T, H)
    pub hidden: Tensor,
}

impl Moe {
    fn new(scope: &mut Scope, config: &ModelConfig) -> Result<Self> {
        Ok(Self {
            router: Router::new(&mut scope.child("router"), config)?,
            experts: Experts::new(&mut scope.child("experts"), config)?,
        })
    }

    /// x (T, H) → the routing, and (T, H)
    fn forward(&self, x: &Tensor, replay: Option<&Arc<[u32]>>) -> (Routing, Tensor) {
        let routing = self.router.forward(x, replay);
        let y = self.experts.forward(x, &routing);
        (routing, y)
    }
}

impl Block {
    /// Creates layer `layer` of the configuration.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, config: &ModelConfig, layer: usize) -> Result<Self> {
        let (hidden, eps) = (config.hidden_size, config.rms_norm_eps);
        Ok(Self {
            attention_norm: RmsNorm::new(&mut scope.child("attention_norm"), hidden, eps)?,
            attention: Attention::new(&mut scope.child("attention"), config, layer)?,
            mlp_norm: RmsNorm::new(&mut scope.child("mlp_norm"), hidden, eps)?,
            feed_forward: if config.is_dense(layer) {
                FeedForward::Dense(Box::new(Mlp::new(&mut scope.child("mlp"), config)?))
            } else {
                FeedForward::Moe(Box::new(Moe::new(scope, config)?))
            },
        })
    }

    /// Keeps the experts of this rank, if the block has experts; see [`Experts::spread`].
    ///
    /// # Errors
    /// Those of [`Experts::spread`].
    pub fn spread(&mut self, ranks: &Arc<dyn Collective>) -> Result<()> {
        match &mut self.feed_forward {
            FeedForward::Moe(moe) => moe.experts.spread(ranks),
            FeedForward::Dense(_) => Ok(()),
        }
    }

    /// Processes the tokens of other ranks that visit experts of this one.
    pub fn serve(&self) {
        if let FeedForward::Moe(moe) = &self.feed_forward {
            moe.experts.serve();
        }
    }

    /// Returns the attention of every head on one sequence; see [`Attention::probabilities`].
    pub fn attention_probabilities(&self, x: &Tensor, angles: &Angles) -> Vec<f32> {
        self.attention.probabilities(&self.attention_norm.forward(x), angles)
    }

    /// Sets the format to which attention rounds keys and values.
    ///
    /// # Errors
    /// Those of [`Attention::set_kv_format`].
    pub fn set_kv_format(&mut self, format: KvFormat) -> Result<()> {
        self.attention.set_kv_format(format)
    }

    // ANCHOR: forward
    /// x (B·T, H) → the results listed in [`BlockOutput`]. There is one cache per sequence, or none at all. `replay` has the
    /// experts that tokens visit, if they do not choose.
    pub fn forward(
        &self,
        x: &Tensor,
        angles: &Angles,
        sequences: &Sequences,
        caches: &mut [&mut LayerCache],
        replay: Option<&Arc<[u32]>>,
    ) -> BlockOutput {
        let attention = self.attention.forward(&self.attention_norm.forward(x), angles, sequences, caches);
        let x = add(x, &attention);
        let normed = self.mlp_norm.forward(&x);
        let (routing, feed_forward) = match &self.feed_forward {
            FeedForward::Moe(moe) => {
                let (routing, y) = moe.forward(&normed, replay);
                (Some(routing), y)
            }
            FeedForward::Dense(mlp) => (None, mlp.forward(&normed)),
        };
        let hidden = add(&x, &feed_forward);
        BlockOutput { attention, routing, feed_forward, hidden }
    }
    // ANCHOR_END: forward

    /// Like [`Block::forward`] without a cache, but keeps only `x` for the backward pass and recomputes the rest
    /// (gradient checkpointing, see [`recompute`]). Gradients flow through `hidden` and the router logits.
    pub fn forward_recomputed(
        &self,
        x: &Tensor,
        angles: &Angles,
        sequences: &Sequences,
        replay: Option<&Arc<[u32]>>,
    ) -> BlockOutput {
        let (block, kept_angles, kept_sequences) = (self.clone(), angles.clone(), sequences.clone());
        let kept_replay = replay.cloned();
        recompute(
            x,
            |x| self.detached().forward(x, angles, sequences, &mut [], replay),
            move |x| block.forward(x, &kept_angles, &kept_sequences, &mut [], kept_replay.as_ref()),
            |out| {
                let logits = out.routing.as_mut().map(|routing| &mut routing.logits);
                std::iter::once(&mut out.hidden).chain(logits).collect()
            },
        )
    }

    /// Returns the layers of the block by what they are for, in the order of the parameters.
    pub fn components(&self) -> Vec<(Component, &dyn Layer)> {
        let mut components: Vec<(Component, &dyn Layer)> = vec![
            (Component::Norms, &self.attention_norm),
            (Component::Attention, &self.attention),
            (Component::Norms, &self.mlp_norm),
        ];
        match &self.feed_forward {
            FeedForward::Moe(moe) => {
                components.extend([(Component::Router, &moe.router as &dyn Layer), (Component::Experts, &moe.experts)]);
            }
            FeedForward::Dense(mlp) => components.push((Component::Dense, &**mlp)),
        }
        components
    }
}
