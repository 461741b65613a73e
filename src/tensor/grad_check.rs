//! Gradient checking: compare a gradient with central differences.
//!
//! The central difference (f(x + h) − f(x − h)) / 2h is within O(h²) of the derivative. In `f32` it also carries
//! the rounding error of f, about 10⁻⁷·|f|/h. With h near 10⁻² the two errors are about equal. A correct gradient
//! then agrees to at least two digits of its largest entry, and a wrong one usually does not.
//!
//! Book: [grad_check](../../../../book/grad_check.html)

use super::{Array, Tensor, array, slice};

/// The entry at which a gradient and the central difference differ most.
#[derive(Debug, Clone, PartialEq)]
pub struct GradCheck {
    /// The index of the input.
    pub input: usize,
    /// The index of the number in that input, in row-major order.
    pub index: usize,
    /// The derivative that `backward` computes.
    pub derived: f32,
    /// The derivative by central difference.
    pub measured: f32,
    /// Their difference, relative to the largest entry of that input's gradient.
    pub relative_error: f32,
}

// ANCHOR: grad_check
/// Compares the gradients of `f` with central differences of step `h`, for every number of every input, and returns the
/// worst disagreement. `f` takes tensors with the values of `inputs` and returns one number.
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
            // A NaN counts as the worst disagreement.
            if relative_error.is_nan() || relative_error > worst.relative_error {
                worst = GradCheck { input, index, derived, measured, relative_error };
            }
        }
    }
    worst
}
// ANCHOR_END: grad_check
