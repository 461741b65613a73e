//! Gradient checking: measured slopes, compared with a derived gradient. The chapter: grad_check.md.

/// Returns the central difference of `f` at `x`: the slope of `f` with respect to `x[index]`, measured by changing this number by
/// +`h` and by −`h`. All other numbers stay as they are. The two places are 2·`h` apart.
pub fn slope(f: &dyn Fn(&[f32]) -> f32, x: &[f32], index: usize, h: f32) -> f32 {
    todo!("the slope of a function of {} numbers, from {} with number {index} changed by {h}", x.len(), f(x))
}

/// Compares a derived gradient with a measured one, and returns the index at which they disagree most, with the relative error
/// there. The relative error at an index is the distance of the two numbers, divided by the largest absolute value of both
/// gradients (without NaNs), or by 0.001 if this is larger. If several errors are equal, the first of them counts. An error that
/// is NaN counts as the largest one. If several errors are NaN, you may return the index of any of them. If both gradients are
/// equal, the result is (0, 0).
pub fn worst(derived: &[f32], measured: &[f32]) -> (usize, f32) {
    todo!("the worst of {} derived and {} measured numbers", derived.len(), measured.len())
}

/// Checks the gradient of a layer, which computes an array y from an array x. The loss is Σ yᵢ·dyᵢ, and `derived` is its
/// gradient with respect to `x`. Measures this gradient with step `h`, and returns what [`worst`] returns.
pub fn check(layer: &dyn Fn(&[f32]) -> Vec<f32>, x: &[f32], dy: &[f32], derived: &[f32], h: f32) -> (usize, f32) {
    let outputs = layer(x).len().min(dy.len());
    todo!("a gradient of {} numbers of x and {outputs} of y, derived: {}, step {h}", x.len(), derived.len())
}
