//! The interface of an instruction set: N numbers `f32` side by side, eight or sixteen, and the operations that the kernels
//! need on them. N is a parameter of both traits, so that a kernel is written once for every width.
//!
//! A value of [`Lanes`] can only be made by a value of [`Simd`], and a value of [`Simd`] only by its `unsafe fn
//! new_unchecked`, whose caller has checked the processor. So code that is generic over these traits is safe.

use super::formats::{Bf16, Int8Pair};

/// The third byte of the `f32` that each E2M1 code stands for. The first two bytes are zeros.
pub const E2M1_THIRD_BYTES: [u8; 16] = [0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0, 0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0];
/// The fourth byte of the `f32` that each E2M1 code stands for: the sign and most of the exponent.
pub const E2M1_FOURTH_BYTES: [u8; 16] =
    [0, 0x3f, 0x3f, 0x3f, 0x40, 0x40, 0x40, 0x40, 0x80, 0xbf, 0xbf, 0xbf, 0xc0, 0xc0, 0xc0, 0xc0];

/// Twice the value of each E2M1 code, which is an integer.
pub const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Twice the values of E2M1, plus 12, so that none is negative: the instruction that multiplies bytes takes one unsigned
/// operand.
pub const E2M1_DOUBLED_PLUS_12: [u8; 16] = {
    let (mut bytes, mut code) = ([0; 16], 0);
    while code < 16 {
        bytes[code] = (E2M1_DOUBLED[code] + 12) as u8;
        code += 1;
    }
    bytes
};

/// An instruction set that this processor has. A value of the type is the proof: its constructor is `unsafe`, and the
/// dispatch of [`crate::kernels`] calls it only after it has checked the processor. Its methods make [`Lanes`].
///
/// Some methods handle a *pair* of blocks of 32 numbers. Then four lanes belong to the first block, the next four to the
/// second, and so on in turn.
pub trait Simd<const N: usize>: Copy {
    /// N `f32` of this instruction set.
    type Lanes: Lanes<N>;
    /// N `i32`.
    type Integers: Copy;
    /// The registers that hold a block of 32 numbers.
    type Block: AsRef<[Self::Lanes]>;
    /// The registers that hold a pair of blocks.
    type Pair: AsRef<[Self::Lanes]>;
    /// The order in which [`Simd::load_e2m1_pair`] returns the elements of a block. If all its registers are written one
    /// after the other, numbers 8i + l and 8i + l + 4 are element `PAIR_ORDER[4 * i + l]` of the two blocks, for l below 4.
    const PAIR_ORDER: [u8; 32];
    /// Rows of a tile of a matrix product, 6 or 12. The registers hold two sums for each of them, and what is multiplied.
    const TILE_ROWS: usize;

    /// Returns `x` in every lane.
    fn splat(self, x: f32) -> Self::Lanes;
    /// Returns `a` in the lanes of the first block of a pair and `b` in those of the second.
    fn splat_pair(self, a: f32, b: f32) -> Self::Lanes;
    /// Loads N numbers, of any alignment.
    fn load(self, x: &[f32; N]) -> Self::Lanes;
    /// Loads and widens N bf16.
    fn load_bf16(self, x: &[Bf16; N]) -> Self::Lanes;
    /// Decodes the 32 E2M1 codes of a block to the values of [`crate::mxfp4::VALUES`]; the low half of a byte comes first.
    fn load_e2m1(self, codes: &[u8; 16]) -> Self::Block;
    /// Decodes a pair of blocks, both in the order of [`Simd::PAIR_ORDER`]. This is cheaper than decoding one block after
    /// the other.
    fn load_e2m1_pair(self, codes: &[[u8; 16]; 2]) -> Self::Pair;
    /// Loads and converts N integers.
    fn load_int8(self, x: &[i8; N]) -> Self::Lanes;
    /// Returns N integers whose sum is Σ wᵢ·xᵢ. The codes must be −127 to 127.
    fn dot_int8(self, w: &[i8; 32], x: &[i8; 32]) -> Self::Lanes;
    /// Multiplies a pair of blocks of E2M1, with their values doubled, by int8. The lanes of each block add up to its product.
    fn dot_e2m1_int8(self, codes: &[[u8; 16]; 2], x: &Int8Pair) -> Self::Lanes;
    /// Returns `x` in every lane.
    fn splat_integer(self, x: i32) -> Self::Integers;
    /// Returns the integers as `f32`.
    fn to_lanes(self, x: Self::Integers) -> Self::Lanes;
    /// Returns sumᵢ + Σⱼ wᵢⱼ·xⱼ, j = 0 to 3, where xⱼ are the bytes of `x` in memory, with a sign. No byte of w may be above [`super::largest_byte`].
    fn add_four_products(self, sum: Self::Integers, w: &[[u8; 4]; N], x: i32) -> Self::Integers;
    /// Transposes N rows of four groups of four bytes, with or without a sign.
    fn transpose_fours<B>(self, rows: [&[B; 16]; N]) -> [[[u8; 4]; N]; 4];
    /// Decodes the E2M1 codes in the lower and in the upper halves of 4N bytes to twice their values plus 12.
    fn e2m1_to_bytes(self, codes: &[[u8; 4]; N]) -> [[[u8; 4]; N]; 2];
    /// Prefetches the memory 4 KiB after `x` into the first cache. The hardware prefetcher stops at a page border, and a row of
    /// weights is only one or two pages long.
    fn prefetch<T>(self, x: &T);
    /// Prefetches the memory 4 KiB after `x` into the second cache. A core can wait for more lines on their way to the second cache
    /// than to the first (48 and 16 on Intel's servers since 2021), so this is faster where the memory is the limit.
    fn prefetch_to_l2<T>(self, x: &T);
}

/// N lanes of `f32`. All operations work lane by lane and round as IEEE 754 demands.
pub trait Lanes<const N: usize>: Copy {
    /// Writes the N numbers to memory.
    fn store(self, x: &mut [f32; N]);
    /// Returns self + b.
    fn add(self, b: Self) -> Self;
    /// Returns self − b.
    fn sub(self, b: Self) -> Self;
    /// Returns self · b.
    fn mul(self, b: Self) -> Self;
    /// Returns self / b.
    fn div(self, b: Self) -> Self;
    /// Returns √self.
    fn sqrt(self) -> Self;
    /// Returns self · b + c, rounded once, or twice if the instruction set has no fused multiply-add (`wasm`).
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// Returns the smaller operand, or `b` if either is NaN.
    fn min(self, b: Self) -> Self;
    /// Returns the larger operand, or `b` if either is NaN.
    fn max(self, b: Self) -> Self;
    /// Returns `then` where self < b, and 0 elsewhere (also if either is NaN).
    fn lt_or_zero(self, b: Self, then: Self) -> Self;
    /// Rounds to the nearest integer, ties to even.
    fn round(self) -> Self;
    /// Returns 2 to the power of self. The lanes must hold integers from −126 to 128; 2¹²⁸ is infinite.
    fn exp2_whole(self) -> Self;
    /// Separates even and odd lanes. With eight lanes, (a₀ a₁ … a₇), (b₀ … b₇) → (a₀ a₂ a₄ a₆ b₀ b₂ b₄ b₆),
    /// (a₁ a₃ a₅ a₇ b₁ b₃ b₅ b₇).
    fn deinterleave(self, b: Self) -> (Self, Self);
    /// Is the inverse of [`Lanes::deinterleave`].
    fn interleave(self, b: Self) -> (Self, Self);
}
