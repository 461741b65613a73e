//! [`Lanes`] as one 256-bit register.
//!
//! Every function is `#[inline(always)]`, so that it ends up inside the `#[target_feature]` function of the
//! dispatch and compiles to the one instruction that it names.

use super::Int8Pair;
use super::lanes::{E2M1_DOUBLED, E2M1_FOURTH_BYTES, E2M1_THIRD_BYTES, Lanes};
use std::arch::x86_64::*;

/// Eight floats in one register. Used only inside functions compiled for avx2 and fma.
#[derive(Clone, Copy)]
pub struct F32x8(__m256);

/// Sixteen bytes in either half of a register.
#[inline(always)]
fn twice(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: as for every block below.
    unsafe { _mm256_loadu2_m128i(bytes.as_ptr().cast(), bytes.as_ptr().cast()) }
}

/// The values of 32 codes, one a byte. A value's f32 ends in two bytes of zeros, it is a bf16: two look-ups find its
/// bytes. Of the bf16 that then lie side by side in a lane, a shift uncovers the lower and a mask the upper.
#[inline(always)]
fn look_up(codes: __m256i) -> [F32x8; 4] {
    // SAFETY: as for every block below.
    unsafe {
        let third = _mm256_shuffle_epi8(twice(&E2M1_THIRD_BYTES), codes);
        let fourth = _mm256_shuffle_epi8(twice(&E2M1_FOURTH_BYTES), codes);
        let (front, back) = (_mm256_unpacklo_epi8(third, fourth), _mm256_unpackhi_epi8(third, fourth));
        [lower_halves(front), upper_halves(front), lower_halves(back), upper_halves(back)]
    }
}

/// The bf16 in the lower half of each lane.
#[inline(always)]
fn lower_halves(x: __m256i) -> F32x8 {
    // SAFETY: as for every block below.
    F32x8(unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(x)) })
}

/// The bf16 in the upper half of each lane.
#[inline(always)]
fn upper_halves(x: __m256i) -> F32x8 {
    // SAFETY: as for every block below.
    F32x8(unsafe { _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(!0xffff))) })
}

/// The low halves and the high halves of 32 bytes.
#[inline(always)]
fn halves(codes: &[[u8; 16]; 2]) -> (__m256i, __m256i) {
    // SAFETY: as for every block below.
    unsafe {
        let both = _mm256_loadu_si256(codes.as_ptr().cast());
        let mask = _mm256_set1_epi8(15);
        (_mm256_and_si256(both, mask), _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask))
    }
}

/// Twice the values of E2M1, plus 12: none is negative. The one instruction that multiplies bytes wants one operand
/// without a sign.
const E2M1_DOUBLED_PLUS_12: [u8; 16] = {
    let (mut bytes, mut code) = ([0; 16], 0);
    while code < 16 {
        bytes[code] = (E2M1_DOUBLED[code] + 12) as u8;
        code += 1;
    }
    bytes
};

// ANCHOR: lanes
// SAFETY: (of every block below) values of this type are only handled inside `kernels::with_avx2`, which is entered
// only after the processor was found to have avx2 and fma. Loads and stores go through references to as many bytes
// as they touch, and are the unaligned ones, except for those of Int8Pair, which lies at a multiple of 32.
impl Lanes for F32x8 {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(x) })
    }
    #[inline(always)]
    fn load(x: &[f32; 8]) -> Self {
        Self(unsafe { _mm256_loadu_ps(x.as_ptr()) })
    }
    #[inline(always)]
    fn store(self, x: &mut [f32; 8]) {
        unsafe { _mm256_storeu_ps(x.as_mut_ptr(), self.0) }
    }
    // ANCHOR_END: lanes
    #[inline(always)]
    fn prefetch<T>(x: &T) {
        // A hint, which any address may be given.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(x).cast::<i8>().wrapping_add(4_096)) }
    }
    #[inline(always)]
    fn load_bf16(x: &[[u8; 2]; 8]) -> Self {
        unsafe {
            let halves = _mm_loadu_si128(x.as_ptr().cast());
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves))))
        }
    }
    #[inline(always)]
    fn load_e2m1(codes: &[u8; 16]) -> [Self; 4] {
        // The codes are laid out before they are looked up, so that the values come out in their order.
        unsafe {
            #[rustfmt::skip]
            let order = _mm256_setr_epi8(
                0, 4, 0, 4, 1, 5, 1, 5,  8, 12,  8, 12,  9, 13,  9, 13,
                2, 6, 2, 6, 3, 7, 3, 7, 10, 14, 10, 14, 11, 15, 11, 15,
            );
            let low = _mm256_shuffle_epi8(twice(codes), order);
            let high = _mm256_srli_epi16::<4>(low);
            let codes = _mm256_and_si256(_mm256_blend_epi16::<0b10101010>(low, high), _mm256_set1_epi8(15));
            look_up(codes)
        }
    }
    #[rustfmt::skip]
    const PAIR_ORDER: [u8; 32] = [
        0, 4,  8, 12, 2, 6, 10, 14, 16, 20, 24, 28, 18, 22, 26, 30,
        1, 5,  9, 13, 3, 7, 11, 15, 17, 21, 25, 29, 19, 23, 27, 31,
    ];
    #[inline(always)]
    fn load_e2m1_pair(codes: &[[u8; 16]; 2]) -> [Self; 8] {
        // Each half of a register works on a block of its own, in whatever order comes out.
        let (low, high) = halves(codes);
        let ([a, b, c, d], [e, f, g, h]) = (look_up(low), look_up(high));
        [a, b, c, d, e, f, g, h]
    }
    #[inline(always)]
    fn load_int8(x: &[i8; 8]) -> Self {
        unsafe { Self(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().cast())))) }
    }
    #[inline(always)]
    fn dot_int8(w: &[i8; 32], x: &[i8; 32]) -> Self {
        // w·x = |w|·(x with w's sign). Two products are added in 16 bits: 2·127·127 fits.
        unsafe {
            let w = _mm256_loadu_si256(w.as_ptr().cast());
            let x = _mm256_sign_epi8(_mm256_loadu_si256(x.as_ptr().cast()), w);
            let twos = _mm256_maddubs_epi16(_mm256_abs_epi8(w), x);
            Self(_mm256_cvtepi32_ps(_mm256_madd_epi16(twos, _mm256_set1_epi16(1))))
        }
    }
    #[inline(always)]
    fn dot_e2m1_int8(codes: &[[u8; 16]; 2], x: &Int8Pair) -> Self {
        // Σ w·x = Σ (w + 12)·x − 12·Σx. Four products are added in 16 bits: 4·24·127 fits.
        unsafe {
            let (table, (low, high)) = (twice(&E2M1_DOUBLED_PLUS_12), halves(codes));
            let (even, odd) = x.codes.split_at(32);
            let (even, odd) = (_mm256_load_si256(even.as_ptr().cast()), _mm256_load_si256(odd.as_ptr().cast()));
            let even = _mm256_maddubs_epi16(_mm256_shuffle_epi8(table, low), even);
            let odd = _mm256_maddubs_epi16(_mm256_shuffle_epi8(table, high), odd);
            let sums = _mm256_madd_epi16(_mm256_add_epi16(even, odd), _mm256_set1_epi16(1));
            let offsets = _mm256_load_si256(x.offsets.as_ptr().cast());
            Self(_mm256_cvtepi32_ps(_mm256_sub_epi32(sums, offsets)))
        }
    }
    #[inline(always)]
    fn splat_pair(a: f32, b: f32) -> Self {
        Self(unsafe { _mm256_blend_ps::<0b1111_0000>(_mm256_set1_ps(a), _mm256_set1_ps(b)) })
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Self(unsafe { _mm256_add_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        Self(unsafe { _mm256_sub_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Self(unsafe { _mm256_mul_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        Self(unsafe { _mm256_div_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm256_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        Self(unsafe { _mm256_min_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        Self(unsafe { _mm256_max_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn lt_or_zero(self, b: Self, then: Self) -> Self {
        Self(unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, b.0), then.0) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // An f32 with exponent field n + 127 and an empty mantissa is 2ⁿ.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn deinterleave(self, b: Self) -> (Self, Self) {
        unsafe {
            // Pairs of each 128-bit half: (a₀ a₂ b₀ b₂ | a₄ a₆ b₄ b₆); then the middle quarters change places.
            let even = _mm256_shuffle_ps::<0b10_00_10_00>(self.0, b.0);
            let odd = _mm256_shuffle_ps::<0b11_01_11_01>(self.0, b.0);
            let sort = |x| _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(x)));
            (Self(sort(even)), Self(sort(odd)))
        }
    }
    #[inline(always)]
    fn interleave(self, b: Self) -> (Self, Self) {
        unsafe {
            let low = _mm256_unpacklo_ps(self.0, b.0); // a₀ b₀ a₁ b₁ | a₄ b₄ a₅ b₅
            let high = _mm256_unpackhi_ps(self.0, b.0); // a₂ b₂ a₃ b₃ | a₆ b₆ a₇ b₇
            (Self(_mm256_permute2f128_ps::<0x20>(low, high)), Self(_mm256_permute2f128_ps::<0x31>(low, high)))
        }
    }
}
