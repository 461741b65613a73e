//! Quantization-aware training: a linear layer computes with weights in MXFP4, and the f32 weights behind them learn. The
//! chapter: qat.md.
//!
//! W (in, out) is the matrix of an expert: a slice with one row of `outputs` numbers per input. Q(W) is W after rounding. A block
//! is 32 numbers of a column, which belong to 32 neighbouring inputs: rows 0 to 31, then rows 32 to 63 and so on. `in` is a
//! multiple of 32. All numbers are finite. `ossia::mxfp4::VALUES` has the sixteen values of MXFP4, in the order of their codes.

/// Returns the values that a block has in MXFP4. Let the scale be 2^(⌊log₂ max|x|⌋ − 2), and at least 2⁻¹²⁷. Each number divided
/// by the scale becomes the nearest of the sixteen values, times the scale. If two values are equally near, it becomes the one
/// whose code is even. A number keeps its sign.
pub fn round_block(block: &[f32; 32]) -> [f32; 32] {
    todo!("the values of {block:?} in MXFP4")
}

/// Returns Q(W) (in, out).
pub fn fake_quantize(w: &[f32], outputs: usize) -> Vec<f32> {
    todo!("{} numbers in blocks along the inputs, for {outputs} outputs", w.len())
}

/// Returns y (T, out) = x·Q(W) + b, from x (T, in) and b (out).
pub fn forward(x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    todo!("y from {} numbers of x, {} of W and {} of b", x.len(), w.len(), b.len())
}

/// Returns dx (T, in), dW (in, out) and db (out), from dy (T, out). dW is the one of the straight-through estimator.
pub fn backward(dy: &[f32], x: &[f32], w: &[f32], outputs: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    todo!("three gradients from {} numbers of dy, {} of x and {} of W, {outputs} outputs", dy.len(), x.len(), w.len())
}

/// Returns the weights W (in, out) after a step of gradient descent with this learning rate, as they are kept for the next step.
pub fn step(dy: &[f32], x: &[f32], w: &[f32], outputs: usize, rate: f32) -> Vec<f32> {
    todo!("{} weights, {rate} times the gradient of {} and {}, {outputs} outputs", w.len(), dy.len(), x.len())
}

/// Returns the loss of the model that is written when training ends: the mean of (y − target)² over all numbers of y.
pub fn validation_loss(x: &[f32], w: &[f32], b: &[f32], targets: &[f32]) -> f32 {
    todo!("the loss of {} outputs from {} numbers of x, {} of W and {} of b", targets.len(), x.len(), w.len(), b.len())
}
