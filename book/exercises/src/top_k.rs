//! Routing: the k experts with the largest logits, and a softmax over those alone. The chapter: routing.md.

/// logits (T, E) → indices (T, A) from the largest logit to the smallest, and of equal logits the lower index first; and weights (T, A).
pub fn forward(logits: &[f32], experts: usize, active: usize) -> (Vec<u32>, Vec<f32>) {
    todo!("the {active} largest of each {experts} of {} logits", logits.len())
}

/// dlogits (T, E), from dw (T, A). What is the gradient of a logit that was not chosen?
pub fn backward(dw: &[f32], indices: &[u32], weights: &[f32], experts: usize, active: usize) -> Vec<f32> {
    todo!(
        "{experts} per token from {} numbers of dw, {} and {}, {active} per token",
        dw.len(),
        indices.len(),
        weights.len()
    )
}
