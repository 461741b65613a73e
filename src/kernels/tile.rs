//! The inner loops of a matrix product C = A·B: a few rows of A times a *panel* of B.
//!
//! A panel has 2N columns, so that a row of it fills two registers. It is packed: its rows follow one another in memory, and
//! columns that B does not have are zeros. A tile of C stays in registers while k runs over the rows of the panel. For each k,
//! it takes two loads of the panel and one number of each row of A, and each number is used for a whole row or column of the
//! tile. Every number of C is a single chain of multiply-adds in the order of k, so it is the same for every width of
//! registers.

use super::lanes::{Lanes, Simd};
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

// ANCHOR: tile
/// Σₖ aᵢₖ·bₖⱼ for M rows of `a` from `first` on, and the columns of a panel that are in its first R registers, 1 or 2.
#[inline(always)]
fn tile<const M: usize, const R: usize, const N: usize, S: Simd<N>>(
    simd: S,
    a: ArrayView2<f32>,
    first: usize,
    panel: &[[[f32; N]; 2]],
) -> [[S::Lanes; R]; M] {
    assert!(first + M <= a.nrows() && panel.len() <= a.ncols(), "a tile of A {:?}", a.dim());
    let mut sums = [[simd.splat(0.0); R]; M];
    for (k, b) in panel.iter().enumerate() {
        let b: [S::Lanes; R] = std::array::from_fn(|r| simd.load(&b[r]));
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the assertion above says that A has row first + i and column k.
            let a = simd.splat(unsafe { *a.uget((first + i, k)) });
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = a.mul_add(b, *sum);
            }
        }
    }
    sums
}
// ANCHOR_END: tile

/// Computes C in tiles of M rows. The last tile ends with the last row: rows that another tile has computed are left out.
#[inline(always)]
fn tiles<const M: usize, const R: usize, const N: usize, S: Simd<N>>(
    simd: S,
    alpha: f32,
    a: ArrayView2<f32>,
    panel: &[[[f32; N]; 2]],
    add: bool,
    mut c: ArrayViewMut2<f32>,
) {
    let alpha = simd.splat(alpha);
    let (width, stride, first_of_c) = (c.ncols(), c.strides()[0], c.as_mut_ptr());
    for top in (0..c.nrows()).step_by(M) {
        let first = top.min(c.nrows() - M);
        let sums = tile::<M, R, N, S>(simd, a, first, panel);
        for (i, sums) in sums.into_iter().enumerate().skip(top - first) {
            let products = sums.map(|sum| sum.mul(alpha));
            // SAFETY: this is row first + i of C, `width` neighbouring numbers: first + M is at most the number of rows, the
            // check of `multiply_panel` says that columns are contiguous, and C is borrowed mutably for as long as the slice.
            let row = unsafe {
                let start = first_of_c.offset((first + i) as isize * stride);
                std::slice::from_raw_parts_mut(start, width)
            };
            store(simd, products, add, row);
        }
    }
}

/// Writes a row of a tile to a row of C, or adds it.
#[inline(always)]
pub(super) fn store<const R: usize, const N: usize, S: Simd<N>>(
    simd: S,
    products: [S::Lanes; R],
    add: bool,
    row: &mut [f32],
) {
    if row.len() == R * N {
        for (product, c) in products.into_iter().zip(row.as_chunks_mut().0) {
            if add { simd.load(c).add(product).store(c) } else { product.store(c) }
        }
    } else {
        let mut buffer = [[0.0; N]; R];
        products.into_iter().zip(&mut buffer).for_each(|(product, numbers)| product.store(numbers));
        for (c, product) in row.iter_mut().zip(buffer.as_flattened()) {
            *c = if add { *c + product } else { *product };
        }
    }
}

#[inline(always)]
pub fn multiply_panel<const N: usize, S: Simd<N>>(
    simd: S,
    alpha: f32,
    a: ArrayView2<f32>,
    panel: &[f32],
    add: bool,
    c: ArrayViewMut2<f32>,
) {
    let panel = panel.as_chunks::<N>().0.as_chunks::<2>().0;
    if c.ncols() <= N {
        registers::<1, N, S>(simd, alpha, a, panel, add, c);
    } else {
        registers::<2, N, S>(simd, alpha, a, panel, add, c);
    }
}

/// Computes C with the first R registers of each row of the panel, in tiles that are no higher than C.
#[inline(always)]
fn registers<const R: usize, const N: usize, S: Simd<N>>(
    simd: S,
    alpha: f32,
    a: ArrayView2<f32>,
    panel: &[[[f32; N]; 2]],
    add: bool,
    c: ArrayViewMut2<f32>,
) {
    match c.nrows() {
        rows if S::TILE_ROWS >= 12 && rows >= 12 => tiles::<12, R, N, S>(simd, alpha, a, panel, add, c),
        rows if rows >= 6 => tiles::<6, R, N, S>(simd, alpha, a, panel, add, c),
        rows if rows >= 3 => tiles::<3, R, N, S>(simd, alpha, a, panel, add, c),
        _ => tiles::<1, R, N, S>(simd, alpha, a, panel, add, c),
    }
}

#[inline(always)]
pub fn pack_panel<const N: usize, S: Simd<N>>(simd: S, b: ArrayView2<f32>, panel: &mut [f32]) {
    let panel = panel.as_chunks_mut::<N>().0.as_chunks_mut::<2>().0;
    let is_whole = b.ncols() == 2 * N;
    if is_whole && b.strides()[0] == 1 {
        for half in 0..2 {
            pack_transposed(simd, b, half, panel);
        }
        return;
    }
    for (b, panel) in b.rows().into_iter().zip(panel) {
        match b.as_slice() {
            Some(b) if is_whole => {
                for (b, panel) in b.as_chunks().0.iter().zip(panel) {
                    simd.load(b).store(panel);
                }
            }
            _ => {
                let panel = panel.as_flattened_mut();
                panel.iter_mut().zip(b).for_each(|(panel, b)| *panel = *b);
                panel[b.len()..].fill(0.0);
            }
        }
    }
}

/// Packs N columns of B, each contiguous, as one half of the rows of a panel.
#[inline(always)]
fn pack_transposed<const N: usize, S: Simd<N>>(simd: S, b: ArrayView2<f32>, half: usize, panel: &mut [[[f32; N]; 2]]) {
    let mut columns: [&[f32]; N] = [&[]; N];
    for (j, column) in columns.iter_mut().enumerate() {
        *column = b.index_axis_move(Axis(1), half * N + j).to_slice().expect("pack_panel checked the strides");
    }
    let (squares, rest) = panel.as_chunks_mut::<N>();
    let whole = N * squares.len();
    for (square, rows) in squares.iter_mut().enumerate() {
        let mut registers = [simd.splat(0.0); N];
        for (register, column) in registers.iter_mut().zip(&columns) {
            *register = simd.load(&column.as_chunks().0[square]);
        }
        transpose(&mut registers);
        for (row, numbers) in rows.iter_mut().zip(&registers) {
            numbers.store(&mut row[half]);
        }
    }
    for (k, row) in rest.iter_mut().enumerate() {
        for (number, column) in row[half].iter_mut().zip(&columns) {
            *number = column[whole + k];
        }
    }
}

/// Transposes N registers of N numbers. A number is found by the bits of its register and of its lane; each round moves one
/// bit from one to the other, because it interleaves register i with register i + N/2.
#[inline(always)]
fn transpose<const N: usize, V: Lanes<N>>(rows: &mut [V; N]) {
    for _ in 0..N.ilog2() {
        let before = *rows;
        for i in 0..N / 2 {
            (rows[2 * i], rows[2 * i + 1]) = before[i].interleave(before[i + N / 2]);
        }
    }
}
