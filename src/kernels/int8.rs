//! Blocks of 32 whole numbers of eight bits with one scale, and their products.
//!
//! Whole numbers are multiplied and added exactly and many at a time: 32 products and 16 sums are one instruction. What
//! is lost is lost before, when a number becomes `round(x / scale)`: at most half a step, 1/254 of its block's largest.
//! The scale is a bf16, so a block takes 34 bytes, 8.5 bits a number. llama.cpp's Q8_0 is the same with an f16.

use super::Bf16;
use super::lanes::Lanes;
use super::scalar::bf16;
use super::vector::sum_of_lanes;
use crate::mxfp4::SCALES;

/// 32 numbers: codes times scale. The codes are −127 to 127.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int8Block {
    /// One whole number each.
    pub codes: [i8; 32],
    /// 0 where all numbers are; NaN where one of them is not finite.
    pub scale: Bf16,
}

impl Int8Block {
    /// 32 zeros.
    pub const ZERO: Self = Self { codes: [0; 32], scale: [0; 2] };

    /// The scale as `f32`.
    #[inline(always)]
    pub fn scale(&self) -> f32 {
        bf16(self.scale)
    }
}

/// Two blocks as the product with MXFP4 wants them. A byte of MXFP4 holds an even and an odd number, so they stand apart.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(32))]
pub struct Int8Pair {
    /// The 16 even codes of the first block, those of the second; the odd ones of the first, of the second.
    pub codes: [i8; 64],
    /// A quarter of 12·Σx of the first block four times, then of the second: what [`Lanes::dot_e2m1_int8`] takes off.
    pub offsets: [i32; 8],
    /// Half of the first block's scale four times, then of the second's. Half, since E2M1 is multiplied as twice its value.
    pub scales: [f32; 8],
}

impl Int8Pair {
    /// Two blocks.
    pub fn new(blocks: [&Int8Block; 2]) -> Self {
        let mut pair = Self { codes: [0; 64], offsets: [0; 8], scales: [0.0; 8] };
        for (i, block) in blocks.into_iter().enumerate() {
            for (j, codes) in block.codes.as_chunks::<2>().0.iter().enumerate() {
                pair.codes[16 * i + j] = codes[0];
                pair.codes[16 * i + j + 32] = codes[1];
            }
            let sum: i32 = block.codes.iter().map(|&code| i32::from(code)).sum();
            pair.offsets[4 * i..][..4].fill(3 * sum);
            pair.scales[4 * i..][..4].fill(0.5 * block.scale());
        }
        pair
    }

    /// A whole row, with zeros where the last pair has one block only.
    pub fn of_row(blocks: &[Int8Block]) -> Vec<Self> {
        blocks.chunks(2).map(|two| Self::new([&two[0], two.get(1).unwrap_or(&Int8Block::ZERO)])).collect()
    }
}

/// The smallest bf16 that is at least `largest` / 127, and 1 / it. Codes are then 127 at most.
pub(super) fn scale_of(largest: f32) -> (Bf16, f32) {
    let bits = ((largest / 127.0).to_bits() + 0xffff) >> 16;
    let scale = (bits as u16).to_le_bytes();
    match bf16(scale) {
        step if step >= f32::MIN_POSITIVE => (scale, 1.0 / step),
        _ => ([0; 2], 0.0), // nothing is larger than 1.5·10⁻³⁶: too small for a scale with all of its bits
    }
}

/// The bf16 that makes a block NaN.
pub(super) const NAN: Bf16 = [0xc0, 0x7f];

// ANCHOR: quantize_int8
#[inline(always)]
pub fn quantize_int8<V: Lanes>(x: &[f32], y: &mut [Int8Block]) {
    for (x, y) in x.as_chunks::<32>().0.iter().zip(y) {
        let x = x.as_chunks::<8>().0;
        let (mut largest, mut finite) = (V::splat(0.0), V::splat(0.0));
        for x in x {
            let x = V::load(x);
            largest = largest.max(x).max(V::splat(0.0).sub(x));
            finite = x.mul_add(V::splat(0.0), finite); // 0, or NaN from ∞ and NaN on
        }
        if sum_of_lanes(finite) != 0.0 {
            *y = Int8Block { codes: [0; 32], scale: NAN };
            continue;
        }
        let mut lanes = [0.0; 8];
        largest.store(&mut lanes);
        let (scale, inverse) = scale_of(lanes.into_iter().fold(0.0, f32::max));
        y.scale = scale;
        for (x, y) in x.iter().zip(y.codes.as_chunks_mut::<8>().0) {
            V::load(x).mul(V::splat(inverse)).round().store(&mut lanes);
            *y = lanes.map(|code| code as i8);
        }
    }
}
// ANCHOR_END: quantize_int8

// ANCHOR: dot_int8
#[inline(always)]
pub fn dot_int8_int8<V: Lanes>(x: &[Int8Block], w: &[Int8Block]) -> f32 {
    let mut total = V::splat(0.0);
    for (x, w) in x.iter().zip(w) {
        V::prefetch(w);
        total = V::dot_int8(&w.codes, &x.codes).mul_add(V::splat(x.scale() * w.scale()), total);
    }
    sum_of_lanes(total)
}

#[inline(always)]
pub fn dot_int8_mxfp4<V: Lanes>(x: &[Int8Pair], codes: &[[u8; 16]], scales: &[u8]) -> f32 {
    let ((pairs, last), (pairs_of_scales, last_scale)) = (codes.as_chunks::<2>(), scales.as_chunks::<2>());
    let mut total = V::splat(0.0);
    for ((x, codes), &scales) in x.iter().zip(pairs).zip(pairs_of_scales) {
        total = add_pair(x, codes, scales, total);
    }
    if let ([codes], [scale]) = (last, last_scale) {
        total = add_pair(&x[pairs.len()], &[*codes, [0; 16]], [*scale, 0], total);
    }
    sum_of_lanes(total)
}

#[inline(always)]
fn add_pair<V: Lanes>(x: &Int8Pair, codes: &[[u8; 16]; 2], scales: [u8; 2], total: V) -> V {
    V::prefetch(codes);
    let scale = V::splat_pair(SCALES[usize::from(scales[0])], SCALES[usize::from(scales[1])]);
    V::dot_e2m1_int8(codes, x).mul_add(scale.mul(V::load(&x.scales)), total)
}
// ANCHOR_END: dot_int8

#[inline(always)]
pub fn dot_int8<V: Lanes>(x: &[f32], w: &[Int8Block]) -> f32 {
    let mut total = V::splat(0.0);
    for (x, w) in x.as_chunks::<32>().0.iter().zip(w) {
        let mut sum = V::splat(0.0);
        for (x, w) in x.as_chunks::<8>().0.iter().zip(w.codes.as_chunks::<8>().0) {
            sum = V::load(x).mul_add(V::load_int8(w), sum);
        }
        total = sum.mul_add(V::splat(w.scale()), total);
    }
    sum_of_lanes(total)
}

#[inline(always)]
pub fn axpy_int8<V: Lanes>(alpha: f32, w: &[Int8Block], y: &mut [f32]) {
    for (y, w) in y.as_chunks_mut::<32>().0.iter_mut().zip(w) {
        let factor = V::splat(alpha * w.scale());
        for (y, w) in y.as_chunks_mut::<8>().0.iter_mut().zip(w.codes.as_chunks::<8>().0) {
            V::load_int8(w).mul_add(factor, V::load(y)).store(y);
        }
    }
}

#[inline(always)]
pub fn expand_int8<V: Lanes>(w: &[Int8Block], y: &mut [f32]) {
    for (y, w) in y.as_chunks_mut::<32>().0.iter_mut().zip(w) {
        for (y, codes) in y.as_chunks_mut::<8>().0.iter_mut().zip(w.codes.as_chunks::<8>().0) {
            V::load_int8(codes).mul(V::splat(w.scale())).store(y);
        }
    }
}
