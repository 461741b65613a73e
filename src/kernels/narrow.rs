//! The primitives of `vector` whose weights are bf16 or MXFP4: widened eight at a time, in registers only.

use super::Bf16;
use super::lanes::Lanes;
use super::vector::{accumulate, pad, sum_of_lanes, update};
use crate::mxfp4::SCALES;

#[inline(always)]
pub fn dot_bf16<V: Lanes>(x: &[f32], w: &[Bf16]) -> f32 {
    let ((x, x_tail), (w, w_tail)) = (x.as_chunks::<8>(), w.as_chunks::<8>());
    let whole = accumulate(x.len(), |i, acc| V::load(&x[i]).mul_add(V::load_bf16(&w[i]), acc));
    let tail = V::load(&pad(x_tail, 0.0)).mul(V::load_bf16(&pad(w_tail, [0; 2])));
    sum_of_lanes(whole.add(tail))
}

#[inline(always)]
pub fn axpy_bf16<V: Lanes>(alpha: f32, w: &[Bf16], y: &mut [f32]) {
    let alpha = V::splat(alpha);
    let (w, tail) = w.as_chunks::<8>();
    update(y, |i, y| V::load_bf16(&w[i]).mul_add(alpha, y), |y| V::load_bf16(&pad(tail, [0; 2])).mul_add(alpha, y));
}

#[inline(always)]
pub fn expand_bf16<V: Lanes>(w: &[Bf16], y: &mut [f32]) {
    let (w, tail) = w.as_chunks::<8>();
    update(y, |i, _| V::load_bf16(&w[i]), |_| V::load_bf16(&pad(tail, [0; 2])));
}

// ANCHOR: dot_mxfp4
#[inline(always)]
pub fn dot_mxfp4<V: Lanes>(x: &[f32], codes: &[[u8; 16]], scales: &[u8]) -> f32 {
    let (x, _) = x.as_chunks::<32>();
    let mut total = V::splat(0.0);
    for ((x, codes), &byte) in x.iter().zip(codes).zip(scales) {
        let ((x, _), w) = (x.as_chunks::<8>(), V::load_e2m1(codes));
        let first = V::load(&x[2]).mul_add(w[2], V::load(&x[0]).mul(w[0]));
        let second = V::load(&x[3]).mul_add(w[3], V::load(&x[1]).mul(w[1]));
        total = first.add(second).mul_add(V::splat(SCALES[usize::from(byte)]), total);
    }
    sum_of_lanes(total)
}
// ANCHOR_END: dot_mxfp4

#[inline(always)]
pub fn axpy_mxfp4<V: Lanes>(alpha: f32, codes: &[[u8; 16]], scales: &[u8], y: &mut [f32]) {
    let (y, _) = y.as_chunks_mut::<32>();
    for ((y, codes), &byte) in y.iter_mut().zip(codes).zip(scales) {
        let factor = V::splat(alpha * SCALES[usize::from(byte)]);
        for (y, w) in y.as_chunks_mut::<8>().0.iter_mut().zip(V::load_e2m1(codes)) {
            w.mul_add(factor, V::load(y)).store(y);
        }
    }
}

#[inline(always)]
pub fn expand_mxfp4<V: Lanes>(codes: &[[u8; 16]], scales: &[u8], y: &mut [f32]) {
    let (y, _) = y.as_chunks_mut::<32>();
    for ((y, codes), &byte) in y.iter_mut().zip(codes).zip(scales) {
        let factor = V::splat(SCALES[usize::from(byte)]);
        for (y, w) in y.as_chunks_mut::<8>().0.iter_mut().zip(V::load_e2m1(codes)) {
            w.mul(factor).store(y);
        }
    }
}
