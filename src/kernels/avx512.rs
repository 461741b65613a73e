//! AVX-512: [`Lanes`] as one 512-bit register with sixteen numbers, and masks where AVX2 uses registers full of ones.
//!
//! Every function is `#[inline(always)]`, as in `avx2`. With `VNNI`, one instruction multiplies bytes and adds four products to
//! each lane; without, it takes two or three.

use super::formats::{Bf16, Int8Pair};
use super::lanes::{E2M1_DOUBLED_PLUS_12, Lanes, Simd};
use crate::mxfp4::VALUES;
use std::arch::x86_64::*;

/// The proof that this processor has AVX-512 F, BW, DQ and VL, and with `VNNI` also AVX-512 VNNI.
#[derive(Clone, Copy)]
pub struct Avx512<const VNNI: bool>(());

impl<const VNNI: bool> Avx512<VNNI> {
    /// # Safety
    /// The processor must have AVX-512 F, BW, DQ and VL, and AVX-512 VNNI if `VNNI` is true.
    #[inline(always)]
    pub unsafe fn new_unchecked() -> Self {
        Self(())
    }
}

/// Sixteen floats in one register. Only the methods of [`Avx512`] and of this type make a value, so a value is a proof too.
#[derive(Clone, Copy)]
pub struct Avx512Lanes(__m512);

impl<const VNNI: bool> Simd<16> for Avx512<VNNI> {
    type Lanes = Avx512Lanes;
    type Integers = __m512i;
    type Block = [Avx512Lanes; 2];
    type Pair = [Avx512Lanes; 4];
    const TILE_ROWS: usize = 12;
    #[inline(always)]
    fn splat(self, x: f32) -> Avx512Lanes {
        // SAFETY: `self` exists, so the processor was checked.
        Avx512Lanes(unsafe { _mm512_set1_ps(x) })
    }
    #[inline(always)]
    fn splat_pair(self, a: f32, b: f32) -> Avx512Lanes {
        // SAFETY: `self` exists, so the processor was checked.
        Avx512Lanes(unsafe { _mm512_mask_blend_ps(0b1111_0000_1111_0000, _mm512_set1_ps(a), _mm512_set1_ps(b)) })
    }
    #[inline(always)]
    fn load(self, x: &[f32; 16]) -> Avx512Lanes {
        // SAFETY: `self` exists, so the processor was checked. `x` has the 64 bytes, and `loadu` takes any alignment.
        Avx512Lanes(unsafe { _mm512_loadu_ps(x.as_ptr()) })
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
    fn load_bf16(self, x: &[Bf16; 16]) -> Avx512Lanes {
        // SAFETY: `self` exists, so the processor was checked. `x` has the 32 bytes, and `loadu` takes any alignment.
        unsafe {
            let halves = _mm256_loadu_si256(x.as_ptr().cast());
            Avx512Lanes(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves))))
        }
    }
    #[inline(always)]
    fn load_e2m1(self, codes: &[u8; 16]) -> [Avx512Lanes; 2] {
        // Each byte is copied into two lanes, and every second lane is shifted to the code in the upper half of the byte.
        // SAFETY: `self` exists, so the processor was checked. `codes` has the 16 bytes, and `loadu` takes any alignment.
        unsafe {
            let bytes = _mm512_broadcast_i32x4(_mm_loadu_si128(codes.as_ptr().cast()));
            let order = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
            let decode = |order| {
                let low = _mm512_shuffle_epi8(bytes, order);
                self.look_up(_mm512_mask_srli_epi32::<4>(low, 0b1010_1010_1010_1010, low))
            };
            [decode(order), decode(_mm512_add_epi32(order, _mm512_set1_epi32(8)))]
        }
    }
    #[rustfmt::skip]
    const PAIR_ORDER: [u8; 32] = [
         0,  2,  4,  6,  8, 10, 12, 14,  1,  3,  5,  7,  9, 11, 13, 15,
        16, 18, 20, 22, 24, 26, 28, 30, 17, 19, 21, 23, 25, 27, 29, 31,
    ];
    #[inline(always)]
    fn load_e2m1_pair(self, codes: &[[u8; 16]; 2]) -> [Avx512Lanes; 4] {
        // Each 128-bit quarter of a register decodes four bytes of one block, first all low codes and then all high codes.
        // SAFETY: `self` exists, so the processor was checked. `codes` has the 32 bytes, and `loadu` takes any alignment.
        unsafe {
            let bytes = _mm512_broadcast_i64x4(_mm256_loadu_si256(codes.as_ptr().cast()));
            let order = _mm512_setr_epi32(0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7);
            let front = _mm512_shuffle_epi8(bytes, order);
            let back = _mm512_shuffle_epi8(bytes, _mm512_add_epi32(order, _mm512_set1_epi32(8)));
            let high = |low| self.look_up(_mm512_srli_epi32::<4>(low));
            [self.look_up(front), high(front), self.look_up(back), high(back)]
        }
    }
    #[inline(always)]
    fn load_int8(self, x: &[i8; 16]) -> Avx512Lanes {
        // SAFETY: `self` exists, so the processor was checked. `x` has the 16 bytes, and `loadu` takes any alignment.
        unsafe { Avx512Lanes(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast())))) }
    }
    #[inline(always)]
    fn dot_int8(self, w: &[i8; 32], x: &[i8; 32]) -> Avx512Lanes {
        // A block fills half of a register. w·x = |w|·(x with w's sign), see AVX2.
        // SAFETY: `self` exists, so the processor was checked. `w` and `x` have 32 bytes, and `loadu` takes any alignment.
        unsafe {
            let w = _mm256_loadu_si256(w.as_ptr().cast());
            let x = _mm256_sign_epi8(_mm256_loadu_si256(x.as_ptr().cast()), w);
            let sums = if VNNI {
                _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_abs_epi8(w), x)
            } else {
                _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), x), _mm256_set1_epi16(1))
            };
            Avx512Lanes(_mm512_zextps256_ps512(_mm256_cvtepi32_ps(sums)))
        }
    }
    #[inline(always)]
    fn splat_integer(self, x: i32) -> __m512i {
        // SAFETY: `self` exists, so the processor was checked.
        unsafe { _mm512_set1_epi32(x) }
    }
    #[inline(always)]
    fn to_lanes(self, x: __m512i) -> Avx512Lanes {
        // SAFETY: `self` exists, so the processor was checked.
        Avx512Lanes(unsafe { _mm512_cvtepi32_ps(x) })
    }
    #[inline(always)]
    fn add_four_products(self, sum: __m512i, w: &[[u8; 4]; 16], x: i32) -> __m512i {
        // SAFETY: `self` exists, so the processor was checked. `w` has the 64 bytes, and `loadu` takes any alignment.
        unsafe {
            let (w, x) = (_mm512_loadu_si512(w.as_ptr().cast()), _mm512_set1_epi32(x));
            if VNNI {
                _mm512_dpbusd_epi32(sum, w, x)
            } else {
                _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(w, x), _mm512_set1_epi16(1)))
            }
        }
    }
    #[inline(always)]
    fn transpose_fours<B>(self, rows: [&[B; 16]; 16]) -> [[[u8; 4]; 16]; 4] {
        const { assert!(size_of::<B>() == 1) };
        let mut columns = [[[0; 4]; 16]; 4];
        // Each 128-bit quarter of a register holds a row: 0 4 8 12, 1 5 9 13, … Then all quarters are transposed at once.
        // SAFETY: `self` exists, so the processor was checked. Each row has the 16 bytes that are loaded and each column the
        // 64 bytes that are stored, and `loadu` and `storeu` take any alignment.
        unsafe {
            let mut quarters = [_mm512_setzero_si512(); 4];
            for (i, quarters) in quarters.iter_mut().enumerate() {
                let front = _mm512_castsi128_si512(_mm_loadu_si128(rows[i].as_ptr().cast()));
                let front = _mm512_inserti32x4::<1>(front, _mm_loadu_si128(rows[i + 4].as_ptr().cast()));
                let three = _mm512_inserti32x4::<2>(front, _mm_loadu_si128(rows[i + 8].as_ptr().cast()));
                *quarters = _mm512_inserti32x4::<3>(three, _mm_loadu_si128(rows[i + 12].as_ptr().cast()));
            }
            let [a, b, c, d] = quarters;
            let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
            _mm512_storeu_si512(columns[0].as_mut_ptr().cast(), _mm512_unpacklo_epi64(ab, cd));
            _mm512_storeu_si512(columns[1].as_mut_ptr().cast(), _mm512_unpackhi_epi64(ab, cd));
            let (ab, cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
            _mm512_storeu_si512(columns[2].as_mut_ptr().cast(), _mm512_unpacklo_epi64(ab, cd));
            _mm512_storeu_si512(columns[3].as_mut_ptr().cast(), _mm512_unpackhi_epi64(ab, cd));
        }
        columns
    }
    #[inline(always)]
    fn e2m1_to_bytes(self, codes: &[[u8; 4]; 16]) -> [[[u8; 4]; 16]; 2] {
        // SAFETY: `self` exists, so the processor was checked. `codes`, the table and the results have the bytes that are
        // loaded and stored, and `loadu` and `storeu` take any alignment.
        unsafe {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(E2M1_DOUBLED_PLUS_12.as_ptr().cast()));
            let (codes, lowest) = (_mm512_loadu_si512(codes.as_ptr().cast()), _mm512_set1_epi8(15));
            let (low, high) =
                (_mm512_and_si512(codes, lowest), _mm512_and_si512(_mm512_srli_epi16::<4>(codes), lowest));
            let mut bytes = [[[0; 4]; 16]; 2];
            _mm512_storeu_si512(bytes[0].as_mut_ptr().cast(), _mm512_shuffle_epi8(table, low));
            _mm512_storeu_si512(bytes[1].as_mut_ptr().cast(), _mm512_shuffle_epi8(table, high));
            bytes
        }
    }
    #[inline(always)]
    fn dot_e2m1_int8(self, codes: &[[u8; 16]; 2], x: &Int8Pair) -> Avx512Lanes {
        // Σ w·x = Σ (w + 12)·x − 12·Σx. The low codes of both blocks are in the first half, the high codes in the second.
        // SAFETY: `self` exists, so the processor was checked. `codes`, the table and `x` have the bytes that are loaded, and
        // `loadu` takes any alignment.
        unsafe {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(E2M1_DOUBLED_PLUS_12.as_ptr().cast()));
            let bytes = _mm512_broadcast_i64x4(_mm256_loadu_si256(codes.as_ptr().cast()));
            let codes = _mm512_and_si512(_mm512_mask_srli_epi64::<4>(bytes, 0b1111_0000, bytes), _mm512_set1_epi8(15));
            let (w, xs) = (_mm512_shuffle_epi8(table, codes), _mm512_loadu_si512(x.codes.as_ptr().cast()));
            let offsets = _mm512_zextsi256_si512(_mm256_loadu_si256(x.offsets.as_ptr().cast()));
            let sums = if VNNI {
                _mm512_dpbusd_epi32(offsets, w, xs)
            } else {
                _mm512_add_epi32(offsets, _mm512_madd_epi16(_mm512_maddubs_epi16(w, xs), _mm512_set1_epi16(1)))
            };
            Avx512Lanes(_mm512_cvtepi32_ps(sums))
        }
    }
}

impl<const VNNI: bool> Avx512<VNNI> {
    /// Decodes sixteen E2M1 codes, each in the lowest four bits of its lane: a register holds all sixteen values.
    #[inline(always)]
    fn look_up(self, codes: __m512i) -> Avx512Lanes {
        // SAFETY: `self` exists, so the processor was checked. `VALUES` has the 64 bytes, and `loadu` takes any alignment.
        Avx512Lanes(unsafe { _mm512_permutexvar_ps(codes, _mm512_loadu_ps(VALUES.as_ptr())) })
    }
}

impl Lanes<16> for Avx512Lanes {
    #[inline(always)]
    fn store(self, x: &mut [f32; 16]) {
        // SAFETY: `self` exists, so an `Avx512` did. `x` has the 64 bytes, and `storeu` takes any alignment.
        unsafe { _mm512_storeu_ps(x.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_add_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_sub_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_mul_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_div_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_min_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_max_ps(self.0, b.0) })
    }
    #[inline(always)]
    fn lt_or_zero(self, b: Self, then: Self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, b.0), then.0) })
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: `self` exists, so an `Avx512` did.
        Self(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // An f32 with exponent field n + 127 and an empty mantissa is 2ⁿ.
        // SAFETY: `self` exists, so an `Avx512` did.
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn deinterleave(self, b: Self) -> (Self, Self) {
        // SAFETY: `self` exists, so an `Avx512` did.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            (Self(_mm512_permutex2var_ps(self.0, even, b.0)), Self(_mm512_permutex2var_ps(self.0, odd, b.0)))
        }
    }
    #[inline(always)]
    fn interleave(self, b: Self) -> (Self, Self) {
        // SAFETY: `self` exists, so an `Avx512` did.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
            (Self(_mm512_permutex2var_ps(self.0, low, b.0)), Self(_mm512_permutex2var_ps(self.0, high, b.0)))
        }
    }
}
