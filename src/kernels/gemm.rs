//! Matrix times matrix: `matrixmultiply` (through ndarray) on each thread, the result cut in pieces.
//!
//! An element of the result is summed over k in one fixed order whatever piece it lies in, so the cut changes no
//! bit. A transposed matrix is a view with its strides swapped; nothing is copied here.

use super::parallel;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

/// C ← α·A·B + β·C on the calling thread.  A (m, k), B (k, n), C (m, n). With β = 0, C is not read.
pub fn gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    general_mat_mul(alpha, &a, &b, beta, &mut c);
}

/// How many of `length` rows (or columns) of C make a piece: an eighth, so that threads can share the work, but
/// enough of them to pay for packing the other operand again.
fn piece(length: usize) -> usize {
    (length / 8).clamp(64, 512).next_multiple_of(8)
}

/// [`gemm`] on all threads: C is cut in runs of rows, or of columns where it is wider than tall.
pub fn par_gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    assert_eq!(
        (a.nrows(), b.ncols()),
        c.dim(),
        "gemm: A {:?} · B {:?} does not make C {:?}",
        a.dim(),
        b.dim(),
        c.dim()
    );
    if c.nrows() >= c.ncols() {
        let size = piece(c.nrows());
        let pieces = a.axis_chunks_iter(Axis(0), size).zip(c.axis_chunks_iter_mut(Axis(0), size)).collect();
        parallel::for_each(pieces, |(a, c)| gemm(alpha, a, b, beta, c));
    } else {
        let size = piece(c.ncols());
        let pieces = b.axis_chunks_iter(Axis(1), size).zip(c.axis_chunks_iter_mut(Axis(1), size)).collect();
        parallel::for_each(pieces, |(b, c)| gemm(alpha, a, b, beta, c));
    }
}
