//! Grouped-query attention with rotary positions, sinks, and a sliding window on even layers.
//!
//! Book: [attention](../../../../book/attention.html)

use super::{Angles, LayerCache, Linear};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::attention::{Keys, Shape, attention, tiled};
use crate::ops::rope::rope;
use crate::parameter::{Init, Parameter, Role, Scope};
use crate::tensor::{Tensor, array};

/// The attention of one layer.
#[derive(Clone)]
pub struct Attention {
    q: Linear,        // (N·D, H)
    k: Linear,        // (K·D, H)
    v: Linear,        // (K·D, H)
    o: Linear,        // (H, N·D)
    sinks: Parameter, // (N,)
    shape: Shape,
}

children!(Attention: q, k, v, o, sinks);

impl Attention {
    /// Creates the attention of layer `layer` of the configuration.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, config: &ModelConfig, layer: usize) -> Result<Self> {
        let shape = Shape {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            window: config.windows[layer],
        };
        let (hidden, query, kv) = (config.hidden_size, shape.query_width(), shape.kv_width());
        let std = config.initial_std(hidden);
        Ok(Self {
            q: Linear::new(&mut scope.child("q"), (hidden, query), Role::Matrix, std)?,
            k: Linear::new(&mut scope.child("k"), (hidden, kv), Role::Matrix, std)?,
            v: Linear::new(&mut scope.child("v"), (hidden, kv), Role::Matrix, std)?,
            o: Linear::new(&mut scope.child("o"), (query, hidden), Role::Matrix, config.residual_std(query))?,
            sinks: scope.take("sinks", &[shape.heads], Role::Sink, Init::Normal(0.02))?,
            shape,
        })
    }

    // ANCHOR: forward
    /// x (B·T, H) → (B·T, H). `angles` are those of the T positions. With a cache, B is 1 and the T tokens follow the
    /// tokens in the cache. Panics if a cached pass would have to be recorded: gradients do not flow through a cache.
    pub fn forward(&self, x: &Tensor, angles: &Angles, sequences: usize, cache: Option<&mut LayerCache>) -> Tensor {
        let q = rope(&self.q.forward(x), &angles.cos, &angles.sin);
        let k = rope(&self.k.forward(x), &angles.cos, &angles.sin);
        let v = self.v.forward(x);
        let mixed = match cache {
            None => attention(&q, &k, &v, self.sinks.tensor(), sequences, self.shape),
            Some(cache) => self.cached(&q, &k, &v, cache),
        };
        self.o.forward(&mixed)
    }
    // ANCHOR_END: forward

    // ANCHOR: cached
    fn cached(&self, q: &Tensor, k: &Tensor, v: &Tensor, cache: &mut LayerCache) -> Tensor {
        let recorded = q.needs_grad() || k.needs_grad() || v.needs_grad();
        assert!(!recorded, "a cached forward pass is not recorded; run it on a detached model");
        let start = cache.seen();
        let mut keys = cache.runs();
        keys.push(Keys::rows(start, k.data(), v.data(), self.shape));
        let (o, _) = tiled::forward(q.data(), start, &keys, self.sinks.tensor().data(), self.shape);
        cache.append(k.data(), v.data());
        Tensor::constant(array(q.shape(), o))
    }
    // ANCHOR_END: cached
}
