//! One query on a block of keys and values, for decoding: the G query heads that share a key/value head, all at once.
//!
//! Each is a matrix product of a few rows, too few to pay for packing the other side. So keys are read where they lie,
//! once for four heads, in the twelve sums of [`dots`]; values four at a time, so that an output is loaded and stored
//! once for four. A key serves too many operations for the processor to see the next ones coming: they are asked for a
//! page ahead.

use super::Lanes;
use super::vector::{axpy, dots, whole};

/// Whether rows of `dim` numbers, few and many, and a number for each pair of them belong together.
pub fn fit(dim: usize, few: usize, many: usize, pairs: usize) -> bool {
    few.is_multiple_of(dim) && many.is_multiple_of(dim) && pairs == (few / dim) * (many / dim)
}

// ANCHOR: head_scores
#[inline(always)]
pub fn head_scores<V: Lanes>(q: &[f32], k: &[f32], dim: usize, s: &mut [f32]) {
    let (heads, keys) = (q.len() / dim, k.len() / dim);
    for t in (0..keys).step_by(3) {
        // Behind the last comes the last once more: it is not worth a loop of its own.
        let mut three: [&[f32]; 3] = [&[]; 3];
        for (j, row) in three.iter_mut().enumerate() {
            *row = &k[(t + j).min(keys - 1) * dim..][..dim];
            ask_ahead::<V>(row);
        }
        for h in (0..heads).step_by(4) {
            let mut four: [&[f32]; 4] = [&[]; 4];
            for (i, row) in four.iter_mut().enumerate() {
                *row = &q[(h + i).min(heads - 1) * dim..][..dim];
            }
            let products = dots::<V>(four, three);
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
pub fn head_values<V: Lanes>(p: &[f32], v: &[f32], dim: usize, o: &mut [f32]) {
    let keys = v.len() / dim;
    for (block, v) in v.chunks(4 * dim).enumerate() {
        ask_ahead::<V>(v);
        for (p, o) in p.chunks_exact(keys).zip(o.chunks_exact_mut(dim)) {
            let p = &p[4 * block..];
            match p.first_chunk() {
                Some(p) => add_four::<V>(p, v, o),
                None => {
                    for (p, v) in p.iter().zip(v.chunks_exact(dim)) {
                        axpy::<V>(*p, v, o);
                    }
                }
            }
        }
    }
}
// ANCHOR_END: head_values

/// y ← y + Σ αᵢ·xᵢ of the four rows of x.
#[inline(always)]
fn add_four<V: Lanes>(alpha: &[f32; 4], x: &[f32], y: &mut [f32]) {
    let (dim, groups) = (y.len(), y.len() / 8);
    let factors = alpha.map(V::splat);
    let (a, b) = (whole(&x[..dim], groups), whole(&x[dim..2 * dim], groups));
    let (c, d) = (whole(&x[2 * dim..3 * dim], groups), whole(&x[3 * dim..4 * dim], groups));
    for (i, y) in y.as_chunks_mut().0[..groups].iter_mut().enumerate() {
        let sum = factors[0].mul_add(V::load(&a[i]), V::load(y));
        let sum = factors[1].mul_add(V::load(&b[i]), sum);
        let sum = factors[2].mul_add(V::load(&c[i]), sum);
        factors[3].mul_add(V::load(&d[i]), sum).store(y);
    }
    for i in 8 * groups..dim {
        for (row, alpha) in alpha.iter().enumerate() {
            y[i] += alpha * x[row * dim + i];
        }
    }
}

/// A line of the cache holds 16 numbers.
#[inline(always)]
fn ask_ahead<V: Lanes>(x: &[f32]) {
    for line in x.iter().step_by(16) {
        V::prefetch(line);
    }
}
