//! A block: attention and experts, each behind a norm, each adding to the residual stream. The chapter: model.md.

use crate::parts::Part;

/// x (T·H) → y (T·H): h = x + attention(norm₁(x)), y = h + experts(norm₂(h)). Returns h and y.
pub fn forward(x: &[f32], norms: [&dyn Part; 2], attention: &dyn Part, experts: &dyn Part) -> (Vec<f32>, Vec<f32>) {
    let parts = [norms[0].name(), attention.name(), norms[1].name(), experts.name()];
    todo!("h and y of {} numbers, through {parts:?}", x.len())
}

/// dx (T·H), from dy (T·H). [`Part::backward`] returns the gradient with respect to the input of a part, from that input and the
/// gradient of its output. Each + sends its gradient along both paths.
pub fn backward(
    dy: &[f32],
    x: &[f32],
    h: &[f32],
    norms: [&dyn Part; 2],
    attention: &dyn Part,
    experts: &dyn Part,
) -> Vec<f32> {
    let parts = [norms[0].name(), attention.name(), norms[1].name(), experts.name()];
    todo!("dx from {} numbers of dy, {} of x and {} of h, through {parts:?}", dy.len(), x.len(), h.len())
}
