//! Embedding.   `y = W[id]`       Book: embedding.md
//!
//! ids (T,), W (V, H) → y (T, H).  The way back adds each row of dy to the row of dW that it came from.

use crate::kernels::axpy;
use crate::profile;
use crate::tensor::{Tensor, array, slice};

// ANCHOR: forward
/// The rows of `w` (V, H) that `ids` name.
pub fn forward(ids: &[u32], w: &[f32], hidden: usize) -> Vec<f32> {
    let _timer = profile::op("embedding", 0, 8 * ids.len() * hidden);
    let mut y = Vec::with_capacity(ids.len() * hidden);
    for &id in ids {
        y.extend_from_slice(&w[id as usize * hidden..][..hidden]);
    }
    y
}
// ANCHOR_END: forward

// ANCHOR: backward
/// dW, from dy (T, H): rows of equal ids are added in the order of the text.
pub fn backward(dy: &[f32], ids: &[u32], vocabulary: usize, hidden: usize) -> Vec<f32> {
    let _timer = profile::op("embedding ′", dy.len(), 4 * (dy.len() + vocabulary * hidden));
    let mut dw = vec![0.0; vocabulary * hidden];
    for (&id, dy) in ids.iter().zip(dy.chunks_exact(hidden)) {
        axpy(1.0, dy, &mut dw[id as usize * hidden..][..hidden]);
    }
    dw
}
// ANCHOR_END: backward

/// `y = W[ids]` on tensors. Panics if an id is not below V: whoever takes ids from outside checks them.
pub fn embedding(ids: &[u32], w: &Tensor) -> Tensor {
    let [vocabulary, hidden] = *w.shape() else { panic!("an embedding is (V, H), not {:?}", w.shape()) };
    let y = array(&[ids.len(), hidden], forward(ids, w.data(), hidden));
    Tensor::from_op(y, &[w], || {
        let ids = ids.to_vec();
        Box::new(move |dy| vec![Some(array(&[vocabulary, hidden], backward(slice(&dy), &ids, vocabulary, hidden)))])
    })
}
