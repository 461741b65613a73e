//! Matrix multiplication. `matrixmultiply` (through ndarray) does the work of each thread; here the result is cut in pieces.
//!
//! Each element of the result is summed over k in one fixed order, independent of the piece that contains it, so the cut
//! does not change any bit. A transposed matrix is a view with its strides swapped; nothing is copied here.

use super::parallel;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

/// C ← α·A·B + β·C on the calling thread.  A (m, k), B (k, n), C (m, n). If β = 0, C is not read.
pub fn gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    general_mat_mul(alpha, &a, &b, beta, &mut c);
}

/// Returns how many of `length` rows (or columns) of C make a piece: an eighth, so that threads can share the work, but
/// at least 64, because each piece packs the other operand again.
fn piece_length(length: usize) -> usize {
    (length / 8).clamp(64, 512).next_multiple_of(8)
}

/// Does the same as [`gemm`] on all threads: C is cut into blocks of rows, or of columns if it is wider than tall.
///
/// # Panics
/// If the shapes do not fit.
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
        let size = piece_length(c.nrows());
        let pieces = a.axis_chunks_iter(Axis(0), size).zip(c.axis_chunks_iter_mut(Axis(0), size)).collect();
        parallel::for_each(pieces, |(a, c)| gemm(alpha, a, b, beta, c));
    } else {
        let size = piece_length(c.ncols());
        let pieces = b.axis_chunks_iter(Axis(1), size).zip(c.axis_chunks_iter_mut(Axis(1), size)).collect();
        parallel::for_each(pieces, |(b, c)| gemm(alpha, a, b, beta, c));
    }
}
