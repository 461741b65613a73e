//! Embedding: `y[t] = W[ids[t]]`. The chapter: embedding.md.

/// ids (T,) and the table w (V, H) → y (T, H), one row of the table per id.
pub fn forward(ids: &[u32], w: &[f32], hidden: usize) -> Vec<f32> {
    todo!("rows {ids:?} of {} numbers, {hidden} per row", w.len())
}

/// dW (V, H), from dy (T, H). Which rows of dy are added to a row of dW? What if a token occurs twice in the text?
pub fn backward(dy: &[f32], ids: &[u32], vocabulary: usize, hidden: usize) -> Vec<f32> {
    todo!("dW ({vocabulary}, {hidden}) from {} numbers of dy for {ids:?}", dy.len())
}
