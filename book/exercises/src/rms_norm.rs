//! RMSNorm: y = x · r · w with r = 1/√(mean(x²) + ε). The chapter: rms_norm.md.

/// x (T, H), w (H,) → y (T, H) and r (T,), which the backward pass needs.
pub fn forward(x: &[f32], w: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    todo!("y and r of {} rows of {}, with ε = {eps}", x.len() / w.len(), w.len())
}

/// dx (T, H) and dw (H,), from dy (T, H). x affects y along two paths: directly, and through r.
pub fn backward(dy: &[f32], x: &[f32], w: &[f32], r: &[f32]) -> (Vec<f32>, Vec<f32>) {
    todo!("dx of {} numbers and dw of {}, from dy of {} and r of {}", x.len(), w.len(), dy.len(), r.len())
}
