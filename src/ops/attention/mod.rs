//! Attention: causal, grouped queries, sliding window, learned sinks.       Book: attention.md
//!
//! For query t of head h, which shares key/value head h·K/N with its group:
//!   sⱼ = ⟨qₜ, kⱼ⟩/√D for the keys j that t may see: j ≤ t, and t − j < W with a window (W keys, itself included)
//!   pⱼ = e^sⱼ / (e^sinkₕ + Σ e^sⱼ),   oₜ = Σ pⱼ·vⱼ
//! The sink is one more logit per head whose value is zero: attention may look at nothing.
//!
//! q (T, N·D), k and v (S, K·D), sinks (N,) → o (T, N·D).  Saves lse (T, N), the logarithm of the denominator.
//! The way back, with Δₜ = ⟨doₜ, oₜ⟩ (per head):
//!   dvⱼ = Σ pⱼ·doₜ,   dsⱼ = pⱼ·(⟨doₜ, vⱼ⟩ − Δₜ),   dqₜ = Σ dsⱼ·kⱼ/√D,   dkⱼ = Σ dsⱼ·qₜ/√D,
//!   dsink = −Σₜ p_sink·Δₜ,   p_sink = e^(sink − lse)
//!
//! [`tiled`] computes this in tiles, in O(T) memory, and [`decode`] for one query at a time; [`naive`] is their slow
//! twin, with the whole (T, S) matrix.
//! Dao 2023 (FlashAttention-2), <https://arxiv.org/abs/2307.08691>; sinks and windows as in
//! <https://github.com/openai/gpt-oss> `gpt_oss/torch/model.py`, `sdpa`.

pub mod decode;
pub mod naive;
pub mod tiled;

use crate::tensor::{Tensor, array, slice};
use ndarray::ArrayView3;

/// The shape of an attention, and how far it looks back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// N, query heads.
    pub heads: usize,
    /// K, key/value heads; N is a multiple.
    pub kv_heads: usize,
    /// D
    pub head_dim: usize,
    /// W: a query sees its own key and the W − 1 before it. `None`: all before it.
    pub window: Option<usize>,
}

impl Shape {
    // ANCHOR: first_visible
    /// The first key that the query at `position` may see.
    pub fn first_visible(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
    // ANCHOR_END: first_visible

    /// 1/√D
    pub fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// Query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// N·D
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// K·D
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// A product of D numbers for every pair of a query, of all heads, and a key that it sees: so many operations.
    pub fn flops(&self, positions: std::ops::Range<usize>) -> usize {
        2 * self.query_width() * positions.map(|t| t + 1 - self.first_visible(t)).sum::<usize>()
    }
}

/// A run of keys and values: positions `start ..`. Whoever made them chooses how they lie in memory, only the D numbers
/// of a head are together.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The position of the first.
    pub start: usize,
    /// (S, K, D)
    pub k: ArrayView3<'a, f32>,
    /// (S, K, D)
    pub v: ArrayView3<'a, f32>,
}

impl<'a> Keys<'a> {
    /// Keys and values as a projection writes them: rows of K·D.
    pub fn rows(start: usize, k: &'a [f32], v: &'a [f32], shape: Shape) -> Self {
        let view = |x: &'a [f32]| {
            let rows = x.len() / shape.kv_width();
            ArrayView3::from_shape((rows, shape.kv_heads, shape.head_dim), x).expect("whole rows")
        };
        Self { start, k: view(k), v: view(v) }
    }

    /// The position behind the last.
    pub fn end(&self) -> usize {
        self.start + self.k.dim().0
    }
}

/// Attention of `sequences` independent sequences laid one after another, each from position 0:
/// q (B·T, N·D), k and v (B·T, K·D), sinks (N,) → (B·T, N·D).
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, sinks: &Tensor, sequences: usize, shape: Shape) -> Tensor {
    let rows = q.matrix().nrows();
    assert_eq!(q.shape(), [rows, shape.query_width()], "attention: q for {shape:?}");
    assert_eq!(k.shape(), [rows, shape.kv_width()], "attention: k for {shape:?}");
    assert_eq!(v.shape(), k.shape(), "attention: v and k");
    assert_eq!(sinks.shape(), [shape.heads], "attention: sinks for {shape:?}");
    assert_eq!(rows % sequences, 0, "attention: {rows} rows in {sequences} sequences");
    let (o, lse) = tiled::forward_batch(q.data(), k.data(), v.data(), sinks.data(), sequences, shape);
    let o = array(q.shape(), o);
    let saved = o.clone();
    Tensor::from_op(o, &[q, k, v, sinks], || {
        let (q, k, v, sinks) = (q.value().clone(), k.value().clone(), v.value().clone(), sinks.value().clone());
        Box::new(move |dy| {
            let forward = tiled::Saved {
                q: slice(&q),
                k: slice(&k),
                v: slice(&v),
                sinks: slice(&sinks),
                o: slice(&saved),
                lse: &lse,
            };
            let grads = tiled::backward(slice(&dy), &forward, sequences, shape);
            vec![
                Some(array(q.shape(), grads.dq)),
                Some(array(k.shape(), grads.dk)),
                Some(array(v.shape(), grads.dv)),
                Some(array(sinks.shape(), grads.dsinks)),
            ]
        })
    })
}
