//! Embedding.   `y = W[id]`
//!
//! ids (T,), W (V, H) → y (T, H).  The backward pass adds each row of dy to the row of dW that it was read from.
//!
//! Book: [embedding](../../../../book/embedding.html)

use crate::kernels::axpy;
use crate::parameter::Value;
use crate::profile;
use crate::tensor::{Tensor, array, slice};

/// Starts the timer of reading `rows` rows of W and writing them as f32.
fn timer(rows: usize, w: &Value) -> profile::Timer {
    let hidden = w.inputs();
    profile::op("embedding", 0, rows * (w.bytes() / w.outputs().max(1) + 4 * hidden))
}

/// Adds T rows, and writes all of dW once.
fn backward_timer(dy: usize, dw: usize) -> profile::Timer {
    profile::op("embedding ′", dy, 4 * (dy + dw))
}

// ANCHOR: forward
/// Returns the rows of `w` (V, H) with the given ids. (T, H)
pub fn forward(ids: &[u32], w: &Value) -> Vec<f32> {
    let _timer = timer(ids.len(), w);
    let hidden = w.inputs();
    let mut y = vec![0.0; ids.len() * hidden];
    for (&id, y) in ids.iter().zip(y.chunks_exact_mut(hidden)) {
        w.expand_row(id as usize, y);
    }
    y
}
// ANCHOR_END: forward

// ANCHOR: backward
/// dW (V, H), from dy (T, H). Rows with equal ids are added in the order of the text.
pub fn backward(dy: &[f32], ids: &[u32], vocabulary: usize, hidden: usize) -> Vec<f32> {
    let _timer = backward_timer(dy.len(), vocabulary * hidden);
    let mut dw = vec![0.0; vocabulary * hidden];
    for (&id, dy) in ids.iter().zip(dy.chunks_exact(hidden)) {
        axpy(1.0, dy, &mut dw[id as usize * hidden..][..hidden]);
    }
    dw
}
// ANCHOR_END: backward

/// `y = W[ids]` on tensors. `w` is a tensor, or a parameter that may be stored in a file. Panics if an id is not below V:
/// code that takes ids from outside checks them.
pub fn embedding(ids: &[u32], w: impl Into<Value>) -> Tensor {
    let w = w.into();
    let (vocabulary, hidden) = (w.outputs(), w.inputs());
    let y = array(&[ids.len(), hidden], forward(ids, &w));
    let inputs: Vec<&Tensor> = w.tensor().into_iter().collect();
    Tensor::from_op(y, &inputs, || {
        let ids = ids.to_vec();
        Box::new(move |dy| vec![Some(array(&[vocabulary, hidden], backward(slice(&dy), &ids, vocabulary, hidden)))])
    })
}
