//! Attention with grouped queries, a sliding window and learned sinks, for one sequence. The chapter: attention.md.

use ossia::ops::attention::Shape;

/// q (T, N·D), k and v (T, K·D), sinks (N,) → o (T, N·D). Query t sees key j where j ≤ t, and with a window of W where
/// t − j < W as well. A sink is one more logit in the denominator, whose value is zero.
pub fn forward(q: &[f32], k: &[f32], v: &[f32], sinks: &[f32], shape: Shape) -> Vec<f32> {
    todo!("o from {} + {} + {} numbers, {} sinks, {shape:?}", q.len(), k.len(), v.len(), sinks.len())
}

/// dq, dk, dv and dsinks, from do (T, N·D). Compute the probabilities again. The gradient of the scores of a softmax is
/// dsⱼ = pⱼ·(dpⱼ − Σ p·dp), and the sink is one of these scores.
pub fn backward(d_o: &[f32], q: &[f32], k: &[f32], v: &[f32], sinks: &[f32], shape: Shape) -> [Vec<f32>; 4] {
    let inputs = q.len() + k.len() + v.len() + sinks.len();
    todo!("four gradients from {} numbers of do and {inputs} of the inputs, {shape:?}", d_o.len())
}
