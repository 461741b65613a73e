//! Muon: momentum, made orthogonal by a Newton–Schulz iteration.
//!
//! A matrix moves against a running mean of its gradient, in which all singular values are replaced by about 1: a gradient is
//! mostly a sum of a few large directions, and without this step the others would hardly be learned. Five times three products of
//! matrices do it without a singular value decomposition. An update has the size of one of AdamW with the same learning rate.
//! Jordan 2024, <https://kellerjordan.github.io/posts/muon/>; the size: Liu et al. 2025 (Moonlight),
//! <https://arxiv.org/abs/2502.16982>. The same as `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`, but in f32.
//!
//! Book: [muon](../../../../book/muon.html)

use crate::kernels::{self, gemm, parallel};
use crate::profile;
use ndarray::{Array2, ArrayView2};

/// β, the decay rate of the running mean of the gradient.
pub const MOMENTUM: f32 = 0.95;

/// The coefficients of the polynomial ax + bx³ + cx⁵, which moves a singular value x between 0 and 1 towards 1 fast, and then
/// keeps it between about 0.7 and 1.2.
pub const COEFFICIENTS: [f32; 3] = [3.4445, -4.775, 2.0315];

/// The number of times that the polynomial is applied.
pub const ITERATIONS: usize = 5;

/// The root mean square of an update of AdamW, relative to the learning rate, as it was measured in training.
const ADAMW_RMS: f32 = 0.2;

/// A matrix that takes a step.
pub struct Matrix<'a> {
    rows: usize,
    columns: usize,
    weight: &'a mut [f32],
    m: &'a mut [f32],
    gradient: &'a [f32],
}

/// Returns the matrices of a weight (rows, columns), or of a stack of them. The slices hold whole matrices.
pub fn matrices<'a>(
    (rows, columns): (usize, usize),
    weight: &'a mut [f32],
    m: &'a mut [f32],
    gradient: &'a [f32],
) -> impl Iterator<Item = Matrix<'a>> {
    let size = (rows * columns).max(1);
    let parts = weight.chunks_mut(size).zip(m.chunks_mut(size)).zip(gradient.chunks(size));
    parts.map(move |((weight, m), gradient)| Matrix { rows, columns, weight, m, gradient })
}

/// Updates all matrices, each on one thread. `keep` is the factor of weight decay, and `scale` that of clipping.
pub fn update(lr: f64, keep: f32, scale: f32, matrices: Vec<Matrix>) {
    if matrices.is_empty() {
        return; // and is not counted as a call
    }
    let flops = matrices.iter().map(|matrix| flops(matrix.rows, matrix.columns)).sum();
    let numbers: usize = matrices.iter().map(|matrix| matrix.weight.len()).sum();
    let _timer = profile::op("muon", flops, 20 * numbers);
    parallel::for_each(matrices, |Matrix { rows, columns, weight, m, gradient }| {
        let rate = lr as f32 * ADAMW_RMS * (rows.max(columns) as f32).sqrt();
        let direction = nesterov(scale, gradient, m);
        let direction = ArrayView2::from_shape((rows, columns), &direction).expect("whole rows");
        let direction = orthogonalize(direction);
        kernels::scale(keep, weight);
        kernels::axpy(-rate, direction.as_slice().expect("row-major"), weight);
    });
}

// ANCHOR: nesterov
/// Adds the gradient to its running mean, m ← βm + (1 − β)g, and returns a mean in which it counts once more: βm + (1 − β)g
/// with the new m. Nesterov 1983.
fn nesterov(scale: f32, gradient: &[f32], m: &mut [f32]) -> Vec<f32> {
    let mix = |m: f32, g: f32| m + (1.0 - MOMENTUM) * (g - m);
    let pairs = m.iter_mut().zip(gradient);
    pairs
        .map(|(m, g)| {
            let g = scale * g;
            *m = mix(*m, g);
            mix(*m, g)
        })
        .collect()
}
// ANCHOR_END: nesterov

// ANCHOR: orthogonalize
/// Replaces the singular values of a matrix by numbers near 1: G = U·S·Vᵀ becomes about U·Vᵀ.
///
/// Every product of X with polynomials of X·Xᵀ has the same singular vectors, and the polynomial acts on each singular value
/// alone. X is divided by its norm first, so that no singular value is above 1.
pub fn orthogonalize(g: ArrayView2<f32>) -> Array2<f32> {
    let wide = if g.nrows() > g.ncols() { g.t() } else { g };
    let mut x = wide.as_standard_layout().into_owned();
    let numbers = x.as_slice_mut().expect("row-major");
    let norm = kernels::dot(numbers, numbers).sqrt();
    kernels::scale(1.0 / norm.max(1e-7), numbers);
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..ITERATIONS {
        let mut gram = Array2::zeros((x.nrows(), x.nrows()));
        gemm(1.0, x.view(), x.t(), 0.0, gram.view_mut()); // X·Xᵀ
        let mut polynomial = gram.clone();
        gemm(c, gram.view(), gram.view(), b, polynomial.view_mut()); // b·X·Xᵀ + c·(X·Xᵀ)²
        let mut next = x.clone();
        gemm(1.0, polynomial.view(), x.view(), a, next.view_mut()); // a·X + (…)·X
        x = next;
    }
    if g.nrows() > g.ncols() { x.t().as_standard_layout().into_owned() } else { x }
}
// ANCHOR_END: orthogonalize

/// The operations of [`orthogonalize`].
fn flops(rows: usize, columns: usize) -> usize {
    let (short, long) = (rows.min(columns), rows.max(columns));
    ITERATIONS * (4 * short * short * long + 2 * short * short * short)
}
