//! Muon: an update whose singular values are all about 1. The chapter: muon.md.

use ossia::train::muon::{COEFFICIENTS, ITERATIONS};

/// Replaces the singular values of the matrix `g` (rows, columns) by numbers near 1, with the polynomial of [`COEFFICIENTS`],
/// applied [`ITERATIONS`] times. Divide by the norm of the whole matrix first. You need only products of matrices.
pub fn orthogonalize(g: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    todo!("{rows} × {columns}: {} numbers, {COEFFICIENTS:?}, {ITERATIONS} times", g.len())
}

/// Updates the matrix `w` (rows, columns) and the running mean `m` of its gradient, with momentum 0.95 and without weight decay.
/// Orthogonalize 0.95·m + 0.05·g, with the new m. The length of a step is lr · 0.2 · √max(rows, columns).
pub fn step(lr: f32, g: &[f32], (rows, columns): (usize, usize), w: &mut [f32], m: &mut [f32]) {
    todo!("{rows} × {columns}: {} gradients, {} weights, {} means, lr {lr}", g.len(), w.len(), m.len())
}
