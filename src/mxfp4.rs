//! MXFP4: 32 numbers in 17 bytes.
//!
//! A block of 32 numbers shares one scale, a power of two in a byte (E8M0: 2^(byte − 127), 255 is NaN). Each number takes
//! four bits (E2M1: a sign, two bits of exponent, one of mantissa): ±0, ½, 1, 1½, 2, 3, 4, 6. Two numbers share a byte, the
//! first in its low half. That is 4.25 bits per number, 73.4 % less than bf16.
//! OCP Microscaling Formats (MX) v1.0,
//! <https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf>
//!
//! [`crate::kernels`] multiplies rows of MXFP4 (`dot_mxfp4`) without expanding them in memory.
//!
//! Book: [mxfp4](../../../book/mxfp4.html)

/// The number of elements that share a scale.
pub const BLOCK: usize = 32;

/// The 32 codes of a block, two per byte.
pub type Codes = [u8; BLOCK / 2];

/// The scale byte of NaN. It makes the whole block NaN.
pub const NAN_SCALE: u8 = 255;

// ANCHOR: decode
/// The values of the sixteen codes.
pub const VALUES: [f32; 16] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// Returns 2^(byte − 127), or NaN. The result is exact; only 2⁻¹²⁷ is a subnormal `f32`.
pub const fn scale(byte: u8) -> f32 {
    match byte {
        0 => f32::from_bits(1 << 22),
        NAN_SCALE => f32::NAN,
        _ => f32::from_bits((byte as u32) << 23),
    }
}

/// The table of [`scale`] for every byte, for use in loops.
pub static SCALES: [f32; 256] = {
    let mut scales = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        scales[byte] = scale(byte as u8);
        byte += 1;
    }
    scales
};

/// Decodes one number. A number beyond the largest `f32`, such as 2 · 2¹²⁷, becomes infinite.
pub fn decode(code: u8, scale_byte: u8) -> f32 {
    VALUES[usize::from(code & 15)] * scale(scale_byte)
}
// ANCHOR_END: decode

// ANCHOR: encode
/// Encodes a block and returns its codes and its scale. The scale is the one of the specification,
/// 2^(⌊log₂ max|x|⌋ − 2), because 4 = 2² is the largest power of two among the values. So the largest number lies in
/// 4 ‥ 8 after scaling and is rounded to 4 or 6.
///
/// Numbers are rounded to the nearest value, ties to the even code; numbers above 6 become 6. The sign is kept, also that
/// of a zero. A block of zeros gets the scale byte 0. A block with a NaN or an infinity gets the scale byte 255 and decodes
/// to NaN everywhere.
pub fn encode(numbers: &[f32; BLOCK]) -> (Codes, u8) {
    let mut codes = Codes::default();
    if !numbers.iter().all(|x| x.is_finite()) {
        return (codes, NAN_SCALE);
    }
    let largest = numbers.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    let exponent = (floor_log2(largest) - 2).clamp(-127, 127);
    // In f64 the division by a power of two is exact, also for subnormal numbers.
    let step = f64::from(exponent).exp2();
    for (i, &x) in numbers.iter().enumerate() {
        codes[i / 2] |= encode_one(f64::from(x) / step) << (4 * (i % 2));
    }
    (codes, (exponent + 127) as u8)
}

/// Returns the code whose value is nearest to x; in a tie, the even code.
fn encode_one(x: f64) -> u8 {
    let code = match x.abs() {
        a if a <= 0.25 => 0,
        a if a < 0.75 => 1,
        a if a <= 1.25 => 2,
        a if a < 1.75 => 3,
        a if a <= 2.5 => 4,
        a if a < 3.5 => 5,
        a if a <= 5.0 => 6,
        _ => 7,
    };
    code | u8::from(x.is_sign_negative()) << 3
}
// ANCHOR_END: encode

/// Returns ⌊log₂ x⌋ of a number that is not negative, read from its bits. For 0 it returns −200, below every exponent.
fn floor_log2(x: f32) -> i32 {
    // In f64 every f32 except 0 is a normal number.
    let exponent = (f64::from(x).to_bits() >> 52) as i32;
    if exponent == 0 { -200 } else { exponent - 1023 }
}

/// Returns the values that a block has after encoding and decoding.
pub fn round(numbers: &[f32; BLOCK]) -> [f32; BLOCK] {
    let (codes, scale) = encode(numbers);
    std::array::from_fn(|i| decode(codes[i / 2] >> (4 * (i % 2)), scale))
}

/// Encodes a row of numbers and returns the codes and the scales of its blocks.
///
/// # Panics
/// If the length is not a multiple of 32.
pub fn encode_blocks(numbers: &[f32]) -> (Vec<Codes>, Vec<u8>) {
    let (blocks, rest) = numbers.as_chunks::<BLOCK>();
    assert!(rest.is_empty(), "{} numbers are not whole blocks of {BLOCK}", numbers.len());
    blocks.iter().map(encode).unzip()
}
