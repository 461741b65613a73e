//! Grouped-query attention with rotary positions, sinks, and a window on even layers.       Book: attention.md

use super::{Init, LayerCache, Linear, Parameter, Source, Visitor};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::attention::{Keys, Shape, attention, tiled};
use crate::ops::rope::rope;
use crate::tensor::{Array, Tensor, array};

/// The attention of one layer.
#[derive(Clone)]
pub struct Attention {
    q: Linear,     // (N·D, H)
    k: Linear,     // (K·D, H)
    v: Linear,     // (K·D, H)
    o: Linear,     // (H, N·D)
    sinks: Tensor, // (N,)
    shape: Shape,
}

impl Attention {
    /// The attention of layer `layer`.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(source: &mut dyn Source, name: &str, config: &ModelConfig, layer: usize) -> Result<Self> {
        let shape = Shape {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            window: config.windows[layer],
        };
        let (hidden, query, kv) = (config.hidden_size, shape.query_width(), shape.kv_width());
        let std = config.initial_std(hidden);
        Ok(Self {
            q: Linear::new(source, &format!("{name}.q"), (hidden, query), std)?,
            k: Linear::new(source, &format!("{name}.k"), (hidden, kv), std)?,
            v: Linear::new(source, &format!("{name}.v"), (hidden, kv), std)?,
            o: Linear::new(source, &format!("{name}.o"), (query, hidden), config.residual_std(query))?,
            sinks: source.parameter(format!("{name}.sinks"), &[shape.heads], Init::Normal(0.02))?,
            shape,
        })
    }

    // ANCHOR: forward
    /// x (B·T, H) → (B·T, H). `angles` are cos and sin of the T positions. With a cache there is one sequence, which
    /// goes on from what the cache has seen; no gradient flows then.
    pub fn forward(
        &self,
        x: &Tensor,
        angles: &(Array, Array),
        sequences: usize,
        cache: Option<&mut LayerCache>,
    ) -> Tensor {
        let q = rope(&self.q.forward(x), &angles.0, &angles.1);
        let k = rope(&self.k.forward(x), &angles.0, &angles.1);
        let v = self.v.forward(x);
        let mixed = match cache {
            None => attention(&q, &k, &v, &self.sinks, sequences, self.shape),
            Some(cache) => self.cached(&q, &k, &v, cache),
        };
        self.o.forward(&mixed)
    }
    // ANCHOR_END: forward

    // ANCHOR: cached
    fn cached(&self, q: &Tensor, k: &Tensor, v: &Tensor, cache: &mut LayerCache) -> Tensor {
        let start = cache.seen();
        let mut keys = cache.runs();
        keys.push(Keys::rows(start, k.data(), v.data(), self.shape));
        let (o, _) = tiled::forward(q.data(), start, &keys, self.sinks.data(), self.shape);
        cache.append(k.data(), v.data());
        Tensor::constant(array(q.shape(), o))
    }
    // ANCHOR_END: cached

    /// `q`, `k`, `v`, `o`, `sinks`
    pub fn visit<'p>(&'p mut self, name: &str, visitor: Visitor<'_, 'p>) {
        self.q.visit(&format!("{name}.q"), visitor);
        self.k.visit(&format!("{name}.k"), visitor);
        self.v.visit(&format!("{name}.v"), visitor);
        self.o.visit(&format!("{name}.o"), visitor);
        visitor(format!("{name}.sinks"), Parameter::Trained(&mut self.sinks));
    }
}
