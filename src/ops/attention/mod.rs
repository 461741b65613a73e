//! Attention: causal, grouped queries, sliding window, learned sinks.
//!
//! Query t of head h shares key/value head h·K/N with its group:
//!   sⱼ = ⟨qₜ, kⱼ⟩/√D for the visible keys j: j ≤ t, and t − j < W with a window (W keys, including its own)
//!   pⱼ = e^sⱼ / (e^sinkₕ + Σ e^sⱼ),   oₜ = Σ pⱼ·vⱼ
//! The sink is one more logit per head, with the value 0, so that a head can attend to nothing.
//!
//! q (T, N·D), k and v (S, K·D), sinks (N,) → o (T, N·D).  Saves lse (T, N), the logarithm of the denominator.
//! The backward pass, with Δₜ = ⟨doₜ, oₜ⟩ (per head):
//!   dvⱼ = Σ pⱼ·doₜ,   dsⱼ = pⱼ·(⟨doₜ, vⱼ⟩ − Δₜ),   dqₜ = Σ dsⱼ·kⱼ/√D,   dkⱼ = Σ dsⱼ·qₜ/√D,
//!   dsink = −Σₜ p_sink·Δₜ,   p_sink = e^(sink − lse)
//!
//! [`tiled`] and [`mod@backward`] compute this in tiles, in O(T) memory, and [`decode`] for one query at a time; [`naive`] is
//! their plain counterpart, with the whole (T, S) matrix.
//! Dao 2023 (FlashAttention-2), <https://arxiv.org/abs/2307.08691>; sinks and windows as in
//! <https://github.com/openai/gpt-oss> `gpt_oss/torch/model.py`, `sdpa`.
//!
//! Book: [attention](../../../../book/attention.html)

pub mod backward;
pub mod decode;
mod keys;
pub mod naive;
mod queries;
mod sequences;
pub mod tiled;

pub use keys::{Keys, KvFormat, KvNumbers, KvView};
pub use sequences::Sequences;

use crate::kernels::parallel;
use crate::tensor::{Tensor, array, slice};
use std::ops::Range;

/// The sizes of an attention layer, and its window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// N, query heads.
    pub heads: usize,
    /// K, key/value heads; N is a multiple.
    pub kv_heads: usize,
    /// D
    pub head_dim: usize,
    /// W: its own key and the W − 1 before it are visible to a query. `None`: its own and all before it.
    pub window: Option<usize>,
}

impl Shape {
    // ANCHOR: first_visible
    /// Returns the first key that is visible to the query at `position`.
    pub fn first_visible(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
    // ANCHOR_END: first_visible

    /// Returns 1/√D.
    pub fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// Returns G, the query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Returns N·D.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Returns K·D.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Returns the operations of one product of D numbers per visible pair of a query, of all heads, and a key.
    pub fn flops(&self, positions: Range<usize>) -> usize {
        2 * self.query_width() * positions.map(|t| t + 1 - self.first_visible(t)).sum::<usize>()
    }
}

/// Attention of the next T tokens of B sequences, to themselves and to what came before them: q (B·T, N·D), sinks (N,) →
/// (B·T, N·D). `keys` has, for each sequence, the keys and values of all visible positions in ascending order, of which the
/// last T are those of the new tokens. It is not recorded.
pub fn attention_after(keys: &[Vec<Keys>], q: &Tensor, sinks: &Tensor, shape: Shape) -> Tensor {
    let (sequences, numbers) = (keys.len(), q.data().len() / keys.len());
    let new = numbers / shape.query_width();
    let first = |keys: &[Keys]| keys.last().map_or(0, Keys::end) - new;
    let work = keys.iter().map(|keys| shape.flops(first(keys)..first(keys) + new)).sum();
    let o = parallel::map_work(sequences, work, |i| {
        let q = &q.data()[i * numbers..(i + 1) * numbers];
        tiled::forward(q, first(&keys[i]), &keys[i], sinks.data(), shape).0
    });
    Tensor::constant(array(q.shape(), o.concat()))
}

/// Attention of independent sequences, each from position 0: q (B·T, N·D), k and v (B·T, K·D), sinks (N,) → (B·T, N·D). The
/// sequences may have different lengths, whose sum is written B·T here.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, sinks: &Tensor, sequences: &Sequences, shape: Shape) -> Tensor {
    let rows = q.matrix().nrows();
    assert_eq!(q.shape(), [rows, shape.query_width()], "attention: q for {shape:?}");
    assert_eq!(k.shape(), [rows, shape.kv_width()], "attention: k for {shape:?}");
    assert_eq!(v.shape(), k.shape(), "attention: v and k");
    assert_eq!(sinks.shape(), [shape.heads], "attention: sinks for {shape:?}");
    assert_eq!(rows, sequences.rows(), "attention: the rows of {} sequences", sequences.len());
    let (o, lse) = tiled::forward_batch(q.data(), k.data(), v.data(), sinks.data(), sequences, shape);
    let o = array(q.shape(), o);
    let saved = o.clone();
    Tensor::from_op(o, &[q, k, v, sinks], || {
        let (q, k, v, sinks) = (q.value().clone(), k.value().clone(), v.value().clone(), sinks.value().clone());
        let sequences = sequences.clone();
        Box::new(move |dy| {
            let forward = backward::Saved {
                q: slice(&q),
                k: slice(&k),
                v: slice(&v),
                sinks: slice(&sinks),
                o: slice(&saved),
                lse: &lse,
            };
            let grads = backward::backward(slice(&dy), &forward, &sequences, shape);
            vec![
                Some(array(q.shape(), grads.dq)),
                Some(array(k.shape(), grads.dk)),
                Some(array(v.shape(), grads.dv)),
                Some(array(sinks.shape(), grads.dsinks)),
            ]
        })
    })
}
