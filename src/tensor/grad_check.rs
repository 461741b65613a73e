//! Is a gradient right? Nudge every number a little and look.
//!
//! The central difference (f(x + h) − f(x − h)) / 2h is within O(h²) of the derivative. In `f32` it also carries
//! the rounding of f, about 10⁻⁷·|f|/h; h near 10⁻² balances the two, so a right gradient agrees to two or three
//! digits of its largest entry and a wrong one not at all.

use super::{Array, Tensor, array, slice};

/// Where a derived gradient and the central difference differ most.
#[derive(Debug, Clone, PartialEq)]
pub struct GradCheck {
    /// Which input, counted from 0.
    pub input: usize,
    /// Which of its numbers, in row-major order.
    pub index: usize,
    /// What `backward` says.
    pub derived: f32,
    /// What the central difference says.
    pub measured: f32,
    /// Their distance, relative to the largest entry of that input's gradient.
    pub relative_error: f32,
}

// ANCHOR: grad_check
/// Compares the gradients of `f` (tensors of the given values in, one number out) with central differences of step
/// `h`, for every number of every input, and returns the worst disagreement.
pub fn grad_check(f: impl Fn(&[Tensor]) -> Tensor, inputs: &[Array], h: f32) -> GradCheck {
    let parameters: Vec<Tensor> = inputs.iter().map(|x| Tensor::parameter(x.clone())).collect();
    let gradients = f(&parameters).backward();
    let mut worst = GradCheck { input: 0, index: 0, derived: 0.0, measured: 0.0, relative_error: 0.0 };
    for (input, x) in inputs.iter().enumerate() {
        let nudged = |index: usize, by: f32| {
            let mut moved: Vec<Tensor> = inputs.iter().map(|x| Tensor::constant(x.clone())).collect();
            let mut numbers = slice(x).to_vec();
            numbers[index] += by;
            moved[input] = Tensor::constant(array(x.shape(), numbers));
            f64::from(f(&moved).item())
        };
        let measured: Vec<f32> =
            (0..x.len()).map(|i| ((nudged(i, h) - nudged(i, -h)) / (2.0 * f64::from(h))) as f32).collect();
        let zeros = array(x.shape(), vec![0.0; x.len()]);
        let derived = slice(gradients.get(&parameters[input]).unwrap_or(&zeros)).to_vec();
        let largest = measured.iter().chain(&derived).fold(1e-3_f32, |a, b| a.max(b.abs()));
        for (index, (&derived, &measured)) in derived.iter().zip(&measured).enumerate() {
            let relative_error = (derived - measured).abs() / largest;
            // A NaN must win: it is the worst of all.
            if relative_error.is_nan() || relative_error > worst.relative_error {
                worst = GradCheck { input, index, derived, measured, relative_error };
            }
        }
    }
    worst
}
// ANCHOR_END: grad_check
