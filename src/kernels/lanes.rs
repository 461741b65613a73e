//! Eight `f32` side by side: the little arithmetic that an instruction set has to offer.

use super::Int8Pair;

/// The third byte of the `f32` that each E2M1 code means; the first two are zeros.
pub const E2M1_THIRD_BYTES: [u8; 16] = [0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0, 0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0];
/// The fourth: sign and exponent.
pub const E2M1_FOURTH_BYTES: [u8; 16] =
    [0, 0x3f, 0x3f, 0x3f, 0x40, 0x40, 0x40, 0x40, 0x80, 0xbf, 0xbf, 0xbf, 0xc0, 0xc0, 0xc0, 0xc0];

/// Twice the values of E2M1: whole numbers.
pub const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Eight lanes of `f32`. All operations are lane by lane and round as IEEE 754 says.
///
/// The types that implement this may only be used inside a function compiled for their instruction set, on a
/// machine that has it; the dispatch of [`crate::kernels`] sees to that.
pub trait Lanes: Copy {
    /// The same number in every lane.
    fn splat(x: f32) -> Self;
    /// Eight numbers from memory, of any alignment.
    fn load(x: &[f32; 8]) -> Self;
    /// Eight numbers to memory.
    fn store(self, x: &mut [f32; 8]);
    /// Asks for the memory a page (4 kB) behind `x`. A processor guesses what a loop will need, but not across the border
    /// of a page, and a row of weights is one or two pages.
    fn prefetch<T>(x: &T);
    /// Eight bf16, as [`super::Bf16`].
    fn load_bf16(x: &[[u8; 2]; 8]) -> Self;
    /// The 32 E2M1 codes of a block, low halves first, as the values of [`crate::mxfp4::VALUES`].
    fn load_e2m1(codes: &[u8; 16]) -> [Self; 4];
    /// The codes of two blocks as eight registers: lanes 0 to 3 have those of the first block, lanes 4 to 7 those of the
    /// second, in the order of [`Lanes::PAIR_ORDER`]. Cheaper than one block after the other.
    fn load_e2m1_pair(codes: &[[u8; 16]; 2]) -> [Self; 8];
    /// Which number of a block stands in lane l (and l + 4) of register i of a pair: entry 4·i + l.
    const PAIR_ORDER: [u8; 32];
    /// Eight whole numbers of eight bits.
    fn load_int8(x: &[i8; 8]) -> Self;
    /// Eight whole numbers whose sum is Σ wᵢ·xᵢ. The codes are −127 to 127.
    fn dot_int8(w: &[i8; 32], x: &[i8; 32]) -> Self;
    /// The products of two blocks of E2M1, doubled, with int8: lanes 0 to 3 add up to that of the first block, 4 to 7 to
    /// that of the second.
    fn dot_e2m1_int8(codes: &[[u8; 16]; 2], x: &Int8Pair) -> Self;
    /// `a` in lanes 0 to 3, `b` in lanes 4 to 7.
    fn splat_pair(a: f32, b: f32) -> Self;
    /// self + b
    fn add(self, b: Self) -> Self;
    /// self − b
    fn sub(self, b: Self) -> Self;
    /// self · b
    fn mul(self, b: Self) -> Self;
    /// self / b
    fn div(self, b: Self) -> Self;
    /// √self
    fn sqrt(self) -> Self;
    /// self · b + c, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// The smaller one; `b` if either is NaN.
    fn min(self, b: Self) -> Self;
    /// The larger one; `b` if either is NaN.
    fn max(self, b: Self) -> Self;
    /// `then` where self < b, 0 elsewhere (NaN included).
    fn lt_or_zero(self, b: Self, then: Self) -> Self;
    /// To the nearest whole number, ties to even.
    fn round(self) -> Self;
    /// 2 to the power of self, which must hold whole numbers in −126 ..= 128; 2¹²⁸ is infinite.
    fn exp2_whole(self) -> Self;
    /// (a₀ a₁ … a₇), (b₀ … b₇) → (a₀ a₂ a₄ a₆ b₀ b₂ b₄ b₆), (a₁ a₃ a₅ a₇ b₁ b₃ b₅ b₇)
    fn deinterleave(self, b: Self) -> (Self, Self);
    /// The inverse of [`Lanes::deinterleave`].
    fn interleave(self, b: Self) -> (Self, Self);
}
