//! Clamped SwiGLU: y = (u + 1) · g · σ(α·g), g = min(gate, limit), u = clamp(up, ±limit). The chapter: swiglu.md.

/// gate_up (T, 2I), in which gates and ups alternate, g₀ u₀ g₁ u₁ … → y (T, I).
pub fn forward(gate_up: &[f32], alpha: f32, limit: f32) -> Vec<f32> {
    todo!("y from {} pairs, α = {alpha}, limit = {limit}", gate_up.len() / 2)
}

/// dgate_up (T, 2I), from dy (T, I). A number that was clamped, or that is exactly at the limit, has the gradient 0.
pub fn backward(dy: &[f32], gate_up: &[f32], alpha: f32, limit: f32) -> Vec<f32> {
    todo!("{} gradients from dy of {}, α = {alpha}, limit = {limit}", gate_up.len(), dy.len())
}
