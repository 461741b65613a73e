//! A block: attention and experts, each behind a norm, each adding to the residual stream. The chapter: model.md.

use crate::parts::Part;

/// Computes h = x + attention(norm₁(x)) and y = h + experts(norm₂(h)), and returns both. x, h and y have T rows of H numbers: T
/// is the number of tokens, and H the hidden size.
pub fn forward(x: &[f32], norms: [&dyn Part; 2], attention: &dyn Part, experts: &dyn Part) -> (Vec<f32>, Vec<f32>) {
    let parts = [norms[0].name(), attention.name(), norms[1].name(), experts.name()];
    todo!("h and y of {} numbers, through {parts:?}", x.len())
}

/// Returns dx, the gradient with respect to x, from dy, the gradient with respect to y. [`Part::backward`] takes the input of a
/// part and the gradient with respect to its output, and returns the gradient with respect to its input. Each + sends its
/// gradient along both paths.
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
