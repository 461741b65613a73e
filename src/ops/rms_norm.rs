//! RMSNorm.   y = x · r · w,   r = 1/√(mean(x²) + ε)
//!
//! x (T, H), w (H,) → y (T, H).  Saves r (T,) for the backward pass.
//! Zhang & Sennrich 2019, <https://arxiv.org/abs/1910.07467>
//!
//! Book: [rms_norm](../../../../book/rms_norm.html)

use crate::kernels::{axpy, dot, dot3, parallel, scaled_product};
use crate::profile;
use crate::tensor::{Tensor, array, slice};

/// Rows that one thread computes at a time.
const ROWS: usize = 64;

/// Reads x, writes y.
const FORWARD: profile::Op = profile::Op::per_number("rms_norm", 4, 8);
/// Reads dy and x, writes dx.
const BACKWARD: profile::Op = profile::Op::per_number("rms_norm ′", 10, 12);

// ANCHOR: forward
/// Returns y (T, H) and r (T,).
pub fn forward(x: &[f32], w: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    let _timer = FORWARD.start(x.len());
    let hidden = w.len();
    parallel::build2((x.len(), ROWS * hidden), (x.len() / hidden, ROWS), |piece, y, r| {
        let x = &x[piece * ROWS * hidden..][..y.len()];
        for ((y, x), r) in y.chunks_exact_mut(hidden).zip(x.chunks_exact(hidden)).zip(r) {
            *r = 1.0 / (dot(x, x) / hidden as f32 + eps).sqrt();
            scaled_product(*r, x, w, y);
        }
    })
}
// ANCHOR_END: forward

// ANCHOR: backward
/// With g = dy·w:   dx = r·g − x·r³·mean(g·x),   dw = Σₜ dy·x·r.
pub fn backward(dy: &[f32], x: &[f32], w: &[f32], r: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let _timer = BACKWARD.start(x.len());
    let hidden = w.len();
    let pieces = r.len().div_ceil(ROWS);
    let (dx, dw_of_piece) = parallel::build2((x.len(), ROWS * hidden), (pieces * hidden, hidden), |piece, dx, dw| {
        let rows = dx.chunks_exact_mut(hidden).enumerate().map(|(i, dx)| (piece * ROWS + i, dx));
        let mut xr = vec![0.0; hidden];
        for (t, dx) in rows {
            let (dy, x) = (&dy[t * hidden..][..hidden], &x[t * hidden..][..hidden]);
            scaled_product(r[t], dy, w, dx);
            axpy(-r[t].powi(3) * dot3(dy, w, x) / hidden as f32, x, dx);
            scaled_product(r[t], x, dy, &mut xr);
            axpy(1.0, &xr, dw);
        }
    });
    let mut dw = vec![0.0; hidden];
    dw_of_piece.chunks_exact(hidden).for_each(|piece| axpy(1.0, piece, &mut dw));
    (dx, dw)
}
// ANCHOR_END: backward

/// RMSNorm over the last dimension of `x`, scaled by `w` (H,).
pub fn rms_norm(x: &Tensor, w: &Tensor, eps: f32) -> Tensor {
    assert_eq!(x.shape().last(), w.shape().last(), "rms_norm: x {:?}, w {:?}", x.shape(), w.shape());
    let (y, r) = forward(x.data(), w.data(), eps);
    Tensor::from_op(array(x.shape(), y), &[x, w], || {
        let (x, w) = (x.value().clone(), w.value().clone());
        Box::new(move |dy| {
            let (dx, dw) = backward(slice(&dy), slice(&x), slice(&w), &r);
            vec![Some(array(x.shape(), dx)), Some(array(w.shape(), dw))]
        })
    })
}
