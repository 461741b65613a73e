//! AdamW: a step of the optimizer for one matrix. The chapter: adamw.md.

use ossia::train::adamw::Hyperparameters;

/// Moves the weights `w` by one step, the `t`-th (from 1), and updates the running means `m` of the gradient and `v` of its
/// square. The gradient is not clipped here. Think of the bias corrections, and of where the decay belongs.
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
