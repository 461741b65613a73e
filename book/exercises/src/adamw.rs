//! AdamW: a step of the optimizer for one matrix. The chapter: adamw.md.

use ossia::train::adamw::Hyperparameters;

/// Updates the weights `w` by step `t` (from 1), and the running means `m` of the gradient and `v` of its square. The gradient is not
/// clipped here. Remember the bias corrections, and think about where the decay belongs.
pub fn step(
    settings: &Hyperparameters,
    t: i32,
    lr: f64,
    gradient: &[f32],
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    todo!(
        "step {t} of {} weights, {} gradients, {} and {} moments, lr {lr}, {settings:?}",
        w.len(),
        gradient.len(),
        m.len(),
        v.len()
    )
}
