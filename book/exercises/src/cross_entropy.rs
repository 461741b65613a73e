//! Cross-entropy: how surprised the model is by the token that came. The chapter: loss.md.

/// logits z (T, V), targets (T,) → loss (T,): ln Σᵥ e^zᵥ − z_target. Logits may be as large as 10³⁰.
pub fn forward(z: &[f32], targets: &[u32]) -> Vec<f32> {
    todo!("{} losses from {} logits", targets.len(), z.len())
}

/// dz (T, V), from dloss (T,).
pub fn backward(dloss: &[f32], z: &[f32], targets: &[u32]) -> Vec<f32> {
    todo!("{} gradients for {} targets from {} losses", z.len(), targets.len(), dloss.len())
}
