//! The vectorized primitives whose weights are bf16 or MXFP4. The weights are widened N at a time, in registers only.

use super::formats::Bf16;
use super::lanes::{Lanes, Simd};
use super::vector::{accumulate, pad, prefetch_line, sum_of_lanes, update};
use crate::mxfp4::SCALES;

#[inline(always)]
pub fn dot_bf16<const N: usize, S: Simd<N>>(simd: S, x: &[f32], w: &[Bf16]) -> f32 {
    let ((x, x_tail), (w, w_tail)) = (x.as_chunks::<N>(), w.as_chunks::<N>());
    let whole = accumulate(simd, x.len(), |i, acc| {
        prefetch_line(simd, w, i);
        simd.load(&x[i]).mul_add(simd.load_bf16(&w[i]), acc)
    });
    let tail = simd.load(&pad(x_tail, 0.0)).mul(simd.load_bf16(&pad(w_tail, [0; 2])));
    sum_of_lanes(whole.add(tail))
}

#[inline(always)]
pub fn expand_bf16<const N: usize, S: Simd<N>>(simd: S, w: &[Bf16], y: &mut [f32]) {
    let (w, tail) = w.as_chunks::<N>();
    let whole = |i: usize, _| {
        prefetch_line(simd, w, i);
        simd.load_bf16(&w[i])
    };
    update(simd, y, whole, |_| simd.load_bf16(&pad(tail, [0; 2])));
}

#[inline(always)]
pub fn arrange_mxfp4<const N: usize, S: Simd<N>>(_: S, x: &[f32], y: &mut [f32]) {
    for (pair, y) in y.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let x = pad::<f32, 64>(&x[64 * pair..x.len().min(64 * pair + 64)], 0.0);
        for (i, &element) in S::PAIR_ORDER.iter().enumerate() {
            let first = i / 4 * 8 + i % 4;
            y[first] = x[usize::from(element)];
            y[first + 4] = x[usize::from(element) + 32];
        }
    }
}

#[inline(always)]
pub fn dot_mxfp4<const N: usize, S: Simd<N>>(simd: S, x: &[f32], codes: &[[u8; 16]], scales: &[u8]) -> f32 {
    let (x, _) = x.as_chunks::<64>();
    let ((pairs, last), (pairs_of_scales, last_scale)) = (codes.as_chunks::<2>(), scales.as_chunks::<2>());
    scales.iter().step_by(64).for_each(|line| simd.prefetch_to_l2(line));
    let mut total = simd.splat(0.0);
    for (i, ((x, codes), &scales)) in x.iter().zip(pairs).zip(pairs_of_scales).enumerate() {
        prefetch_line(simd, pairs, i);
        total = add_pair(simd, x, codes, scales, total);
    }
    if let ([codes], [scale]) = (last, last_scale) {
        total = add_pair(simd, &x[pairs.len()], &[*codes, [0; 16]], [*scale, 0], total);
    }
    sum_of_lanes(total)
}

// ANCHOR: dot_mxfp4
/// Adds the product of two blocks to `total`.
#[inline(always)]
fn add_pair<const N: usize, S: Simd<N>>(
    simd: S,
    x: &[f32; 64],
    codes: &[[u8; 16]; 2],
    scales: [u8; 2],
    total: S::Lanes,
) -> S::Lanes {
    let ((x, _), w) = (x.as_chunks::<N>(), simd.load_e2m1_pair(codes));
    let mut sums = [simd.splat(0.0); 2];
    for (i, (x, &w)) in x.iter().zip(w.as_ref()).enumerate() {
        sums[i % 2] = simd.load(x).mul_add(w, sums[i % 2]);
    }
    let scale = simd.splat_pair(SCALES[usize::from(scales[0])], SCALES[usize::from(scales[1])]);
    sums[0].add(sums[1]).mul_add(scale, total)
}
// ANCHOR_END: dot_mxfp4

#[inline(always)]
pub fn expand_mxfp4<const N: usize, S: Simd<N>>(simd: S, codes: &[[u8; 16]], scales: &[u8], y: &mut [f32]) {
    let (y, _) = y.as_chunks_mut::<32>();
    for ((y, codes), &byte) in y.iter_mut().zip(codes).zip(scales) {
        let factor = simd.splat(SCALES[usize::from(byte)]);
        for (y, w) in y.as_chunks_mut::<N>().0.iter_mut().zip(simd.load_e2m1(codes).as_ref()) {
            w.mul(factor).store(y);
        }
    }
}
