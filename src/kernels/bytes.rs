//! The inner loops of a matrix product of int8 and bytes: a few rows of a layer's input times a panel of weights.
//!
//! As in a panel of f32, a row fills two registers, and a tile of sums stays in registers. But a lane takes four steps of k at a
//! time: its 32 bits are four bytes, and `add_four_products` multiplies them by four codes of x and adds the products. These
//! bytes have no sign, so a panel holds weights plus a constant c, and Σ w·x = Σ (w + c)·x − c·Σx. After a block of 32 numbers,
//! the sums are converted to f32 and multiplied by both scales.

use super::formats::{Int8Block, Int8Input};
use super::lanes::{Lanes, Simd};
use super::panel_columns;
use super::tile::store;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

/// A block of a panel: 32 steps of k in eight groups of four. A group fills two registers, and each lane holds four bytes of
/// one row of weights.
type Block<const N: usize> = [[[[u8; 4]; N]; 2]; 8];

/// Σₖ xᵢₖ·wₖⱼ for M rows of x and a panel.
#[inline(always)]
fn tile<const M: usize, const N: usize, S: Simd<N>>(
    simd: S,
    x: [&[Int8Input]; M],
    panel: &[Block<N>],
    scales: &[[[f32; N]; 2]],
) -> [[S::Lanes; 2]; M] {
    let mut sums = [[simd.splat(0.0); 2]; M];
    for (k, (bytes, scales)) in panel.iter().zip(scales).enumerate() {
        let mut products = [[simd.splat_integer(0); 2]; M];
        for (x, products) in x.iter().zip(&mut products) {
            *products = [simd.splat_integer(x[k].offset); 2];
        }
        for (four, bytes) in bytes.iter().enumerate() {
            for (x, products) in x.iter().zip(&mut products) {
                for (w, product) in bytes.iter().zip(products) {
                    *product = simd.add_four_products(*product, w, x[k].codes[four]);
                }
            }
        }
        for ((x, products), sums) in x.iter().zip(&products).zip(&mut sums) {
            let scale = simd.splat(x[k].scale);
            for ((product, w), sum) in products.iter().zip(scales).zip(sums) {
                *sum = simd.to_lanes(*product).mul_add(scale.mul(simd.load(w)), *sum);
            }
        }
    }
    sums
}

/// Adds to Y in tiles of M rows. The last tile ends with the last row: rows that another tile has computed are left out.
#[inline(always)]
fn tiles<const M: usize, const N: usize, S: Simd<N>>(
    simd: S,
    x: ArrayView2<Int8Input>,
    panel: &[Block<N>],
    scales: &[[[f32; N]; 2]],
    mut y: ArrayViewMut2<f32>,
) {
    for top in (0..y.nrows()).step_by(M) {
        let first = top.min(y.nrows() - M);
        let rows = std::array::from_fn(|i| row(x, first + i));
        let sums = tile::<M, N, S>(simd, rows, panel, scales);
        for (i, sums) in sums.into_iter().enumerate().skip(top - first) {
            let mut y = y.row_mut(first + i);
            store(simd, sums, true, y.as_slice_mut().expect("multiply_bytes checked the strides"));
        }
    }
}

#[inline(always)]
fn row(x: ArrayView2<'_, Int8Input>, i: usize) -> &[Int8Input] {
    x.index_axis_move(Axis(0), i).to_slice().expect("multiply_bytes checked the strides")
}

#[inline(always)]
pub fn multiply_bytes<const N: usize, S: Simd<N>>(
    simd: S,
    x: ArrayView2<Int8Input>,
    panel: &[[u8; 4]],
    scales: &[f32],
    y: ArrayViewMut2<f32>,
) {
    let panel = panel.as_chunks().0.as_chunks().0.as_chunks().0;
    let scales = scales.as_chunks().0.as_chunks().0;
    match y.nrows() {
        rows if S::TILE_ROWS >= 12 && rows >= 6 => tiles::<6, N, S>(simd, x, panel, scales, y),
        rows if rows >= 3 => tiles::<3, N, S>(simd, x, panel, scales, y),
        _ => tiles::<1, N, S>(simd, x, panel, scales, y),
    }
}

/// Prefetches the rows of a panel one after the other, because they are read side by side, which the hardware prefetcher does
/// not foresee. `prefetch` fetches the memory 4 KiB further on, so the first 4 KiB of a panel are fetched with the panel before.
#[inline(always)]
fn prefetch_all<T, const N: usize, S: Simd<N>>(simd: S, rows: &[T]) {
    rows.iter().step_by((64 / size_of::<T>()).max(1)).for_each(|line| simd.prefetch(line));
}

#[inline(always)]
pub fn pack_mxfp4<const N: usize, S: Simd<N>>(simd: S, codes: &[[u8; 16]], blocks: usize, panel: &mut [[u8; 4]]) {
    prefetch_all(simd, codes);
    let last = codes.len() / blocks - 1;
    let panel: &mut [Block<N>] = panel.as_chunks_mut().0.as_chunks_mut().0.as_chunks_mut().0;
    for (block, panel) in panel.iter_mut().enumerate() {
        for half in 0..2 {
            let rows = std::array::from_fn(|i| &codes[(half * N + i).min(last) * blocks + block]);
            for (four, codes) in simd.transpose_fours(rows).iter().enumerate() {
                [panel[four][half], panel[four + 4][half]] = simd.e2m1_to_bytes(codes);
            }
        }
    }
}

#[inline(always)]
pub fn pack_int8<const N: usize, S: Simd<N>>(simd: S, w: &[Int8Block], blocks: usize, panel: &mut [[u8; 4]]) {
    prefetch_all(simd, w);
    let last = w.len() / blocks - 1;
    let panel: &mut [Block<N>] = panel.as_chunks_mut().0.as_chunks_mut().0.as_chunks_mut().0;
    for (block, panel) in panel.iter_mut().enumerate() {
        for half in 0..2 {
            for part in 0..2 {
                let rows = std::array::from_fn(|i| {
                    &w[(half * N + i).min(last) * blocks + block].codes.as_chunks::<16>().0[part]
                });
                for (four, codes) in simd.transpose_fours(rows).iter().enumerate() {
                    let bytes = &mut panel[4 * part + four][half];
                    *bytes = *codes;
                    bytes.as_flattened_mut().iter_mut().for_each(|byte| *byte ^= 0x80); // adds 128
                }
            }
        }
    }
}

/// Returns whether a panel has room for whole rows of blocks.
pub(super) fn panel_fits(all: usize, blocks: usize, panel: usize) -> bool {
    blocks > 0
        && all.is_multiple_of(blocks)
        && (1..=panel_columns()).contains(&(all / blocks))
        && panel == 8 * blocks * panel_columns()
}

/// Returns whether the operands of a product belong together.
pub(super) fn operands_fit(x: ArrayView2<Int8Input>, panel: usize, scales: usize, y: &ArrayViewMut2<f32>) -> bool {
    let rows_are_contiguous = y.is_empty() || x.strides()[1] == 1 && (y.ncols() < 2 || y.strides()[1] == 1);
    x.nrows() == y.nrows()
        && y.ncols() <= panel_columns()
        && scales == x.ncols() * panel_columns()
        && panel == 8 * scales
        && rows_are_contiguous
}
