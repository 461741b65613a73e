//! [`Lanes`] as two 128-bit registers of 64-bit ARM.
//!
//! Every function is `#[inline(always)]`, so that it ends up inside the `#[target_feature]` function of the
//! dispatch and compiles to the two instructions that it names.

use super::lanes::Lanes;
use std::arch::aarch64::*;

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
    fn load_bf16(x: &[[u8; 2]; 8]) -> Self {
        unsafe {
            let halves = vreinterpretq_u16_u8(vld1q_u8(x.as_ptr().cast()));
            let low = vshll_n_u16::<16>(vget_low_u16(halves));
            let high = vshll_n_u16::<16>(vget_high_u16(halves));
            Self(vreinterpretq_f32_u32(low), vreinterpretq_f32_u32(high))
        }
    }
    #[inline(always)]
    fn load_e2m1(x: &[u8; 4]) -> Self {
        // A value's f32 has only zeros in its lower two bytes; the table has the third byte and the fourth.
        const THIRD: [u8; 16] = [0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0, 0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0];
        const FOURTH: [u8; 16] =
            [0, 0x3f, 0x3f, 0x3f, 0x40, 0x40, 0x40, 0x40, 0x80, 0xbf, 0xbf, 0xbf, 0xc0, 0xc0, 0xc0, 0xc0];
        unsafe {
            let bytes = vcreate_u8(u64::from(u32::from_le_bytes(*x)));
            let codes = vzip1_u8(vand_u8(bytes, vdup_n_u8(15)), vshr_n_u8::<4>(bytes));
            let third = vqtbl1_u8(vld1q_u8(THIRD.as_ptr()), codes);
            let fourth = vqtbl1_u8(vld1q_u8(FOURTH.as_ptr()), codes);
            let halves = vreinterpretq_u16_u8(vcombine_u8(vzip1_u8(third, fourth), vzip2_u8(third, fourth)));
            let low = vshll_n_u16::<16>(vget_low_u16(halves));
            let high = vshll_n_u16::<16>(vget_high_u16(halves));
            Self(vreinterpretq_f32_u32(low), vreinterpretq_f32_u32(high))
        }
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
