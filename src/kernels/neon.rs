//! [`Lanes`] as two 128-bit registers of 64-bit ARM.
//!
//! Every function is `#[inline(always)]`, so that it ends up inside the `#[target_feature]` function of the
//! dispatch and compiles to the two instructions that it names.

use super::Int8Pair;
use super::lanes::{E2M1_DOUBLED, E2M1_FOURTH_BYTES, E2M1_THIRD_BYTES, Lanes};
use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

/// Eight floats in two registers. Used only inside functions compiled for neon.
#[derive(Clone, Copy)]
pub struct F32x8(float32x4_t, float32x4_t);

impl F32x8 {
    /// One instruction on either half.
    #[inline(always)]
    fn both(self, b: Self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        Self(f(self.0, b.0), f(self.1, b.1))
    }
}

/// `a` where the comparison holds and `b` elsewhere: also where a comparison with NaN does not hold, as on x86.
#[inline(always)]
fn pick(chosen: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: as for every block below.
    unsafe { vbslq_f32(chosen, a, b) }
}

/// Eight bf16.
#[inline(always)]
fn widen(bytes: uint8x16_t) -> F32x8 {
    // SAFETY: as for every block below.
    unsafe {
        let halves = vreinterpretq_u16_u8(bytes);
        let (low, high) = (vshll_n_u16::<16>(vget_low_u16(halves)), vshll_n_u16::<16>(vget_high_u16(halves)));
        F32x8(vreinterpretq_f32_u32(low), vreinterpretq_f32_u32(high))
    }
}

/// sum + Σ aᵢ·bᵢ, four products in each of its lanes: one instruction since ARMv8.2, three before.
#[inline(always)]
fn add_dot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: as for every block below; and sdot runs only where the processor was found to have it.
    unsafe {
        if !is_aarch64_feature_detected!("dotprod") {
            let (low, high) = (vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_s8(vget_high_s8(a), vget_high_s8(b)));
            return vpadalq_s16(vpadalq_s16(sum, low), high);
        }
        // std::arch has it as vdotq_s32, which is not stable yet.
        asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
        sum
    }
}

// SAFETY: (of every block below) values of this type are only handled inside `kernels::with_neon`, which is entered
// only after the processor was found to have neon. Loads and stores go through references to as many bytes as they
// touch, and have no demands on alignment.
impl Lanes for F32x8 {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        let x = unsafe { vdupq_n_f32(x) };
        Self(x, x)
    }
    #[inline(always)]
    fn load(x: &[f32; 8]) -> Self {
        unsafe { Self(vld1q_f32(x.as_ptr()), vld1q_f32(x[4..].as_ptr())) }
    }
    #[inline(always)]
    fn store(self, x: &mut [f32; 8]) {
        unsafe {
            vst1q_f32(x.as_mut_ptr(), self.0);
            vst1q_f32(x[4..].as_mut_ptr(), self.1);
        }
    }
    #[inline(always)]
    fn prefetch<T>(x: &T) {
        let address = std::ptr::from_ref(x).cast::<u8>().wrapping_add(4_096);
        // A hint, which any address may be given. std::arch has it as _prefetch, which is not stable yet.
        unsafe { asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly)) }
    }
    #[inline(always)]
    fn load_bf16(x: &[[u8; 2]; 8]) -> Self {
        widen(unsafe { vld1q_u8(x.as_ptr().cast()) })
    }
    #[inline(always)]
    fn load_e2m1(codes: &[u8; 16]) -> [Self; 4] {
        // A value's f32 ends in two bytes of zeros; two look-ups find the other two.
        unsafe {
            let bytes = vld1q_u8(codes.as_ptr());
            let (low, high) = (vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes));
            let (third, fourth) = (vld1q_u8(E2M1_THIRD_BYTES.as_ptr()), vld1q_u8(E2M1_FOURTH_BYTES.as_ptr()));
            let (front, back) = (vzip1q_u8(low, high), vzip2q_u8(low, high));
            let (front_third, front_fourth) = (vqtbl1q_u8(third, front), vqtbl1q_u8(fourth, front));
            let (back_third, back_fourth) = (vqtbl1q_u8(third, back), vqtbl1q_u8(fourth, back));
            [
                widen(vzip1q_u8(front_third, front_fourth)),
                widen(vzip2q_u8(front_third, front_fourth)),
                widen(vzip1q_u8(back_third, back_fourth)),
                widen(vzip2q_u8(back_third, back_fourth)),
            ]
        }
    }
    #[rustfmt::skip]
    const PAIR_ORDER: [u8; 32] = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    ];
    #[inline(always)]
    fn load_e2m1_pair(codes: &[[u8; 16]; 2]) -> [Self; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (Self::load_e2m1(&codes[0]), Self::load_e2m1(&codes[1]));
        [
            Self(a.0, e.0),
            Self(a.1, e.1),
            Self(b.0, f.0),
            Self(b.1, f.1),
            Self(c.0, g.0),
            Self(c.1, g.1),
            Self(d.0, h.0),
            Self(d.1, h.1),
        ]
    }
    #[inline(always)]
    fn load_int8(x: &[i8; 8]) -> Self {
        unsafe {
            let halves = vmovl_s8(vld1_s8(x.as_ptr()));
            let (low, high) = (vmovl_s16(vget_low_s16(halves)), vmovl_s16(vget_high_s16(halves)));
            Self(vcvtq_f32_s32(low), vcvtq_f32_s32(high))
        }
    }
    #[inline(always)]
    fn dot_int8(w: &[i8; 32], x: &[i8; 32]) -> Self {
        unsafe {
            let half =
                |i: usize| vcvtq_f32_s32(add_dot(vdupq_n_s32(0), vld1q_s8(w[i..].as_ptr()), vld1q_s8(x[i..].as_ptr())));
            Self(half(0), half(16))
        }
    }
    #[inline(always)]
    fn dot_e2m1_int8(codes: &[[u8; 16]; 2], x: &Int8Pair) -> Self {
        unsafe {
            let table = vld1q_s8(E2M1_DOUBLED.as_ptr());
            let block = |i: usize| {
                let bytes = vld1q_u8(codes[i].as_ptr());
                let even = vqtbl1q_s8(table, vandq_u8(bytes, vdupq_n_u8(15)));
                let odd = vqtbl1q_s8(table, vshrq_n_u8::<4>(bytes));
                let sum = add_dot(vdupq_n_s32(0), even, vld1q_s8(x.codes[16 * i..].as_ptr()));
                vcvtq_f32_s32(add_dot(sum, odd, vld1q_s8(x.codes[16 * i + 32..].as_ptr())))
            };
            Self(block(0), block(1))
        }
    }
    #[inline(always)]
    fn splat_pair(a: f32, b: f32) -> Self {
        unsafe { Self(vdupq_n_f32(a), vdupq_n_f32(b)) }
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.both(b, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.both(b, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.both(b, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        self.both(b, |a, b| unsafe { vdivq_f32(a, b) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        unsafe { Self(vsqrtq_f32(self.0), vsqrtq_f32(self.1)) }
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        unsafe { Self(vfmaq_f32(c.0, self.0, b.0), vfmaq_f32(c.1, self.1, b.1)) }
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        self.both(b, |a, b| pick(unsafe { vcltq_f32(a, b) }, a, b))
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        self.both(b, |a, b| pick(unsafe { vcgtq_f32(a, b) }, a, b))
    }
    #[inline(always)]
    fn lt_or_zero(self, b: Self, then: Self) -> Self {
        let zero = Self::splat(0.0);
        unsafe { Self(pick(vcltq_f32(self.0, b.0), then.0, zero.0), pick(vcltq_f32(self.1, b.1), then.1, zero.1)) }
    }
    #[inline(always)]
    fn round(self) -> Self {
        unsafe { Self(vrndnq_f32(self.0), vrndnq_f32(self.1)) }
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // An f32 with exponent field n + 127 and an empty mantissa is 2ⁿ.
        let half =
            |x| unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(x), vdupq_n_s32(127)))) };
        Self(half(self.0), half(self.1))
    }
    #[inline(always)]
    fn deinterleave(self, b: Self) -> (Self, Self) {
        unsafe {
            (
                Self(vuzp1q_f32(self.0, self.1), vuzp1q_f32(b.0, b.1)),
                Self(vuzp2q_f32(self.0, self.1), vuzp2q_f32(b.0, b.1)),
            )
        }
    }
    #[inline(always)]
    fn interleave(self, b: Self) -> (Self, Self) {
        unsafe {
            (
                Self(vzip1q_f32(self.0, b.0), vzip2q_f32(self.0, b.0)),
                Self(vzip1q_f32(self.1, b.1), vzip2q_f32(self.1, b.1)),
            )
        }
    }
}
