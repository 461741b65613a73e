//! The softmax of attention in tiles. Each column is a query and each row is a key. A lane of a register holds a number of one
//! query, so the maximum and the sum of a query are computed in its lane. No maximum or sum over the lanes is needed.

use super::lanes::{Lanes, Simd};
use super::vector::exp;

/// Returns the rows of a panel, each of which fills two registers.
#[inline(always)]
fn rows<const N: usize>(x: &[f32]) -> &[[[f32; N]; 2]] {
    x.as_chunks().0.as_chunks().0
}

#[inline(always)]
fn rows_mut<const N: usize>(x: &mut [f32]) -> &mut [[[f32; N]; 2]] {
    x.as_chunks_mut().0.as_chunks_mut().0
}

// ANCHOR: online_softmax
#[inline(always)]
pub fn online_softmax<const N: usize, S: Simd<N>>(simd: S, s: &mut [f32], m: &mut [f32], l: &mut [f32], o: &mut [f32]) {
    for half in 0..2 {
        let m = &mut rows_mut::<N>(m)[0][half];
        let l = &mut rows_mut::<N>(l)[0][half];
        let old = simd.load(m);
        let mut new = old;
        for s in rows(s) {
            new = simd.load(&s[half]).max(new);
        }
        new.store(m);
        // The smallest number takes the place of −∞, because −∞ − (−∞) would be NaN.
        let shift = new.max(simd.splat(f32::MIN));
        let mut sum = simd.splat(0.0);
        for s in rows_mut(s) {
            let p = exp(simd, simd.load(&s[half]).sub(shift));
            p.store(&mut s[half]);
            sum = sum.add(p);
        }
        let shrink = exp(simd, old.sub(shift));
        simd.load(l).mul_add(shrink, sum).store(l);
        for o in rows_mut(o) {
            simd.load(&o[half]).mul(shrink).store(&mut o[half]);
        }
    }
}
// ANCHOR_END: online_softmax

#[inline(always)]
pub fn online_softmax_backward<const N: usize, S: Simd<N>>(
    simd: S,
    p: &mut [f32],
    dp: &mut [f32],
    lse: &[f32],
    delta: &[f32],
    scale: f32,
) {
    let scale = simd.splat(scale);
    for half in 0..2 {
        let (lse, delta) = (simd.load(&rows(lse)[0][half]), simd.load(&rows(delta)[0][half]));
        for (p, dp) in rows_mut(p).iter_mut().zip(rows_mut(dp)) {
            let probability = exp(simd, simd.load(&p[half]).sub(lse));
            probability.store(&mut p[half]);
            simd.load(&dp[half]).sub(delta).mul(probability).mul(scale).store(&mut dp[half]);
        }
    }
}
