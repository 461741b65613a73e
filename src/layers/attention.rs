//! Grouped-query attention with rotary positions, sinks, and a sliding window on even layers.
//!
//! Book: [attention](../../../../book/attention.html)

use super::{Angles, LayerCache, Linear};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::ops::attention::{Keys, KvFormat, KvNumbers, Sequences, Shape, attention, attention_after, naive};
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
    kv_format: KvFormat,
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
            kv_format: KvFormat::F32,
        })
    }

    /// Sets the format to which keys and values are rounded.
    ///
    /// # Errors
    /// If a head does not consist of whole units of the format.
    pub fn set_kv_format(&mut self, format: KvFormat) -> Result<()> {
        let (dim, unit) = (self.shape.head_dim, format.numbers_per_unit());
        if !dim.is_multiple_of(unit) {
            let message =
                format!("keys and values in int8 are blocks of {unit} numbers, and a head has {dim}; use bf16");
            return Err(Error::argument(message));
        }
        self.kv_format = format;
        Ok(())
    }

    // ANCHOR: forward
    /// x (B·T, H) → (B·T, H). `angles` are those of the T positions, or of all B·T. With a cache per sequence, its T tokens follow the
    /// tokens in its cache. Panics if a cached pass would have to be recorded: gradients do not flow through a cache.
    pub fn forward(
        &self,
        x: &Tensor,
        angles: &Angles,
        sequences: &Sequences,
        caches: &mut [&mut LayerCache],
    ) -> Tensor {
        let q = rope(&self.q.forward(x), &angles.cos, &angles.sin);
        let k = rope(&self.k.forward(x), &angles.cos, &angles.sin);
        let v = self.v.forward(x);
        let mixed = match caches {
            [] => attention(&q, &self.rounded(k), &self.rounded(v), self.sinks.tensor(), sequences, self.shape),
            caches => self.cached(&q, &k, &v, caches),
        };
        self.o.forward(&mixed)
    }
    // ANCHOR_END: forward

    /// Returns the attention of every head on one sequence, computed in the plainest way: x (T, H) → (N, T, T + 1). Row t of a
    /// head has a probability for each token and, in the last column, one for the sink.
    pub fn probabilities(&self, x: &Tensor, angles: &Angles) -> Vec<f32> {
        let q = rope(&self.q.forward(x), &angles.cos, &angles.sin);
        let k = rope(&self.k.forward(x), &angles.cos, &angles.sin);
        naive::probabilities(q.data(), self.rounded(k).data(), self.sinks.tensor().data(), self.shape)
    }

    // ANCHOR: cached
    /// Attends in each sequence to the tokens in its cache and to the new tokens, and appends these to the cache.
    fn cached(&self, q: &Tensor, k: &Tensor, v: &Tensor, caches: &mut [&mut LayerCache]) -> Tensor {
        let recorded = q.needs_grad() || k.needs_grad() || v.needs_grad();
        assert!(!recorded, "a cached forward pass is not recorded; run it on a detached model");
        let (k, v) = (KvNumbers::encode(k.data(), self.kv_format), KvNumbers::encode(v.data(), self.kv_format));
        let sequences = caches.len();
        let keys = caches.iter().enumerate().map(|(i, cache)| {
            let new = Keys::of_sequence(cache.seen(), (&k, &v), i, sequences, self.shape);
            [cache.runs(), vec![new]].concat()
        });
        let mixed = attention_after(&keys.collect::<Vec<_>>(), q, self.sinks.tensor(), self.shape);
        for (i, cache) in caches.iter_mut().enumerate() {
            cache.append(Keys::of_sequence(cache.seen(), (&k, &v), i, sequences, self.shape));
        }
        mixed
    }
    // ANCHOR_END: cached

    /// Rounds keys or values as a cache would.
    fn rounded(&self, x: Tensor) -> Tensor {
        if self.kv_format == KvFormat::F32 {
            return x;
        }
        assert!(!x.needs_grad(), "rounding to {:?} is not recorded; run it on a detached model", self.kv_format);
        Tensor::constant(array(x.shape(), KvNumbers::encode(x.data(), self.kv_format).decode()))
    }
}
