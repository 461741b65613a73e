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

/// Computes the same as [`gemm`] on all threads: C is cut into pieces, twice as many as there are threads, and at least
/// eight.
///
/// # Panics
/// If the shapes do not fit.
pub fn par_gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, c: ArrayViewMut2<f32>) {
    gemm_in_pieces(alpha, a, b, beta, c, (2 * parallel::threads()).max(8));
}

/// Computes the same as [`par_gemm`] in about `pieces` pieces. The number does not change any bit.
///
/// # Panics
/// If the shapes do not fit.
pub fn gemm_in_pieces(
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: ArrayViewMut2<f32>,
    pieces: usize,
) {
    let (m, n) = c.dim();
    assert_eq!((a.nrows(), b.ncols()), (m, n), "gemm: A {:?} · B {:?} does not make C {:?}", a.dim(), b.dim(), c.dim());
    let (rows, columns) = piece_size((m, n), pieces);
    let mut work = Vec::new();
    for (a, mut strip) in a.axis_chunks_iter(Axis(0), rows).zip(c.axis_chunks_iter_mut(Axis(0), rows)) {
        for b in b.axis_chunks_iter(Axis(1), columns) {
            let (c, rest) = strip.split_at(Axis(1), b.ncols());
            strip = rest;
            work.push((a, b, c));
        }
    }
    parallel::for_each(work, |(a, b, c)| gemm(alpha, a, b, beta, c));
}

/// Returns the rows and columns of one of `pieces` pieces of C (m, n). The longer side is cut first, and the other side only
/// if that does not give enough pieces. A side has at least 64 rows or columns (32 if more than eight pieces are wanted),
/// because each piece packs its parts of A and B again.
fn piece_size((m, n): (usize, usize), pieces: usize) -> (usize, usize) {
    let least = if pieces > 8 { 32 } else { 64 };
    let cut = |length: usize, pieces: usize| (length / pieces.max(1)).clamp(least, 512).next_multiple_of(8);
    if m >= n {
        let rows = cut(m, pieces);
        let strips = m.div_ceil(rows);
        (rows, if strips >= pieces { n.max(1) } else { cut(n, pieces.div_ceil(strips.max(1))) })
    } else {
        let (columns, rows) = piece_size((n, m), pieces);
        (rows, columns)
    }
}
