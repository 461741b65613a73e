//! Matrix multiplication: packing, and loops whose blocks fit the caches, around the tiles of `multiply_panel`.
//!
//! k and the columns of B are cut into blocks, and each block of B is packed into panels, because a tile reads it in the order
//! of k. A block of one panel fits the first cache, and a block of rows of A and the packed block of B fit the second one, so
//! each number that comes from memory is used many times. Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication", 2008, <https://doi.org/10.1145/1356052.1356053>.
//!
//! Each element of the result is summed over k in one fixed order, so the cut into pieces does not change any bit. A transposed
//! matrix is a view with its strides swapped. On the scalar instruction set, the crate `matrixmultiply` computes the product.

use super::memory::with_scratch;
use super::parallel;
use super::{Isa, isa, multiply_panel, pack_panel, panel_columns};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

/// Rows of A in a block, a multiple of the rows of every tile: 96 kB.
const ROWS: usize = 96;

/// Steps of k in a block: 32 kB of a panel with 32 columns.
pub(super) const DEPTH: usize = 256;

/// Columns of B in a block: 512 kB.
pub(super) const COLUMNS: usize = 512;

/// C ← α·A·B + β·C on the calling thread.  A (m, k), B (k, n), C (m, n). If β = 0, C is not read.
///
/// # Panics
/// If the shapes do not fit, or if neither the rows nor the columns of C are contiguous.
pub fn gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    let (m, n) = c.dim();
    assert_eq!(
        (a.nrows(), a.ncols(), n),
        (m, b.nrows(), b.ncols()),
        "gemm: A {:?} · B {:?} → C {:?}",
        a.dim(),
        b.dim(),
        (m, n)
    );
    if isa() == Isa::Scalar || a.ncols() == 0 || c.is_empty() {
        return general_mat_mul(alpha, &a, &b, beta, &mut c);
    }
    if n > 1 && c.strides()[1] != 1 {
        assert!(m == 1 || c.strides()[0] == 1, "gemm: neither rows nor columns of C are contiguous");
        return gemm(alpha, b.reversed_axes(), a.reversed_axes(), beta, c.reversed_axes());
    }
    if beta != 0.0 && beta != 1.0 {
        c.mapv_inplace(|c| beta * c);
    }
    let columns = panel_columns();
    for (b, mut c) in b.axis_chunks_iter(Axis(1), COLUMNS).zip(c.axis_chunks_iter_mut(Axis(1), COLUMNS)) {
        let depths = a.axis_chunks_iter(Axis(1), DEPTH).zip(b.axis_chunks_iter(Axis(0), DEPTH));
        for (i, (a, b)) in depths.enumerate() {
            let panel = b.nrows() * columns;
            with_scratch(b.ncols().div_ceil(columns) * panel, |packed| {
                for (b, panel) in b.axis_chunks_iter(Axis(1), columns).zip(packed.chunks_exact_mut(panel)) {
                    pack_panel(b, panel);
                }
                multiply_block(alpha, a, packed.chunks_exact(panel), beta != 0.0 || i > 0, c.view_mut());
            });
        }
    }
}

/// C ← α·A·B, or C ← C + α·A·B if `add`, for a block of B in panels, and the columns of A that belong to it.
pub(super) fn multiply_block<'a>(
    alpha: f32,
    a: ArrayView2<f32>,
    panels: impl Iterator<Item = &'a [f32]> + Clone,
    add: bool,
    mut c: ArrayViewMut2<f32>,
) {
    for (a, mut c) in a.axis_chunks_iter(Axis(0), ROWS).zip(c.axis_chunks_iter_mut(Axis(0), ROWS)) {
        let copy = copy_if_far_apart(a);
        let a = copy.as_ref().map_or(a, |copy| copy.view());
        for (panel, c) in panels.clone().zip(c.axis_chunks_iter_mut(Axis(1), panel_columns())) {
            multiply_panel(alpha, a, panel, add, c);
        }
    }
}

/// Copies a block of A if the numbers that a tile reads together lie in lines of the cache that replace one another: those of
/// a transposed matrix with long rows, and rows that are a multiple of 4 KiB apart.
fn copy_if_far_apart(a: ArrayView2<f32>) -> Option<Array2<f32>> {
    let transposed = a.strides()[1] != 1;
    let far_apart = if transposed { a.strides()[1] > ROWS as isize } else { a.strides()[0] % 1024 == 0 };
    if !far_apart {
        return None;
    }
    let a = if transposed { a.reversed_axes() } else { a };
    let mut numbers = Vec::with_capacity(a.len());
    for row in a.rows() {
        match row.as_slice() {
            Some(row) => numbers.extend_from_slice(row),
            None => numbers.extend(row),
        }
    }
    let copy = Array2::from_shape_vec(a.dim(), numbers).expect("all rows were copied");
    Some(if transposed { copy.reversed_axes() } else { copy })
}

/// Computes the same as [`gemm`] in about `pieces` pieces on all threads. The number does not change any bit.
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
