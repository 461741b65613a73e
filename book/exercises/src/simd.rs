//! A dot product on lanes, and the exponential. The chapter: simd.md.

/// Sums the products x[i]·y[i] of two slices of equal length in four registers of eight lanes, which are 0 at first. Numbers 0 to 7
/// are group 0, numbers 8 to 15 are group 1, and so on. Group g is added to register g % 4, its number i to lane i, with
/// [`f32::mul_add`]. If the last group has fewer than eight numbers, zeros take the place of the others.
pub fn accumulate(x: &[f32], y: &[f32]) -> [[f32; 8]; 4] {
    todo!("four registers from {} products of {} numbers", x.len(), y.len())
}

/// Adds the registers a₀ to a₃ as (a₀ + a₁) + (a₂ + a₃), and then the eight lanes of this sum, in which each step adds the upper half
/// to the lower half: lanes 4 to 7 to lanes 0 to 3, then lanes 2 and 3 to lanes 0 and 1, then lane 1 to lane 0.
pub fn sum_of_lanes(registers: [[f32; 8]; 4]) -> f32 {
    todo!("the sum of {registers:?}")
}

/// Returns n and r, with x = n ln 2 + r, where n is the whole number that is nearest to x / ln 2. Subtracts n·355/512 from x, and then
/// n times the rest of ln 2, which is −2.121_944_4e-4. Each step is one [`f32::mul_add`].
pub fn reduce(x: f32) -> (i32, f32) {
    todo!("n and r of {x}")
}

/// Returns eˣ for x ≤ 88, with an error of at most two ulp; below −87 it returns 0. Computes 2ⁿ·eʳ, with 2ⁿ made by
/// [`f32::from_bits`] (the bits of the exponent begin at bit 23), and eʳ as the Taylor polynomial up to r⁷, from the innermost
/// parentheses outwards: 1 + r(1 + r(½ + …)).
pub fn exp(x: f32) -> f32 {
    todo!("e to the power of {x}")
}
