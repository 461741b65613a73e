//! WebAssembly: [`Lanes`] as two 128-bit values of SIMD128.
//!
//! SIMD128 has no fused multiply-add, so [`Lanes::mul_add`] is a product and a sum, rounded twice. Relaxed SIMD has one, but
//! it lets each engine choose whether to round once or twice, so results would differ between machines.
//!
//! A module is compiled either with SIMD128 or without, so its instructions need no check at run time, and `std::arch` declares
//! them as safe. Only loads and stores are `unsafe`.

use super::formats::{Bf16, Int8Pair};
use super::lanes::{E2M1_DOUBLED, E2M1_DOUBLED_PLUS_12, E2M1_FOURTH_BYTES, E2M1_THIRD_BYTES, Lanes, Simd};
use std::arch::wasm32::*;

/// The proof that this module is compiled with SIMD128.
#[derive(Clone, Copy)]
pub struct Wasm128(());

impl Wasm128 {
    /// # Safety
    /// The module must be compiled with SIMD128. It always is, because this file is compiled with SIMD128 or not at all; the
    /// function is unsafe only because those of the other instruction sets are.
    #[inline(always)]
    pub unsafe fn new_unchecked() -> Self {
        Self(())
    }
}

/// Eight floats in two 128-bit values.
#[derive(Clone, Copy)]
pub struct WasmLanes(v128, v128);

/// Loads the first 16 bytes of a slice of numbers.
#[inline(always)]
fn load<T>(x: &[T]) -> v128 {
    assert!(size_of_val(x) >= 16);
    // SAFETY: the slice has the 16 bytes, by the assertion above, and the load takes any alignment.
    unsafe { v128_load(x.as_ptr().cast()) }
}

/// Loads the first 8 integers of a slice and widens them to 16 bits.
#[inline(always)]
fn load_widened(x: &[i8]) -> v128 {
    assert!(x.len() >= 8);
    // SAFETY: the slice has the 8 bytes, by the assertion above, and the load takes any alignment.
    unsafe { i16x8_load_extend_i8x8(x.as_ptr()) }
}

/// Writes 16 bytes to the start of a slice of numbers.
#[inline(always)]
fn store<T>(x: &mut [T], numbers: v128) {
    assert!(size_of_val(x) >= 16);
    // SAFETY: the slice has the 16 bytes, by the assertion above, the store takes any alignment, and the slices of this file
    // hold `f32` or `u8`, of which every byte pattern is a valid value.
    unsafe { v128_store(x.as_mut_ptr().cast(), numbers) }
}

/// Returns Σ aᵢ·bᵢ of 16 int8, with the products of some of them in each of four `i32`.
#[inline(always)]
fn dot(a: v128, b: &[i8]) -> v128 {
    let low = i32x4_dot_i16x8(i16x8_extend_low_i8x16(a), load_widened(b));
    i32x4_add(low, i32x4_dot_i16x8(i16x8_extend_high_i8x16(a), load_widened(&b[8..])))
}

/// Interleaves the lower eight bytes of two values.
#[inline(always)]
fn interleave_low(a: v128, b: v128) -> v128 {
    u8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b)
}

/// Interleaves the upper eight bytes of two values.
#[inline(always)]
fn interleave_high(a: v128, b: v128) -> v128 {
    u8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b)
}

/// Widens eight bf16: two zero bytes come before each.
#[inline(always)]
fn widen(halves: v128) -> WasmLanes {
    let zero = u16x8_splat(0);
    WasmLanes(
        u16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(zero, halves),
        u16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(zero, halves),
    )
}

/// Separates the codes in the low and in the high halves of 16 bytes.
#[inline(always)]
fn low_and_high_codes(bytes: v128) -> (v128, v128) {
    (v128_and(bytes, u8x16_splat(15)), u8x16_shr(bytes, 4))
}

/// Decodes 16 E2M1 codes, one per byte. The lower two bytes of a value's `f32` are zeros; two look-ups find the upper two.
#[inline(always)]
fn look_up(codes: v128) -> [WasmLanes; 2] {
    let third = u8x16_swizzle(load(&E2M1_THIRD_BYTES), codes);
    let fourth = u8x16_swizzle(load(&E2M1_FOURTH_BYTES), codes);
    [widen(interleave_low(third, fourth)), widen(interleave_high(third, fourth))]
}

impl Simd<8> for Wasm128 {
    type Lanes = WasmLanes;
    type Integers = (v128, v128);
    type Block = [WasmLanes; 4];
    type Pair = [WasmLanes; 8];
    const TILE_ROWS: usize = 6;
    #[inline(always)]
    fn splat(self, x: f32) -> WasmLanes {
        WasmLanes(f32x4_splat(x), f32x4_splat(x))
    }
    #[inline(always)]
    fn load(self, x: &[f32; 8]) -> WasmLanes {
        WasmLanes(load(x), load(&x[4..]))
    }
    #[inline(always)]
    fn splat_pair(self, a: f32, b: f32) -> WasmLanes {
        WasmLanes(f32x4_splat(a), f32x4_splat(b))
    }
    /// Does nothing, because WebAssembly has no prefetch instruction.
    #[inline(always)]
    fn prefetch<T>(self, _: &T) {}
    /// Does nothing, because WebAssembly has no prefetch instruction.
    #[inline(always)]
    fn prefetch_to_l2<T>(self, _: &T) {}
    #[inline(always)]
    fn load_bf16(self, x: &[Bf16; 8]) -> WasmLanes {
        widen(load(x))
    }
    #[inline(always)]
    fn load_e2m1(self, codes: &[u8; 16]) -> [WasmLanes; 4] {
        let (low, high) = low_and_high_codes(load(codes));
        let ([a, b], [c, d]) = (look_up(interleave_low(low, high)), look_up(interleave_high(low, high)));
        [a, b, c, d]
    }
    #[rustfmt::skip]
    const PAIR_ORDER: [u8; 32] = [
        0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
    ];
    #[inline(always)]
    fn load_e2m1_pair(self, codes: &[[u8; 16]; 2]) -> [WasmLanes; 8] {
        // The even values come first and the odd ones last, because a byte holds one of each.
        let [(a_low, a_high), (b_low, b_high)] = codes.each_ref().map(|codes| low_and_high_codes(load(codes)));
        let halves = |a, b| {
            let ([a, c], [b, d]) = (look_up(a), look_up(b));
            [WasmLanes(a.0, b.0), WasmLanes(a.1, b.1), WasmLanes(c.0, d.0), WasmLanes(c.1, d.1)]
        };
        let ([a, b, c, d], [e, f, g, h]) = (halves(a_low, b_low), halves(a_high, b_high));
        [a, b, c, d, e, f, g, h]
    }
    #[inline(always)]
    fn load_int8(self, x: &[i8; 8]) -> WasmLanes {
        let x = load_widened(x);
        self.to_lanes((i32x4_extend_low_i16x8(x), i32x4_extend_high_i16x8(x)))
    }
    #[inline(always)]
    fn dot_int8(self, w: &[i8; 32], x: &[i8; 32]) -> WasmLanes {
        self.to_lanes((dot(load(w), x), dot(load(&w[16..]), &x[16..])))
    }
    #[inline(always)]
    fn splat_integer(self, x: i32) -> (v128, v128) {
        (i32x4_splat(x), i32x4_splat(x))
    }
    #[inline(always)]
    fn to_lanes(self, x: (v128, v128)) -> WasmLanes {
        WasmLanes(f32x4_convert_i32x4(x.0), f32x4_convert_i32x4(x.1))
    }
    #[inline(always)]
    fn add_four_products(self, sum: (v128, v128), w: &[[u8; 4]; 8], x: i32) -> (v128, v128) {
        // Bytes 0 and 2 of each lane are widened to 16 bits, and bytes 1 and 3. Those of w have no sign, those of x have one.
        let x = i32x4_splat(x);
        let (x_even, x_odd) = (i16x8_shr(i16x8_shl(x, 8), 8), i16x8_shr(x, 8));
        let add = |sum, w| {
            let (even, odd) = (v128_and(w, u16x8_splat(255)), u16x8_shr(w, 8));
            i32x4_add(i32x4_add(sum, i32x4_dot_i16x8(even, x_even)), i32x4_dot_i16x8(odd, x_odd))
        };
        (add(sum.0, load(w)), add(sum.1, load(&w[4..])))
    }
    #[inline(always)]
    fn transpose_fours<B>(self, rows: [&[B; 16]; 8]) -> [[[u8; 4]; 8]; 4] {
        const { assert!(size_of::<B>() == 1) };
        let mut columns = [[[0; 4]; 8]; 4];
        for first in [0, 4] {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| load(rows[first + i]));
            let low = (u32x4_shuffle::<0, 4, 1, 5>(a, b), u32x4_shuffle::<0, 4, 1, 5>(c, d));
            let high = (u32x4_shuffle::<2, 6, 3, 7>(a, b), u32x4_shuffle::<2, 6, 3, 7>(c, d));
            let transposed = [
                u64x2_shuffle::<0, 2>(low.0, low.1),
                u64x2_shuffle::<1, 3>(low.0, low.1),
                u64x2_shuffle::<0, 2>(high.0, high.1),
                u64x2_shuffle::<1, 3>(high.0, high.1),
            ];
            for (column, numbers) in columns.iter_mut().zip(transposed) {
                store(&mut column[first..], numbers);
            }
        }
        columns
    }
    #[inline(always)]
    fn e2m1_to_bytes(self, codes: &[[u8; 4]; 8]) -> [[[u8; 4]; 8]; 2] {
        let mut bytes = [[[0; 4]; 8]; 2];
        for first in [0, 4] {
            let table = load(&E2M1_DOUBLED_PLUS_12);
            let (low, high) = low_and_high_codes(load(&codes[first..]));
            store(&mut bytes[0][first..], u8x16_swizzle(table, low));
            store(&mut bytes[1][first..], u8x16_swizzle(table, high));
        }
        bytes
    }
    #[inline(always)]
    fn dot_e2m1_int8(self, codes: &[[u8; 16]; 2], x: &Int8Pair) -> WasmLanes {
        let block = |i: usize| {
            let table = load(&E2M1_DOUBLED);
            let (even, odd) = low_and_high_codes(load(&codes[i]));
            let even = dot(u8x16_swizzle(table, even), &x.codes[16 * i..]);
            i32x4_add(even, dot(u8x16_swizzle(table, odd), &x.codes[16 * i + 32..]))
        };
        self.to_lanes((block(0), block(1)))
    }
}

impl WasmLanes {
    /// Applies one instruction to both halves.
    #[inline(always)]
    fn both(self, b: Self, f: impl Fn(v128, v128) -> v128) -> Self {
        Self(f(self.0, b.0), f(self.1, b.1))
    }
}

impl Lanes<8> for WasmLanes {
    #[inline(always)]
    fn store(self, x: &mut [f32; 8]) {
        store(x, self.0);
        store(&mut x[4..], self.1);
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.both(b, |a, b| f32x4_add(a, b))
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.both(b, |a, b| f32x4_sub(a, b))
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.both(b, |a, b| f32x4_mul(a, b))
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        self.both(b, |a, b| f32x4_div(a, b))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(f32x4_sqrt(self.0), f32x4_sqrt(self.1))
    }
    // ANCHOR: lanes
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // pmin(b, a) is a where a < b, and b elsewhere.
        self.both(b, |a, b| f32x4_pmin(b, a))
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // pmax(b, a) is a where b < a, and b elsewhere.
        self.both(b, |a, b| f32x4_pmax(b, a))
    }
    // ANCHOR_END: lanes
    #[inline(always)]
    fn lt_or_zero(self, b: Self, then: Self) -> Self {
        self.both(b, |a, b| f32x4_lt(a, b)).both(then, |less, then| v128_and(less, then))
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(f32x4_nearest(self.0), f32x4_nearest(self.1))
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // An f32 with exponent field n + 127 and an empty mantissa is 2ⁿ. The lowest nine bits of 1.5·2²³ + m are m, if m is an
        // integer from 0 to 511. This is faster than a conversion, which has to check for numbers that do not fit an i32.
        let half = |x| i32x4_shl(f32x4_add(x, f32x4_splat(12_582_912.0 + 127.0)), 23);
        Self(half(self.0), half(self.1))
    }
    #[inline(always)]
    fn deinterleave(self, b: Self) -> (Self, Self) {
        (
            Self(u32x4_shuffle::<0, 2, 4, 6>(self.0, self.1), u32x4_shuffle::<0, 2, 4, 6>(b.0, b.1)),
            Self(u32x4_shuffle::<1, 3, 5, 7>(self.0, self.1), u32x4_shuffle::<1, 3, 5, 7>(b.0, b.1)),
        )
    }
    #[inline(always)]
    fn interleave(self, b: Self) -> (Self, Self) {
        (
            Self(u32x4_shuffle::<0, 4, 1, 5>(self.0, b.0), u32x4_shuffle::<2, 6, 3, 7>(self.0, b.0)),
            Self(u32x4_shuffle::<0, 4, 1, 5>(self.1, b.1), u32x4_shuffle::<2, 6, 3, 7>(self.1, b.1)),
        )
    }
}
