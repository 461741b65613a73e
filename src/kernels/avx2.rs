//! AVX2: [`Lanes`] as one 256-bit register, with fused multiply-add.
//!
//! Every function is `#[inline(always)]`, so that it ends up inside a `#[target_feature]` function of the dispatch and
//! compiles to the one instruction that it names.

use super::formats::{Bf16, Int8Pair};
use super::lanes::{E2M1_DOUBLED_PLUS_12, E2M1_FOURTH_BYTES, E2M1_THIRD_BYTES, Lanes, Simd};
use std::arch::x86_64::*;

// ANCHOR: lanes
/// The proof that this processor has AVX2 and FMA, and with `VNNI` also AVX-VNNI.
#[derive(Clone, Copy)]
pub struct Avx2<const VNNI: bool>(());

impl<const VNNI: bool> Avx2<VNNI> {
    /// # Safety
    /// The processor must have AVX2 and FMA, and AVX-VNNI if `VNNI` is true.
    #[inline(always)]
    pub unsafe fn new_unchecked() -> Self {
        Self(())
    }
}

/// Eight floats in one register. Only the methods of [`Avx2`] and of this type make a value, so a value is a proof too.
#[derive(Clone, Copy)]
pub struct Avx2Lanes(__m256);

impl<const VNNI: bool> Simd<8> for Avx2<VNNI> {
    type Lanes = Avx2Lanes;
    #[inline(always)]
    fn splat(self, x: f32) -> Avx2Lanes {
        // SAFETY: `self` exists, so the processor was checked.
        Avx2Lanes(unsafe { _mm256_set1_ps(x) })
    }
    #[inline(always)]
    fn load(self, x: &[f32; 8]) -> Avx2Lanes {
        // SAFETY: `self` exists, so the processor was checked. `x` has the 32 bytes, and `loadu` takes any alignment.
        Avx2Lanes(unsafe { _mm256_loadu_ps(x.as_ptr()) })
    }
    // ANCHOR_END: lanes
    type Integers = __m256i;
    type Block = [Avx2Lanes; 4];
    type Pair = [Avx2Lanes; 8];
    const TILE_ROWS: usize = 6;
    #[inline(always)]
    fn splat_pair(self, a: f32, b: f32) -> Avx2Lanes {
        // SAFETY: `self` exists, so the processor was checked.
        Avx2Lanes(unsafe { _mm256_blend_ps::<0b1111_0000>(_mm256_set1_ps(a), _mm256_set1_ps(b)) })
    }
    #[inline(always)]
    fn prefetch<T>(self, x: &T) {
        // SAFETY: every x86-64 has the instruction, and it is a hint that accepts any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(x).cast::<i8>().wrapping_add(4_096)) }
    }
    #[inline(always)]
    fn prefetch_to_l2<T>(self, x: &T) {
        // SAFETY: every processor of this architecture has the instruction, and it is a hint that accepts any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(x).cast::<i8>().wrapping_add(4_096)) }
    }
    #[inline(always)]
    fn load_bf16(self, x: &[Bf16; 8]) -> Avx2Lanes {
        // SAFETY: `self` exists, so the processor was checked. `x` has the 16 bytes, and `loadu` takes any alignment.
        unsafe {
            let halves = _mm_loadu_si128(x.as_ptr().cast());
            Avx2Lanes(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves))))
        }
    }
    #[inline(always)]
    fn load_e2m1(self, codes: &[u8; 16]) -> [Avx2Lanes; 4] {
        // The codes are put in order before they are looked up, so that the values come out in order.
        // SAFETY: `self` exists, so the processor was checked; nothing here touches memory.
        let codes = unsafe {
            #[rustfmt::skip]
            let order = _mm256_setr_epi8(
                0, 4, 0, 4, 1, 5, 1, 5,  8, 12,  8, 12,  9, 13,  9, 13,
                2, 6, 2, 6, 3, 7, 3, 7, 10, 14, 10, 14, 11, 15, 11, 15,
            );
            let low = _mm256_shuffle_epi8(self.twice(codes), order);
            let high = _mm256_srli_epi16::<4>(low);
            _mm256_and_si256(_mm256_blend_epi16::<0b10101010>(low, high), _mm256_set1_epi8(15))
        };
        self.look_up(codes)
    }
    #[rustfmt::skip]
    const PAIR_ORDER: [u8; 32] = [
        0, 4,  8, 12, 2, 6, 10, 14, 16, 20, 24, 28, 18, 22, 26, 30,
        1, 5,  9, 13, 3, 7, 11, 15, 17, 21, 25, 29, 19, 23, 27, 31,
    ];
    #[inline(always)]
    fn load_e2m1_pair(self, codes: &[[u8; 16]; 2]) -> [Avx2Lanes; 8] {
        // Each half of a register decodes one block, and the values stay in the order in which the look-up leaves them.
        let (low, high) = self.low_and_high_codes(codes);
        let ([a, b, c, d], [e, f, g, h]) = (self.look_up(low), self.look_up(high));
        [a, b, c, d, e, f, g, h]
    }
    #[inline(always)]
    fn load_int8(self, x: &[i8; 8]) -> Avx2Lanes {
        // SAFETY: `self` exists, so the processor was checked. `x` has the 8 bytes, and `loadl` takes any alignment.
        unsafe { Avx2Lanes(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().cast())))) }
    }
    #[inline(always)]
    fn dot_int8(self, w: &[i8; 32], x: &[i8; 32]) -> Avx2Lanes {
        // w·x = |w|·(x with w's sign). Two products are added in 16 bits: 2·127·127 fits.
        // SAFETY: `self` exists, so the processor was checked. `w` and `x` have 32 bytes, and `loadu` takes any alignment.
        unsafe {
            let w = _mm256_loadu_si256(w.as_ptr().cast());
            let x = _mm256_sign_epi8(_mm256_loadu_si256(x.as_ptr().cast()), w);
            let sums = if VNNI {
                _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), _mm256_abs_epi8(w), x)
            } else {
                _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), x), _mm256_set1_epi16(1))
            };
            Avx2Lanes(_mm256_cvtepi32_ps(sums))
        }
    }
    #[inline(always)]
    fn splat_integer(self, x: i32) -> __m256i {
        // SAFETY: `self` exists, so the processor was checked.
        unsafe { _mm256_set1_epi32(x) }
    }
    #[inline(always)]
    fn to_lanes(self, x: __m256i) -> Avx2Lanes {
        // SAFETY: `self` exists, so the processor was checked.
        Avx2Lanes(unsafe { _mm256_cvtepi32_ps(x) })
    }
    #[inline(always)]
    fn add_four_products(self, sum: __m256i, w: &[[u8; 4]; 8], x: i32) -> __m256i {
        // SAFETY: `self` exists, so the processor was checked. `w` has the 32 bytes, and `loadu` takes any alignment.
        unsafe {
            let (w, x) = (_mm256_loadu_si256(w.as_ptr().cast()), _mm256_set1_epi32(x));
            if VNNI {
                _mm256_dpbusd_avx_epi32(sum, w, x)
            } else {
                _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)))
            }
        }
    }
    #[inline(always)]
    fn transpose_fours<B>(self, rows: [&[B; 16]; 8]) -> [[[u8; 4]; 8]; 4] {
        const { assert!(size_of::<B>() == 1) };
        let mut columns = [[[0; 4]; 8]; 4];
        // Each half of a register holds a row: 0 4, 1 5, 2 6, 3 7. Then both halves are transposed at once.
        // SAFETY: `self` exists, so the processor was checked. Each row has the 16 bytes that are loaded and each column the
        // 32 bytes that are stored, and `loadu` and `storeu` take any alignment.
        unsafe {
            let mut halves = [_mm256_setzero_si256(); 4];
            for (i, halves) in halves.iter_mut().enumerate() {
                let front = _mm256_castsi128_si256(_mm_loadu_si128(rows[i].as_ptr().cast()));
                *halves = _mm256_inserti128_si256::<1>(front, _mm_loadu_si128(rows[i + 4].as_ptr().cast()));
            }
            let [a, b, c, d] = halves;
            let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
            _mm256_storeu_si256(columns[0].as_mut_ptr().cast(), _mm256_unpacklo_epi64(ab, cd));
            _mm256_storeu_si256(columns[1].as_mut_ptr().cast(), _mm256_unpackhi_epi64(ab, cd));
            let (ab, cd) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
            _mm256_storeu_si256(columns[2].as_mut_ptr().cast(), _mm256_unpacklo_epi64(ab, cd));
            _mm256_storeu_si256(columns[3].as_mut_ptr().cast(), _mm256_unpackhi_epi64(ab, cd));
        }
        columns
    }
    #[inline(always)]
    fn e2m1_to_bytes(self, codes: &[[u8; 4]; 8]) -> [[[u8; 4]; 8]; 2] {
        let table = self.twice(&E2M1_DOUBLED_PLUS_12);
        // SAFETY: `self` exists, so the processor was checked. `codes` and the results have the 32 bytes that are loaded and
        // stored, and `loadu` and `storeu` take any alignment.
        unsafe {
            let (codes, lowest) = (_mm256_loadu_si256(codes.as_ptr().cast()), _mm256_set1_epi8(15));
            let (low, high) =
                (_mm256_and_si256(codes, lowest), _mm256_and_si256(_mm256_srli_epi16::<4>(codes), lowest));
            let mut bytes = [[[0; 4]; 8]; 2];
            _mm256_storeu_si256(bytes[0].as_mut_ptr().cast(), _mm256_shuffle_epi8(table, low));
            _mm256_storeu_si256(bytes[1].as_mut_ptr().cast(), _mm256_shuffle_epi8(table, high));
            bytes
        }
    }
    #[inline(always)]
    fn dot_e2m1_int8(self, codes: &[[u8; 16]; 2], x: &Int8Pair) -> Avx2Lanes {
        // Σ w·x = Σ (w + 12)·x − 12·Σx. Four products are added in 16 bits: 4·24·127 fits.
        let (table, (low, high)) = (self.twice(&E2M1_DOUBLED_PLUS_12), self.low_and_high_codes(codes));
        let (even, odd) = x.codes.split_at(32);
        // SAFETY: `self` exists, so the processor was checked. `even`, `odd` and `offsets` have 32 bytes each and lie at
        // multiples of 32, because Int8Pair is `align(32)` and its fields have lengths that are multiples of 32.
        unsafe {
            let (even, odd) = (_mm256_load_si256(even.as_ptr().cast()), _mm256_load_si256(odd.as_ptr().cast()));
            let (w_even, w_odd) = (_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
            let offsets = _mm256_load_si256(x.offsets.as_ptr().cast());
            let sums = if VNNI {
                _mm256_dpbusd_avx_epi32(_mm256_dpbusd_avx_epi32(offsets, w_even, even), w_odd, odd)
            } else {
                let twos = _mm256_add_epi16(_mm256_maddubs_epi16(w_even, even), _mm256_maddubs_epi16(w_odd, odd));
                _mm256_add_epi32(offsets, _mm256_madd_epi16(twos, _mm256_set1_epi16(1)))
            };
            Avx2Lanes(_mm256_cvtepi32_ps(sums))
        }
    }
}

impl<const VNNI: bool> Avx2<VNNI> {
    /// Loads sixteen bytes into both halves of a register.
    #[inline(always)]
    fn twice(self, bytes: &[u8; 16]) -> __m256i {
        // SAFETY: `self` exists, so the processor was checked. `bytes` has the 16 bytes, and `loadu` takes any alignment.
        unsafe { _mm256_loadu2_m128i(bytes.as_ptr().cast(), bytes.as_ptr().cast()) }
    }

    /// Separates the codes in the low and in the high halves of 32 bytes.
    #[inline(always)]
    fn low_and_high_codes(self, codes: &[[u8; 16]; 2]) -> (__m256i, __m256i) {
        // SAFETY: `self` exists, so the processor was checked. `codes` has the 32 bytes, and `loadu` takes any alignment.
        unsafe {
            let both = _mm256_loadu_si256(codes.as_ptr().cast());
            let mask = _mm256_set1_epi8(15);
            (_mm256_and_si256(both, mask), _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask))
        }
    }

    /// Decodes 32 E2M1 codes, one per byte. Every value is a bf16, because the lower two bytes of its f32 are zeros. So two
    /// look-ups find its two bytes. Each lane then holds two bf16: a shift isolates the lower one and a mask the upper.
    #[inline(always)]
    fn look_up(self, codes: __m256i) -> [Avx2Lanes; 4] {
        let (third, fourth) = (self.twice(&E2M1_THIRD_BYTES), self.twice(&E2M1_FOURTH_BYTES));
        // SAFETY: `self` exists, so the processor was checked; nothing here touches memory.
        let (front, back) = unsafe {
            let (third, fourth) = (_mm256_shuffle_epi8(third, codes), _mm256_shuffle_epi8(fourth, codes));
            (_mm256_unpacklo_epi8(third, fourth), _mm256_unpackhi_epi8(third, fourth))
        };
        [self.lower_bf16(front), self.upper_bf16(front), self.lower_bf16(back), self.upper_bf16(back)]
    }

    /// Widens the bf16 in the lower half of each lane.
    #[inline(always)]
    fn lower_bf16(self, x: __m256i) -> Avx2Lanes {
        // SAFETY: `self` exists, so the processor was checked.
        Avx2Lanes(unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(x)) })
    }

    /// Widens the bf16 in the upper half of each lane.
    #[inline(always)]
    fn upper_bf16(self, x: __m256i) -> Avx2Lanes {
        // SAFETY: `self` exists, so the processor was checked.
        Avx2Lanes(unsafe { _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(!0xffff))) })
    }
}

impl Lanes<8> for Avx2Lanes {
    #[inline(always)]
    fn store(self, x: &mut [f32; 8]) {
        // SAFETY: `self` exists, so an `Avx2` did. `x` has the 32 bytes, and `storeu` takes any alignment.
        unsafe { _mm256_storeu_ps(x.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_add_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_sub_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_mul_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_div_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_min_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_max_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn lt_or_zero(self, b: Self, then: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, b.0), then.0) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: `self` exists, so an `Avx2` did.
        Self(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // An f32 with exponent field n + 127 and an empty mantissa is 2ⁿ.
        // SAFETY: `self` exists, so an `Avx2` did.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn deinterleave(self, b: Self) -> (Self, Self) {
        // SAFETY: `self` exists, so an `Avx2` did.
        unsafe {
            // The shuffles work in 128-bit halves: (a₀ a₂ b₀ b₂ | a₄ a₆ b₄ b₆). Then the middle quarters are swapped.
            let even = _mm256_shuffle_ps::<0b10_00_10_00>(self.0, b.0);
            let odd = _mm256_shuffle_ps::<0b11_01_11_01>(self.0, b.0);
            let sort = |x| _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(x)));
            (Self(sort(even)), Self(sort(odd)))
        }
    }
    #[inline(always)]
    fn interleave(self, b: Self) -> (Self, Self) {
        // SAFETY: `self` exists, so an `Avx2` did.
        unsafe {
            let low = _mm256_unpacklo_ps(self.0, b.0); // a₀ b₀ a₁ b₁ | a₄ b₄ a₅ b₅
            let high = _mm256_unpackhi_ps(self.0, b.0); // a₂ b₂ a₃ b₃ | a₆ b₆ a₇ b₇
            (Self(_mm256_permute2f128_ps::<0x20>(low, high)), Self(_mm256_permute2f128_ps::<0x31>(low, high)))
        }
    }
}
