//! MXFP4: every code with every scale, rounding, and what cannot be represented.
//!
//! Book: [mxfp4](../../book/src/mxfp4.md)

use crate::common::random;
use ossia::kernels;
use ossia::mxfp4::{BLOCK, Codes, NAN_SCALE, VALUES, decode, encode, encode_blocks, scale};
use ossia::tensor::slice;
use proptest::prelude::*;

/// A block from 32 codes.
fn pack(codes: [u8; BLOCK]) -> Codes {
    std::array::from_fn(|i| codes[2 * i] | codes[2 * i + 1] << 4)
}

fn unpack(codes: &Codes, scale_byte: u8) -> [f32; BLOCK] {
    std::array::from_fn(|i| decode(codes[i / 2] >> (4 * (i % 2)), scale_byte))
}

/// The value by its definition: sign, two bits of exponent (bias 1), one of mantissa; in f64, where all are exact.
fn exact(code: u8, scale_byte: u8) -> f64 {
    let (sign, exponent, mantissa) = (code >> 3, i32::from(code >> 1 & 3), f64::from(code & 1));
    let magnitude =
        if exponent == 0 { 0.5 * mantissa } else { (1.0 + 0.5 * mantissa) * f64::from(exponent - 1).exp2() };
    magnitude * f64::from(i32::from(scale_byte) - 127).exp2() * if sign == 1 { -1.0 } else { 1.0 }
}

#[test]
fn mxfp4_decodes_all_codes_with_all_scales_exactly() {
    for scale_byte in 0..=254 {
        for code in 0..16 {
            let (decoded, exact) = (decode(code, scale_byte), exact(code, scale_byte));
            // The cast is exact, except for numbers beyond the largest f32, which become infinite.
            assert_eq!(decoded.to_bits(), (exact as f32).to_bits(), "code {code}, scale {scale_byte}");
            assert!(decoded.is_infinite() || f64::from(decoded) == exact);
        }
    }
    assert!((0..16).all(|code| decode(code, NAN_SCALE).is_nan()));
    assert_eq!([scale(0), scale(127), scale(254)], [2.0_f32.powi(-127), 1.0, 2.0_f32.powi(127)]);
}

#[test]
fn mxfp4_kernels_widen_all_codes_with_all_scales_exactly() {
    let codes = [pack(std::array::from_fn(|i| i as u8 % 16)), pack(std::array::from_fn(|i| 15 - i as u8 % 16))];
    for scale_byte in 0..=254 {
        let mut widened = [0.0; 2 * BLOCK];
        kernels::expand_mxfp4(&codes, &[scale_byte, 254 - scale_byte], &mut widened);
        let expected = [unpack(&codes[0], scale_byte), unpack(&codes[1], 254 - scale_byte)].concat();
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&widened), bits(&expected), "scale {scale_byte}");
    }
}

fn encoded(first: f32) -> (u8, u8) {
    let mut block = [0.0; BLOCK];
    (block[0], block[1]) = (first, 4.0);
    let (codes, scale_byte) = encode(&block);
    (codes[0] & 15, scale_byte)
}

#[test]
fn mxfp4_rounds_to_nearest_ties_to_even() {
    // The 4 beside it makes the scale 1.
    let cases = [
        (0.0, 0),
        (0.25, 0),
        (0.26, 1),
        (0.75, 2),
        (0.74, 1),
        (1.25, 2),
        (1.26, 3),
        (1.75, 4),
        (2.5, 4),
        (2.51, 5),
        (3.5, 6),
        (5.0, 6),
        (5.01, 7),
        (6.0, 7),
        (7.9, 7),
    ];
    for (x, code) in cases {
        assert_eq!(encoded(x), (code, 127), "{x}");
        assert_eq!(encoded(-x), (code | 8, 127), "{}", -x);
    }
    assert_eq!(encoded(8.0), (6, 128), "8 takes the next scale, where it is a 4");
}

#[test]
fn mxfp4_of_zeros_subnormals_and_what_is_no_number() {
    assert_eq!(encode(&[0.0; BLOCK]), (Codes::default(), 0));
    assert_eq!(encode(&[-0.0; BLOCK]), ([0x88; 16], 0));
    let tiny = f32::from_bits(1); // 2⁻¹⁴⁹
    assert_eq!(encode(&[tiny; BLOCK]), (Codes::default(), 0), "far below half of the smallest, 2⁻¹²⁸");
    let smallest = 2.0_f32.powi(-128);
    assert_eq!(encode(&[smallest; BLOCK]), ([0x11; 16], 0));
    assert_eq!(unpack(&[0x11; 16], 0), [smallest; BLOCK]);
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut block = [1.0; BLOCK];
        block[31] = wrong;
        assert_eq!(encode(&block), (Codes::default(), NAN_SCALE));
    }
    let (codes, scale_byte) = encode(&[f32::MAX; BLOCK]);
    assert_eq!((codes, scale_byte), ([0x77; 16], 252), "1.99 · 2¹²⁷ saturates at 6 · 2¹²⁵");
}

/// Whatever its scale, a block is encoded with half a step's error where it is not saturated.
fn assert_error_bound(block: &[f32; BLOCK]) {
    let (codes, scale_byte) = encode(block);
    let step = f64::from(i32::from(scale_byte) - 127).exp2();
    for (x, y) in block.iter().zip(unpack(&codes, scale_byte)) {
        let scaled = f64::from(*x).abs() / step;
        let spacing =
            [(2.0, 0.5), (4.0, 1.0), (f64::INFINITY, 2.0)].into_iter().find(|(end, _)| scaled <= *end).unwrap().1;
        let bound = if scaled > 6.0 { scaled - 6.0 } else { spacing / 2.0 };
        let error = (f64::from(*x) - f64::from(y)).abs() / step;
        assert!(error <= bound + 1e-12, "{x} became {y}, scale {scale_byte}");
        assert!(scaled < 8.0, "the scale is too small for {x}");
    }
}

proptest! {
    #[test]
    fn mxfp4_error_is_bounded(bits in prop::collection::vec(any::<u32>(), BLOCK), exponent in 1_u32..254) {
        // Numbers whose exponents are at most 15 apart, somewhere among all exponents.
        let number = |bits: u32| f32::from_bits((bits & 0x807f_ffff) | exponent.saturating_sub(bits >> 23 & 15) << 23);
        let block: [f32; BLOCK] = std::array::from_fn(|i| number(bits[i]));
        assert_error_bound(&block);
    }

    /// A block with the code 6 or 7, or with the smallest scale, is canonical: decoding and encoding returns its bytes.
    #[test]
    fn mxfp4_encode_inverts_decode(codes in prop::collection::vec(0_u8..16, BLOCK), scale_byte in 0_u8..252) {
        let mut codes: [u8; BLOCK] = codes.try_into().unwrap();
        let block = unpack(&pack(codes), scale_byte);
        let (again, again_scale) = encode(&block);
        prop_assert_eq!(unpack(&again, again_scale), block);
        codes[7] |= 6;
        prop_assert_eq!(encode(&unpack(&pack(codes), scale_byte)), (pack(codes), scale_byte));
    }
}

#[test]
fn mxfp4_blocks_of_a_row_are_independent() {
    let x = random(&[96], 3);
    let (codes, scales) = encode_blocks(slice(&x));
    for (i, block) in slice(&x).as_chunks::<BLOCK>().0.iter().enumerate() {
        assert_eq!((codes[i], scales[i]), encode(block));
    }
    assert_eq!(VALUES.len(), 16);
}
