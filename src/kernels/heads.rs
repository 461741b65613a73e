//! The attention of one query position to a block of keys and values, for decoding. It computes the G query heads that
//! share a key/value head together. The function for values also multiplies a row by a matrix that has a row per input.
//!
//! These functions are matrix products with only a few rows on one side, too few to pay for packing the other side. So
//! keys are read in place, once for four heads, with the twelve sums of [`dots`]. Values are read four at a time, so
//! that an output is loaded and stored once for four values. Both are prefetched 4 KiB ahead, because the hardware
//! prefetcher stops at a page border.

use super::lanes::{Lanes, Simd};
use super::vector::{axpy, dots, whole};

/// Returns whether the lengths fit: `few` and `many` numbers in rows of `dim`, and one number for each pair of rows.
pub fn fit(dim: usize, few: usize, many: usize, pairs: usize) -> bool {
    few.is_multiple_of(dim) && many.is_multiple_of(dim) && pairs == (few / dim) * (many / dim)
}

// ANCHOR: head_scores
#[inline(always)]
pub fn head_scores<const N: usize, S: Simd<N>>(simd: S, q: &[f32], k: &[f32], dim: usize, s: &mut [f32]) {
    let (heads, keys) = (q.len() / dim, k.len() / dim);
    for t in (0..keys).step_by(3) {
        // The last three keys may overlap the end: then the last key is computed again, which is simpler than a tail.
        let mut three: [&[f32]; 3] = [&[]; 3];
        for (j, row) in three.iter_mut().enumerate() {
            *row = &k[(t + j).min(keys - 1) * dim..][..dim];
            prefetch(simd, row);
        }
        for h in (0..heads).step_by(4) {
            let mut four: [&[f32]; 4] = [&[]; 4];
            for (i, row) in four.iter_mut().enumerate() {
                *row = &q[(h + i).min(heads - 1) * dim..][..dim];
            }
            let products = dots(simd, four, three);
            for (products, s) in products.iter().zip(s[h * keys..].chunks_exact_mut(keys)) {
                for (s, product) in s[t..].iter_mut().zip(products) {
                    *s = *product;
                }
            }
        }
    }
}
// ANCHOR_END: head_scores

// ANCHOR: head_values
#[inline(always)]
pub fn head_values<const N: usize, S: Simd<N>>(simd: S, p: &[f32], v: &[f32], dim: usize, o: &mut [f32]) {
    let keys = v.len() / dim;
    for (block, v) in v.chunks(4 * dim).enumerate() {
        prefetch(simd, v);
        for (p, o) in p.chunks_exact(keys).zip(o.chunks_exact_mut(dim)) {
            let p = &p[4 * block..];
            match p.first_chunk() {
                Some(p) => add_four(simd, p, v, dim, o),
                None => add_each(simd, p, v, dim, o),
            }
        }
    }
}
// ANCHOR_END: head_values

#[inline(always)]
pub fn add_rows<const N: usize, S: Simd<N>>(simd: S, x: &[f32], w: &[f32], stride: usize, y: &mut [f32]) {
    let (x, rest) = x.as_chunks();
    for (x, w) in x.iter().zip(w.chunks(4 * stride)) {
        add_four(simd, x, w, stride, y);
    }
    if !rest.is_empty() {
        add_each(simd, rest, &w[4 * x.len() * stride..], stride, y);
    }
}

/// y ← y + Σ αᵢ·xᵢ over a few rows xᵢ, one after the other. The rows are `stride` numbers apart in x.
#[inline(always)]
fn add_each<const N: usize, S: Simd<N>>(simd: S, alpha: &[f32], x: &[f32], stride: usize, y: &mut [f32]) {
    for (alpha, x) in alpha.iter().zip(x.chunks(stride)) {
        axpy(simd, *alpha, &x[..y.len()], y);
    }
}

/// y ← y + Σ αᵢ·xᵢ over four rows xᵢ at once. The rows are `stride` numbers apart in x.
#[inline(always)]
fn add_four<const N: usize, S: Simd<N>>(simd: S, alpha: &[f32; 4], x: &[f32], stride: usize, y: &mut [f32]) {
    let (dim, groups) = (y.len(), y.len() / N);
    let factors = alpha.map(|alpha| simd.splat(alpha));
    let (a, b) = (whole(x, groups), whole(&x[stride..], groups));
    let (c, d) = (whole(&x[2 * stride..], groups), whole(&x[3 * stride..], groups));
    for (i, y) in y.as_chunks_mut().0[..groups].iter_mut().enumerate() {
        let sum = factors[0].mul_add(simd.load(&a[i]), simd.load(y));
        let sum = factors[1].mul_add(simd.load(&b[i]), sum);
        let sum = factors[2].mul_add(simd.load(&c[i]), sum);
        factors[3].mul_add(simd.load(&d[i]), sum).store(y);
    }
    for i in N * groups..dim {
        for (row, alpha) in alpha.iter().enumerate() {
            y[i] += alpha * x[row * stride + i];
        }
    }
}

/// Prefetches 4 KiB after each cache line of x, which holds 16 numbers.
#[inline(always)]
fn prefetch<const N: usize, S: Simd<N>>(simd: S, x: &[f32]) {
    for line in x.iter().step_by(16) {
        simd.prefetch(line);
    }
}
