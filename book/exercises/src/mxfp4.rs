//! MXFP4: 32 numbers in 17 bytes. The chapter: mxfp4.md.

/// The numbers of a block: two E2M1 codes per byte, the first in its low half, times 2^(scale − 127). A scale of 255 makes
/// all of them NaN.
pub fn decode(codes: &[u8; 16], scale: u8) -> [f32; 32] {
    todo!("32 numbers from {codes:?} and {scale}")
}

/// A block of finite numbers as codes and scale. The scale is 2^(⌊log₂ max|x|⌋ − 2); numbers are rounded to the nearest
/// value, of two to the even code, and what is above 6 becomes 6. A sign survives, a block of zeros has the scale 0.
pub fn encode(numbers: &[f32; 32]) -> ([u8; 16], u8) {
    todo!("codes and scale of {numbers:?}")
}
