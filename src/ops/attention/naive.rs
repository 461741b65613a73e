//! Naive attention with the whole matrix of scores, in the order of the formulas: the plain counterpart of
//! [`tiled`](super::tiled).
//!
//! Book: [attention](../../../../../book/attention.html)

use super::Shape;

// ANCHOR: probabilities
/// Returns the probabilities of one sequence, (N, T, S + 1); the last column is that of the sink.
pub fn probabilities(q: &[f32], k: &[f32], sinks: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { heads, head_dim, .. } = shape;
    let (tokens, keys) = (q.len() / shape.query_width(), k.len() / shape.kv_width());
    let offset = keys - tokens;
    let mut p = vec![0.0; heads * tokens * (keys + 1)];
    for (row, p) in p.chunks_exact_mut(keys + 1).enumerate() {
        let (head, t) = (row / tokens, row % tokens);
        let position = offset + t;
        let q = &q[t * shape.query_width() + head * head_dim..][..head_dim];
        for (j, s) in p[..keys].iter_mut().enumerate() {
            let k = &k[j * shape.kv_width() + head / shape.group() * head_dim..][..head_dim];
            let visible = (shape.first_visible(position)..=position).contains(&j);
            *s = if visible {
                q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>() * shape.scale()
            } else {
                f32::NEG_INFINITY
            };
        }
        p[keys] = sinks[head];
        let largest = p.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        p.iter_mut().for_each(|s| *s = (*s - largest).exp());
        let total: f32 = p.iter().sum();
        p.iter_mut().for_each(|s| *s /= total);
    }
    p
}
// ANCHOR_END: probabilities

// ANCHOR: forward
/// Returns o (T, N·D) of one sequence. The queries are at the last T of the S positions that have keys.
pub fn forward(q: &[f32], k: &[f32], v: &[f32], sinks: &[f32], shape: Shape) -> Vec<f32> {
    let head_dim = shape.head_dim;
    let (tokens, keys) = (q.len() / shape.query_width(), k.len() / shape.kv_width());
    let p = probabilities(q, k, sinks, shape);
    let mut o = vec![0.0; q.len()];
    for (row, p) in p.chunks_exact(keys + 1).enumerate() {
        let (head, t) = (row / tokens, row % tokens);
        let o = &mut o[t * shape.query_width() + head * head_dim..][..head_dim];
        for (j, p) in p[..keys].iter().enumerate() {
            let v = &v[j * shape.kv_width() + head / shape.group() * head_dim..][..head_dim];
            o.iter_mut().zip(v).for_each(|(o, v)| *o += p * v);
        }
    }
    o
}
// ANCHOR_END: forward
