//! Embedding: `y[t] = W[ids[t]]`. The chapter: embedding.md.

/// The rows of `w` (V, H) that `ids` (T,) name → y (T, H).
pub fn forward(ids: &[u32], w: &[f32], hidden: usize) -> Vec<f32> {
    todo!("rows {ids:?} of {} numbers, {hidden} a row", w.len())
}

/// dW (V, H), from dy (T, H). Which rows of dy does a row of W get? What if a token stands in the text twice?
pub fn backward(dy: &[f32], ids: &[u32], vocabulary: usize, hidden: usize) -> Vec<f32> {
    todo!("dW ({vocabulary}, {hidden}) from {} numbers of dy for {ids:?}", dy.len())
}
