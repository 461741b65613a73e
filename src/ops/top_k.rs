//! The k largest router logits of a token, and the softmax over just those.
//!
//! logits (T, E) → indices (T, A) and weights (T, A).  Indices are in descending order of their logits; of equal logits the
//! lower index wins. (PyTorch promises no order: version 2.15 takes 6, 5, 4 of eight equal logits.)
//! The backward pass is that of a softmax, w∘(dw − Σ w·dw), for the chosen logits; the gradient of the others is 0.
//! <https://github.com/openai/gpt-oss> `gpt_oss/torch/model.py`, `MLPBlock.forward`
//!
//! Book: [routing](../../../../book/routing.html)

use crate::tensor::{Tensor, array, slice};

// ANCHOR: forward
/// Returns the indices (T, A) and weights (T, A) of the `active` largest logits of each row of `logits` (T, E).
pub fn forward(logits: &[f32], experts: usize, active: usize) -> (Vec<u32>, Vec<f32>) {
    let indices = choose(logits, experts, active);
    let weights = softmax_over(logits, &indices, experts, active);
    (indices, weights)
}

/// Returns the indices (T, A) of the `active` largest logits of each row of `logits` (T, E).
pub fn choose(logits: &[f32], experts: usize, active: usize) -> Vec<u32> {
    assert!((1..=experts).contains(&active), "top {active} of {experts}");
    let mut indices = Vec::with_capacity(logits.len() / experts * active);
    let mut order: Vec<u32> = Vec::with_capacity(experts);
    for row in logits.chunks_exact(experts) {
        order.clear();
        order.extend(0..experts as u32);
        // The sort is stable, so that equal logits keep the order of their indices; + 0 makes −0 and 0 equal.
        let logit = |i: u32| row[i as usize] + 0.0;
        order.sort_by(|&a, &b| logit(b).total_cmp(&logit(a)));
        indices.extend_from_slice(&order[..active]);
    }
    indices
}

/// Returns the weights (T, A) of chosen experts: the softmax over their logits.
pub fn softmax_over(logits: &[f32], indices: &[u32], experts: usize, active: usize) -> Vec<f32> {
    let mut weights = Vec::with_capacity(indices.len());
    for (row, chosen) in logits.chunks_exact(experts).zip(indices.chunks_exact(active)) {
        let logits = chosen.iter().map(|&i| row[i as usize]);
        let largest = logits.clone().fold(f32::NEG_INFINITY, f32::max);
        let exps = logits.map(|z| (z - largest).exp());
        let total: f32 = exps.clone().sum();
        weights.extend(exps.map(|e| e / total));
    }
    weights
}
// ANCHOR_END: forward

// ANCHOR: backward
/// dlogits (T, E), from dw (T, A).
pub fn backward(dw: &[f32], indices: &[u32], weights: &[f32], experts: usize, active: usize) -> Vec<f32> {
    let mut dlogits = vec![0.0; dw.len() / active * experts];
    let rows = dw.chunks_exact(active).zip(indices.chunks_exact(active)).zip(weights.chunks_exact(active));
    for (((dw, index), w), dlogits) in rows.zip(dlogits.chunks_exact_mut(experts)) {
        let mean: f32 = w.iter().zip(dw).map(|(w, dw)| w * dw).sum();
        for ((dw, &i), w) in dw.iter().zip(index).zip(w) {
            dlogits[i as usize] = w * (dw - mean);
        }
    }
    dlogits
}
// ANCHOR_END: backward

/// Top-k on tensors. Returns the indices and the weights, both (T, A).
pub fn top_k(logits: &Tensor, active: usize) -> (Vec<u32>, Tensor) {
    let indices = choose(logits.data(), logits.shape()[1], active);
    let weights = weights_of(logits, &indices);
    (indices, weights)
}

/// The weights of chosen experts on tensors: logits (T, E) and indices (T·A,) → (T, A).
pub fn weights_of(logits: &Tensor, indices: &[u32]) -> Tensor {
    let [rows, experts] = *logits.shape() else { panic!("router logits are (T, E), not {:?}", logits.shape()) };
    let active = indices.len() / rows.max(1);
    let weights = array(&[rows, active], softmax_over(logits.data(), indices, experts, active));
    let saved = (indices.to_vec(), weights.clone());
    Tensor::from_op(weights, &[logits], || {
        let (indices, weights) = saved;
        Box::new(move |dw| {
            vec![Some(array(&[rows, experts], backward(slice(&dw), &indices, slice(&weights), experts, active)))]
        })
    })
}
