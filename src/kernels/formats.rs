//! The number formats of weights with 16 and 8 bits: bf16, and blocks of int8 with one scale. MXFP4 has a module of its
//! own, [`crate::mxfp4`].
//!
//! A product of int8 blocks multiplies and adds integers, exactly and many at a time: AVX2 computes 32 products and 16
//! sums with one instruction. The only error comes from the quantization, `round(x / scale)`: it is at most half a step,
//! which is 1/254 of the largest magnitude in the block. The scale is a bf16, so a block takes 34 bytes, or 8.5 bits per
//! number. llama.cpp's Q8_0 is the same format with an f16 scale.

/// A bf16: the upper half of an `f32`, low byte first. It is stored as bytes because a file may hold it at any address.
pub type Bf16 = [u8; 2];

// ANCHOR: bf16
/// Returns the value of a bf16, which is an `f32` without its lower half.
pub fn bf16(w: Bf16) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(w)) << 16)
}
// ANCHOR_END: bf16

/// A block of 32 numbers: number i is `codes[i]` times the scale. The codes are −127 to 127.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int8Block {
    /// One integer per number.
    pub codes: [i8; 32],
    /// The common scale: 0 if all numbers are 0, NaN if one of them is not finite.
    pub scale: Bf16,
}

impl Int8Block {
    /// A block of 32 zeros.
    pub const ZERO: Self = Self { codes: [0; 32], scale: [0; 2] };

    /// Returns the scale as `f32`.
    #[inline(always)]
    pub fn scale(&self) -> f32 {
        bf16(self.scale)
    }

    /// Returns Σ codes.
    fn sum(&self) -> i32 {
        self.codes.iter().map(|&code| i32::from(code)).sum()
    }
}

/// Two blocks in the layout that the product with MXFP4 reads. A byte of MXFP4 holds an even and an odd element, so the
/// even and the odd codes are stored apart.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(32))]
pub struct Int8Pair {
    /// The 16 even codes of the first block and of the second, then the 16 odd codes of the first and of the second.
    pub codes: [i8; 64],
    /// A quarter of −12·Σx of the first block, four times, then the same of the second block. x86 adds it, because it
    /// multiplies by w + 12.
    pub offsets: [i32; 8],
    /// Half of the first block's scale, four times, then half of the second's, and all again for sixteen lanes. Half, because
    /// the codes of E2M1 are multiplied as twice their values.
    scales: [f32; 16],
}

impl Int8Pair {
    /// Interleaves two blocks.
    pub fn new(blocks: [&Int8Block; 2]) -> Self {
        let mut pair = Self { codes: [0; 64], offsets: [0; 8], scales: [0.0; 16] };
        for (i, block) in blocks.into_iter().enumerate() {
            for (j, codes) in block.codes.as_chunks::<2>().0.iter().enumerate() {
                pair.codes[16 * i + j] = codes[0];
                pair.codes[16 * i + j + 32] = codes[1];
            }
            pair.offsets[4 * i..][..4].fill(-3 * block.sum());
            pair.scales[4 * i..][..4].fill(0.5 * block.scale());
            pair.scales[4 * i + 8..][..4].fill(0.5 * block.scale());
        }
        pair
    }

    /// Returns the scales for N lanes, 8 or 16.
    #[inline(always)]
    pub(super) fn scales<const N: usize>(&self) -> &[f32; N] {
        self.scales.first_chunk().expect("at most 16 lanes")
    }

    /// Converts a whole row. If the number of blocks is odd, the last pair is filled up with a block of zeros.
    pub fn of_row(blocks: &[Int8Block]) -> Vec<Self> {
        blocks.chunks(2).map(|two| Self::new([&two[0], two.get(1).unwrap_or(&Int8Block::ZERO)])).collect()
    }
}

/// A block of a layer's input in the layout that [`super::multiply_bytes`] reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Int8Input {
    /// The codes, four in each number, in the order of the bytes of the panel.
    pub codes: [i32; 8],
    /// The scale of the sums of products.
    pub scale: f32,
    /// A number that is added to each sum, because the bytes of a panel are larger than the weights.
    pub offset: i32,
}

impl Int8Input {
    /// Arranges a block for weights in MXFP4: all even codes, then all odd ones. The bytes are twice the weights plus 12.
    pub fn for_mxfp4(x: &Int8Block) -> Self {
        let apart = std::array::from_fn(|i| x.codes[2 * i % 32 + i / 16]);
        Self { codes: fours(apart), scale: 0.5 * x.scale(), offset: -12 * x.sum() }
    }

    /// Arranges a block for weights in int8. The bytes are the weights plus 128.
    pub fn for_int8(x: &Int8Block) -> Self {
        Self { codes: fours(x.codes), scale: x.scale(), offset: -128 * x.sum() }
    }
}

/// Returns every four codes as the number that has their bytes in memory.
fn fours(codes: [i8; 32]) -> [i32; 8] {
    std::array::from_fn(|i| i32::from_ne_bytes(std::array::from_fn(|j| codes[4 * i + j] as u8)))
}

/// Returns the smallest bf16 that is at least `largest` / 127, and its inverse. With this scale no code exceeds 127.
pub(super) fn int8_scale(largest: f32) -> (Bf16, f32) {
    let bits = ((largest / 127.0).to_bits() + 0xffff) >> 16;
    let scale = (bits as u16).to_le_bytes();
    match bf16(scale) {
        step if step >= f32::MIN_POSITIVE => (scale, 1.0 / step),
        _ => ([0; 2], 0.0), // all numbers are below 1.5·10⁻³⁶: the scale would be subnormal
    }
}

/// The scale of a block that holds a number that is not finite.
pub(super) const INT8_NAN: Bf16 = [0xc0, 0x7f];
