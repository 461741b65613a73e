//! The interface of an instruction set: eight `f32` side by side, and the operations that the kernels need on them.
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

/// An instruction set that this processor has. A value of the type is the proof: its constructor is `unsafe`, and the
/// dispatch of [`crate::kernels`] calls it only after it has checked the processor. Its methods make [`Lanes`].
pub trait Simd: Copy {
    /// Eight `f32` of this instruction set.
    type Lanes: Lanes;
    /// The order in which [`Simd::load_e2m1_pair`] returns the elements of a block: lanes l and l + 4 of register i hold
    /// element `PAIR_ORDER[4 * i + l]`.
    const PAIR_ORDER: [u8; 32];

    /// Returns `x` in every lane.
    fn splat(self, x: f32) -> Self::Lanes;
    /// Returns `a` in lanes 0 to 3 and `b` in lanes 4 to 7.
    fn splat_pair(self, a: f32, b: f32) -> Self::Lanes;
    /// Loads eight numbers, of any alignment.
    fn load(self, x: &[f32; 8]) -> Self::Lanes;
    /// Loads and widens eight bf16.
    fn load_bf16(self, x: &[Bf16; 8]) -> Self::Lanes;
    /// Decodes the 32 E2M1 codes of a block to the values of [`crate::mxfp4::VALUES`]; the low half of a byte comes first.
    fn load_e2m1(self, codes: &[u8; 16]) -> [Self::Lanes; 4];
    /// Decodes two blocks to eight registers: lanes 0 to 3 hold the first block, lanes 4 to 7 the second, both in the
    /// order of [`Simd::PAIR_ORDER`]. This is cheaper than decoding one block after the other.
    fn load_e2m1_pair(self, codes: &[[u8; 16]; 2]) -> [Self::Lanes; 8];
    /// Loads and converts eight integers.
    fn load_int8(self, x: &[i8; 8]) -> Self::Lanes;
    /// Returns eight integers whose sum is Σ wᵢ·xᵢ. The codes must be −127 to 127.
    fn dot_int8(self, w: &[i8; 32], x: &[i8; 32]) -> Self::Lanes;
    /// Multiplies two blocks of E2M1, with their values doubled, by int8: lanes 0 to 3 add up to the product of the first
    /// block, lanes 4 to 7 to that of the second.
    fn dot_e2m1_int8(self, codes: &[[u8; 16]; 2], x: &Int8Pair) -> Self::Lanes;
    /// Prefetches the memory 4 KiB after `x`. The hardware prefetcher stops at a page border, and a row of weights is
    /// only one or two pages long.
    fn prefetch<T>(self, x: &T);
}

/// Eight lanes of `f32`. All operations work lane by lane and round as IEEE 754 demands.
pub trait Lanes: Copy {
    /// Writes the eight numbers to memory.
    fn store(self, x: &mut [f32; 8]);
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
    /// Returns self · b + c, rounded once.
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
    /// Separates even and odd lanes: (a₀ a₁ … a₇), (b₀ … b₇) → (a₀ a₂ a₄ a₆ b₀ b₂ b₄ b₆), (a₁ a₃ a₅ a₇ b₁ b₃ b₅ b₇).
    fn deinterleave(self, b: Self) -> (Self, Self);
    /// Is the inverse of [`Lanes::deinterleave`].
    fn interleave(self, b: Self) -> (Self, Self);
}
