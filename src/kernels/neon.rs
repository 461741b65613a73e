//! NEON: [`Lanes`] as two 128-bit registers of 64-bit ARM.
//!
//! Every function is `#[inline(always)]`, so that it ends up inside a `#[target_feature]` function of the dispatch and
//! compiles to the two instructions that it names.

use super::formats::{Bf16, Int8Pair};
use super::lanes::{E2M1_DOUBLED, E2M1_DOUBLED_PLUS_12, E2M1_FOURTH_BYTES, E2M1_THIRD_BYTES, Lanes, Simd};
use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

/// The proof that this processor has NEON.
#[derive(Clone, Copy)]
pub struct Neon(());

impl Neon {
    /// # Safety
    /// The processor must have NEON.
    #[inline(always)]
    pub unsafe fn new_unchecked() -> Self {
        Self(())
    }
}

/// Eight floats in two registers. Only the methods of [`Neon`] and of this type make a value, so a value is a proof too.
#[derive(Clone, Copy)]
pub struct NeonLanes(float32x4_t, float32x4_t);

impl Simd<8> for Neon {
    type Lanes = NeonLanes;
    type Integers = (int32x4_t, int32x4_t);
    type Block = [NeonLanes; 4];
    type Pair = [NeonLanes; 8];
    const TILE_ROWS: usize = 6;
    #[inline(always)]
    fn splat(self, x: f32) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked.
        let x = unsafe { vdupq_n_f32(x) };
        NeonLanes(x, x)
    }
    #[inline(always)]
    fn load(self, x: &[f32; 8]) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked. Each load reads 4 of the 8 numbers, at any alignment.
        unsafe { NeonLanes(vld1q_f32(x.as_ptr()), vld1q_f32(x[4..].as_ptr())) }
    }
    #[inline(always)]
    fn splat_pair(self, a: f32, b: f32) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked.
        unsafe { NeonLanes(vdupq_n_f32(a), vdupq_n_f32(b)) }
    }
    #[inline(always)]
    fn prefetch<T>(self, x: &T) {
        let address = std::ptr::from_ref(x).cast::<u8>().wrapping_add(4_096);
        // std::arch calls it _prefetch, which is not stable yet.
        // SAFETY: every 64-bit ARM has the instruction, and it is a hint that accepts any address.
        unsafe { asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly)) }
    }
    #[inline(always)]
    fn prefetch_to_l2<T>(self, x: &T) {
        let address = std::ptr::from_ref(x).cast::<u8>().wrapping_add(4_096);
        // SAFETY: every processor of this architecture has the instruction, and it is a hint that accepts any address.
        unsafe { asm!("prfm pldl2keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly)) }
    }
    #[inline(always)]
    fn load_bf16(self, x: &[Bf16; 8]) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked. `x` has the 16 bytes, and the load takes any alignment.
        self.widen(unsafe { vld1q_u8(x.as_ptr().cast()) })
    }
    #[inline(always)]
    fn load_e2m1(self, codes: &[u8; 16]) -> [NeonLanes; 4] {
        // The lower two bytes of a value's f32 are zeros; two look-ups find the upper two.
        // SAFETY: `self` exists, so the processor was checked. Each load reads an array of 16 bytes, at any alignment.
        let bytes = unsafe {
            let bytes = vld1q_u8(codes.as_ptr());
            let (low, high) = (vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes));
            let (third, fourth) = (vld1q_u8(E2M1_THIRD_BYTES.as_ptr()), vld1q_u8(E2M1_FOURTH_BYTES.as_ptr()));
            let (front, back) = (vzip1q_u8(low, high), vzip2q_u8(low, high));
            let (front_third, front_fourth) = (vqtbl1q_u8(third, front), vqtbl1q_u8(fourth, front));
            let (back_third, back_fourth) = (vqtbl1q_u8(third, back), vqtbl1q_u8(fourth, back));
            [
                vzip1q_u8(front_third, front_fourth),
                vzip2q_u8(front_third, front_fourth),
                vzip1q_u8(back_third, back_fourth),
                vzip2q_u8(back_third, back_fourth),
            ]
        };
        bytes.map(|bytes| self.widen(bytes))
    }
    #[rustfmt::skip]
    const PAIR_ORDER: [u8; 32] = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    ];
    #[inline(always)]
    fn load_e2m1_pair(self, codes: &[[u8; 16]; 2]) -> [NeonLanes; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.load_e2m1(&codes[0]), self.load_e2m1(&codes[1]));
        [
            NeonLanes(a.0, e.0),
            NeonLanes(a.1, e.1),
            NeonLanes(b.0, f.0),
            NeonLanes(b.1, f.1),
            NeonLanes(c.0, g.0),
            NeonLanes(c.1, g.1),
            NeonLanes(d.0, h.0),
            NeonLanes(d.1, h.1),
        ]
    }
    #[inline(always)]
    fn load_int8(self, x: &[i8; 8]) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked. `x` has the 8 bytes, and the load takes any alignment.
        unsafe {
            let halves = vmovl_s8(vld1_s8(x.as_ptr()));
            let (low, high) = (vmovl_s16(vget_low_s16(halves)), vmovl_s16(vget_high_s16(halves)));
            NeonLanes(vcvtq_f32_s32(low), vcvtq_f32_s32(high))
        }
    }
    #[inline(always)]
    fn dot_int8(self, w: &[i8; 32], x: &[i8; 32]) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked. Slicing at `i`, 0 or 16, leaves the 16 bytes of each load.
        let half = |i: usize| unsafe {
            let (w, x) = (vld1q_s8(w[i..].as_ptr()), vld1q_s8(x[i..].as_ptr()));
            vcvtq_f32_s32(self.add_dot(vdupq_n_s32(0), w, x))
        };
        NeonLanes(half(0), half(16))
    }
    #[inline(always)]
    fn splat_integer(self, x: i32) -> (int32x4_t, int32x4_t) {
        // SAFETY: `self` exists, so the processor was checked.
        let x = unsafe { vdupq_n_s32(x) };
        (x, x)
    }
    #[inline(always)]
    fn to_lanes(self, x: (int32x4_t, int32x4_t)) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked.
        unsafe { NeonLanes(vcvtq_f32_s32(x.0), vcvtq_f32_s32(x.1)) }
    }
    #[inline(always)]
    fn add_four_products(self, sum: (int32x4_t, int32x4_t), w: &[[u8; 4]; 8], x: i32) -> (int32x4_t, int32x4_t) {
        // The bytes of w are at most 127, so they are the same with and without a sign.
        let w = w.as_flattened();
        // SAFETY: `self` exists, so the processor was checked. Each load reads 16 of the 32 bytes, at any alignment.
        let (front, back, x) = unsafe {
            let x = vreinterpretq_s8_s32(vdupq_n_s32(x));
            (vreinterpretq_s8_u8(vld1q_u8(w.as_ptr())), vreinterpretq_s8_u8(vld1q_u8(w[16..].as_ptr())), x)
        };
        (self.add_dot(sum.0, front, x), self.add_dot(sum.1, back, x))
    }
    #[inline(always)]
    fn transpose_fours<B>(self, rows: [&[B; 16]; 8]) -> [[[u8; 4]; 8]; 4] {
        const { assert!(size_of::<B>() == 1) };
        let mut columns = [[[0; 4]; 8]; 4];
        for first in [0, 4] {
            // SAFETY: `self` exists, so the processor was checked. Each row has the 16 bytes that are loaded, and slicing at
            // `first`, 0 or 4, leaves 16 bytes of each column for its store.
            unsafe {
                let [a, b, c, d] =
                    [0, 1, 2, 3].map(|i| vreinterpretq_u32_u8(vld1q_u8(rows[first + i].as_ptr().cast())));
                let low = (vreinterpretq_u64_u32(vzip1q_u32(a, b)), vreinterpretq_u64_u32(vzip1q_u32(c, d)));
                let high = (vreinterpretq_u64_u32(vzip2q_u32(a, b)), vreinterpretq_u64_u32(vzip2q_u32(c, d)));
                let transposed = [
                    vzip1q_u64(low.0, low.1),
                    vzip2q_u64(low.0, low.1),
                    vzip1q_u64(high.0, high.1),
                    vzip2q_u64(high.0, high.1),
                ];
                for (column, numbers) in columns.iter_mut().zip(transposed) {
                    vst1q_u8(column[first..].as_flattened_mut().as_mut_ptr(), vreinterpretq_u8_u64(numbers));
                }
            }
        }
        columns
    }
    #[inline(always)]
    fn e2m1_to_bytes(self, codes: &[[u8; 4]; 8]) -> [[[u8; 4]; 8]; 2] {
        let mut bytes = [[[0; 4]; 8]; 2];
        for i in [0, 16] {
            // SAFETY: `self` exists, so the processor was checked. Slicing at `i` leaves 16 of the 32 bytes of `codes` and of
            // both results for each load and store.
            unsafe {
                let table = vld1q_u8(E2M1_DOUBLED_PLUS_12.as_ptr());
                let codes = vld1q_u8(codes.as_flattened()[i..].as_ptr());
                let (low, high) = (vandq_u8(codes, vdupq_n_u8(15)), vshrq_n_u8::<4>(codes));
                vst1q_u8(bytes[0].as_flattened_mut()[i..].as_mut_ptr(), vqtbl1q_u8(table, low));
                vst1q_u8(bytes[1].as_flattened_mut()[i..].as_mut_ptr(), vqtbl1q_u8(table, high));
            }
        }
        bytes
    }
    #[inline(always)]
    fn dot_e2m1_int8(self, codes: &[[u8; 16]; 2], x: &Int8Pair) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked. For block 0 and 1 alike, each load has 16 bytes: the codes
        // are arrays of 16, and slicing the 64 bytes of `x.codes` leaves at least 16.
        let block = |i: usize| unsafe {
            let table = vld1q_s8(E2M1_DOUBLED.as_ptr());
            let bytes = vld1q_u8(codes[i].as_ptr());
            let even = vqtbl1q_s8(table, vandq_u8(bytes, vdupq_n_u8(15)));
            let odd = vqtbl1q_s8(table, vshrq_n_u8::<4>(bytes));
            let sum = self.add_dot(vdupq_n_s32(0), even, vld1q_s8(x.codes[16 * i..].as_ptr()));
            vcvtq_f32_s32(self.add_dot(sum, odd, vld1q_s8(x.codes[16 * i + 32..].as_ptr())))
        };
        NeonLanes(block(0), block(1))
    }
}

impl Neon {
    /// Widens eight bf16.
    #[inline(always)]
    fn widen(self, bytes: uint8x16_t) -> NeonLanes {
        // SAFETY: `self` exists, so the processor was checked.
        unsafe {
            let halves = vreinterpretq_u16_u8(bytes);
            let (low, high) = (vshll_n_u16::<16>(vget_low_u16(halves)), vshll_n_u16::<16>(vget_high_u16(halves)));
            NeonLanes(vreinterpretq_f32_u32(low), vreinterpretq_f32_u32(high))
        }
    }

    /// Returns sum + Σ aᵢ·bᵢ, with the products of four neighbours in each lane. It takes one instruction since ARMv8.2 and six
    /// before.
    #[inline(always)]
    fn add_dot(self, mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        if !is_aarch64_feature_detected!("dotprod") {
            // SAFETY: `self` exists, so the processor was checked.
            return unsafe {
                let low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
                let high = vpaddlq_s16(vmull_s8(vget_high_s8(a), vget_high_s8(b)));
                vaddq_s32(sum, vpaddq_s32(low, high))
            };
        }
        // std::arch calls it vdotq_s32, which is not stable yet.
        // SAFETY: dotprod was detected just above, and the instruction touches registers only.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }
}

impl NeonLanes {
    /// Applies one instruction to both halves.
    #[inline(always)]
    fn both(self, b: Self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        Self(f(self.0, b.0), f(self.1, b.1))
    }

    /// Returns `a` where `chosen` is all ones and `b` where it is zero. A comparison with NaN is zero, as on x86.
    #[inline(always)]
    fn select(chosen: [uint32x4_t; 2], a: Self, b: Self) -> Self {
        // SAFETY: `a` exists, so a `Neon` did.
        unsafe { Self(vbslq_f32(chosen[0], a.0, b.0), vbslq_f32(chosen[1], a.1, b.1)) }
    }

    /// Compares lane by lane: all ones where self < b.
    #[inline(always)]
    fn less(self, b: Self) -> [uint32x4_t; 2] {
        // SAFETY: `self` exists, so a `Neon` did.
        unsafe { [vcltq_f32(self.0, b.0), vcltq_f32(self.1, b.1)] }
    }
}

impl Lanes<8> for NeonLanes {
    #[inline(always)]
    fn store(self, x: &mut [f32; 8]) {
        // SAFETY: `self` exists, so a `Neon` did. Each store writes 4 of the 8 numbers, at any alignment.
        unsafe {
            vst1q_f32(x.as_mut_ptr(), self.0);
            vst1q_f32(x[4..].as_mut_ptr(), self.1);
        }
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: `self` exists, so a `Neon` did.
        self.both(b, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: `self` exists, so a `Neon` did.
        self.both(b, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: `self` exists, so a `Neon` did.
        self.both(b, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: `self` exists, so a `Neon` did.
        self.both(b, |a, b| unsafe { vdivq_f32(a, b) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: `self` exists, so a `Neon` did.
        unsafe { Self(vsqrtq_f32(self.0), vsqrtq_f32(self.1)) }
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: `self` exists, so a `Neon` did.
        unsafe { Self(vfmaq_f32(c.0, self.0, b.0), vfmaq_f32(c.1, self.1, b.1)) }
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        Self::select(self.less(b), self, b)
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        Self::select(b.less(self), self, b)
    }
    #[inline(always)]
    fn lt_or_zero(self, b: Self, then: Self) -> Self {
        // SAFETY: `self` exists, so a `Neon` did.
        let zero = unsafe { vdupq_n_f32(0.0) };
        Self::select(self.less(b), then, Self(zero, zero))
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: `self` exists, so a `Neon` did.
        unsafe { Self(vrndnq_f32(self.0), vrndnq_f32(self.1)) }
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // An f32 with exponent field n + 127 and an empty mantissa is 2ⁿ.
        // SAFETY: `self` exists, so a `Neon` did.
        let half =
            |x| unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(x), vdupq_n_s32(127)))) };
        Self(half(self.0), half(self.1))
    }
    #[inline(always)]
    fn deinterleave(self, b: Self) -> (Self, Self) {
        // SAFETY: `self` exists, so a `Neon` did.
        unsafe {
            (
                Self(vuzp1q_f32(self.0, self.1), vuzp1q_f32(b.0, b.1)),
                Self(vuzp2q_f32(self.0, self.1), vuzp2q_f32(b.0, b.1)),
            )
        }
    }
    #[inline(always)]
    fn interleave(self, b: Self) -> (Self, Self) {
        // SAFETY: `self` exists, so a `Neon` did.
        unsafe {
            (
                Self(vzip1q_f32(self.0, b.0), vzip2q_f32(self.0, b.0)),
                Self(vzip1q_f32(self.1, b.1), vzip2q_f32(self.1, b.1)),
            )
        }
    }
}
