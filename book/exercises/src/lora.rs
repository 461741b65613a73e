//! LoRA: a correction of low rank beside a frozen matrix. The chapter: lora.md.
//!
//! W (out, in) is frozen, and A (r, in) and B (out, r) are trained. All matrices are slices, row by row, and `rank` is r. So `in`
//! is `a.len() / rank`, and `out` is `b.len() / rank`. `scale` is α/r.

/// Returns y (T, out) = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ, from x (T, in).
pub fn forward(x: &[f32], w: &[f32], a: &[f32], b: &[f32], rank: usize, scale: f32) -> Vec<f32> {
    let numbers = x.len() + w.len() + a.len() + b.len();
    todo!("y from {numbers} numbers, rank {rank}, scale {scale}")
}

/// Returns the factors A (r, in) and B (out, r) of a new correction. Each call of `draw` returns a uniform random number between
/// −1 and 1. Each number of A is `draw()` / √in, in the order of the slice. B is zeros, without a draw.
pub fn new_factors(inputs: usize, outputs: usize, rank: usize, draw: &mut dyn FnMut() -> f32) -> (Vec<f32>, Vec<f32>) {
    todo!("A ({rank}, {inputs}) from numbers such as {}, and B ({outputs}, {rank})", draw())
}

/// Returns how many numbers are trained: those of A and B.
pub fn trained(inputs: usize, outputs: usize, rank: usize) -> usize {
    todo!("the numbers that are trained for a matrix ({outputs}, {inputs}) with a correction of rank {rank}")
}

/// Returns dx (T, in), dA (r, in) and dB (out, r), from dy (T, out). W is frozen, so it needs no gradient. x affects y along two
/// paths: through W, and through A and B.
pub fn backward(
    dy: &[f32],
    x: &[f32],
    w: &[f32],
    a: &[f32],
    b: &[f32],
    rank: usize,
    scale: f32,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let numbers = x.len() + w.len() + a.len() + b.len();
    todo!("three gradients from {} numbers of dy and {numbers} others, rank {rank}, scale {scale}", dy.len())
}

/// Returns the matrix (out, in) that computes the same y without a correction: W + scale·B·A.
pub fn merge(w: &[f32], a: &[f32], b: &[f32], rank: usize, scale: f32) -> Vec<f32> {
    todo!("the sum of {} numbers and {scale} times B·A, with {} and {} numbers, rank {rank}", w.len(), b.len(), a.len())
}
