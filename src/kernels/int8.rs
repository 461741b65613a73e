//! The vectorized primitives on blocks of int8.

use super::formats::{INT8_NAN, Int8Block, Int8Pair, int8_scale};
use super::lanes::{Lanes, Simd};
use super::vector::{prefetch_line, sum_of_lanes};
use crate::mxfp4::SCALES;

// ANCHOR: quantize_int8
#[inline(always)]
pub fn quantize_int8<const N: usize, S: Simd<N>>(simd: S, x: &[f32], y: &mut [Int8Block]) {
    for (x, y) in x.as_chunks::<32>().0.iter().zip(y) {
        let x = x.as_chunks::<N>().0;
        let (mut largest, mut finite) = (simd.splat(0.0), simd.splat(0.0));
        for x in x {
            let x = simd.load(x);
            largest = largest.max(x).max(simd.splat(0.0).sub(x));
            finite = x.mul_add(simd.splat(0.0), finite); // 0, or NaN if any x is ∞ or NaN
        }
        if sum_of_lanes(finite) != 0.0 {
            *y = Int8Block { codes: [0; 32], scale: INT8_NAN };
            continue;
        }
        let mut lanes = [0.0; N];
        largest.store(&mut lanes);
        let (scale, inverse) = int8_scale(lanes.into_iter().fold(0.0, f32::max));
        *y = Int8Block { codes: [0; 32], scale };
        if y.scale() == 0.0 {
            continue;
        }
        let (step, half, one) = (simd.splat(-y.scale()), simd.splat(0.5 * y.scale()), simd.splat(1.0));
        for (x, y) in x.iter().zip(y.codes.as_chunks_mut::<N>().0) {
            // The rest says on which side of the middle between two integers x / scale is; see the scalar twin. The product is
            // exact, because a scale has 8 bits and a code at most 8. So the rest is rounded once, even by two instructions.
            let x = simd.load(x);
            let code = x.mul(simd.splat(inverse)).round();
            let rest = step.mul_add(code, x);
            let up = half.lt_or_zero(rest, one);
            let down = rest.lt_or_zero(simd.splat(0.0).sub(half), one);
            code.add(up).sub(down).store(&mut lanes);
            *y = lanes.map(|code| code as i8);
        }
    }
}
// ANCHOR_END: quantize_int8

// ANCHOR: dot_int8
#[inline(always)]
pub fn dot_int8_int8<const N: usize, S: Simd<N>>(simd: S, x: &[Int8Block], w: &[Int8Block]) -> f32 {
    let mut total = simd.splat(0.0);
    for (x, w) in x.iter().zip(w) {
        simd.prefetch_to_l2(w);
        total = simd.dot_int8(&w.codes, &x.codes).mul_add(simd.splat(x.scale() * w.scale()), total);
    }
    sum_of_lanes(total)
}

#[inline(always)]
pub fn dot_int8_mxfp4<const N: usize, S: Simd<N>>(simd: S, x: &[Int8Pair], codes: &[[u8; 16]], scales: &[u8]) -> f32 {
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

/// Adds the product of two blocks to `total`.
#[inline(always)]
fn add_pair<const N: usize, S: Simd<N>>(
    simd: S,
    x: &Int8Pair,
    codes: &[[u8; 16]; 2],
    scales: [u8; 2],
    total: S::Lanes,
) -> S::Lanes {
    let scale = simd.splat_pair(SCALES[usize::from(scales[0])], SCALES[usize::from(scales[1])]);
    simd.dot_e2m1_int8(codes, x).mul_add(scale.mul(simd.load(x.scales())), total)
}
// ANCHOR_END: dot_int8

#[inline(always)]
pub fn dot_int8<const N: usize, S: Simd<N>>(simd: S, x: &[f32], w: &[Int8Block]) -> f32 {
    let mut total = simd.splat(0.0);
    for (x, w) in x.as_chunks::<32>().0.iter().zip(w) {
        let mut sum = simd.splat(0.0);
        for (x, w) in x.as_chunks::<N>().0.iter().zip(w.codes.as_chunks::<N>().0) {
            sum = simd.load(x).mul_add(simd.load_int8(w), sum);
        }
        total = sum.mul_add(simd.splat(w.scale()), total);
    }
    sum_of_lanes(total)
}

#[inline(always)]
pub fn expand_int8<const N: usize, S: Simd<N>>(simd: S, w: &[Int8Block], y: &mut [f32]) {
    for (y, w) in y.as_chunks_mut::<32>().0.iter_mut().zip(w) {
        simd.prefetch(w);
        for (y, codes) in y.as_chunks_mut::<N>().0.iter_mut().zip(w.codes.as_chunks::<N>().0) {
            simd.load_int8(codes).mul(simd.splat(w.scale())).store(y);
        }
    }
}
