//! Blocks of whole numbers: what rounding costs, and their products on every instruction set.

use super::{assert_sum, numbers};
use crate::common::assert_close;
use ossia::kernels::{self, Int8Block, Int8Pair, scalar};
use proptest::prelude::*;

fn quantized(x: &[f32]) -> Vec<Int8Block> {
    let mut blocks = vec![Int8Block::ZERO; x.len() / 32];
    kernels::quantize_int8(x, &mut blocks);
    blocks
}

fn widened(blocks: &[Int8Block]) -> Vec<f32> {
    let mut numbers = vec![0.0; 32 * blocks.len()];
    scalar::expand_int8(blocks, &mut numbers);
    numbers
}

/// The same blocks from both twins; each number at most half a step off, and the step within a bf16 of the smallest.
fn assert_quantized(x: &[f32; 32]) {
    let block = quantized(x)[0];
    let mut twin = [Int8Block::ZERO];
    scalar::quantize_int8(x, &mut twin);
    assert_eq!(block, twin[0], "of {x:?}");
    let largest = x.iter().fold(0.0_f64, |largest, x| largest.max(f64::from(x.abs())));
    let scale = f64::from(block.scale());
    assert!(
        scale == 0.0 && largest < 1.5e-36 || (1.0..1.008).contains(&(scale * 127.0 / largest)),
        "{scale}, {largest}"
    );
    for (x, y) in x.iter().zip(widened(&[block])) {
        let error = (f64::from(*x) - f64::from(y)).abs();
        assert!(error <= 0.500_001 * scale || scale == 0.0, "{x} became {y}, scale {scale}");
    }
    assert!(block.codes.iter().all(|code| (-127..=127).contains(code)));
}

proptest! {
    #[test]
    fn kernels_int8_rounds_to_the_nearest(bits in prop::collection::vec(any::<u32>(), 32), exponent in 1_u32..254) {
        // Numbers whose exponents are at most 15 apart, somewhere among all exponents.
        let number = |bits: u32| f32::from_bits((bits & 0x807f_ffff) | exponent.saturating_sub(bits >> 23 & 15) << 23);
        assert_quantized(&std::array::from_fn(|i| number(bits[i])));
    }
}

#[test]
fn kernels_int8_keeps_zeros_and_what_is_not_finite() {
    assert_eq!(quantized(&[0.0; 32])[0], Int8Block::ZERO);
    assert_quantized(&[f32::MIN_POSITIVE / 2.0; 32]);
    assert_quantized(&std::array::from_fn(|i| if i == 7 { f32::MAX } else { -1.0 }));
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in [0, 13, 31] {
            let mut x = [1.0; 64];
            x[place] = odd;
            let mut twins = [Int8Block::ZERO; 2];
            scalar::quantize_int8(&x, &mut twins);
            assert_eq!(quantized(&x), twins);
            assert!(widened(&twins)[..32].iter().all(|x| x.is_nan()), "{odd} at {place} poisons its block");
            assert_eq!(twins[1].codes, [126; 32], "and no other; 127 steps of a bf16 are a little more than 1");
        }
    }
}

#[test]
fn kernels_of_int8_equal_the_scalar_twin_on_every_length() {
    for blocks in [0, 1, 2, 3, 4, 5, 8, 90] {
        let n = 32 * blocks;
        let (x, w) = (numbers(n, 1), quantized(&numbers(n, 2)));
        let numbers_of_w = widened(&w);
        let products = x.iter().zip(&numbers_of_w).map(|(x, w)| x * w);
        assert_sum("dot_int8", n, kernels::dot_int8(&x, &w), scalar::dot_int8(&x, &w), products);
        let (mut fast, mut slow) = (numbers(n, 3), numbers(n, 3));
        kernels::axpy_int8(0.7, &w, &mut fast);
        scalar::axpy_int8(0.7, &w, &mut slow);
        assert_close("axpy_int8", &fast, &slow, 1e-6);
        kernels::expand_int8(&w, &mut fast);
        assert_eq!(fast, numbers_of_w, "expand_int8");
        let x = quantized(&x);
        let products =
            || widened(&x).into_iter().zip(&numbers_of_w).map(|(x, w)| x * w).collect::<Vec<f32>>().into_iter();
        let (fast, slow) = (kernels::dot_int8_int8(&x, &w), scalar::dot_int8_int8(&x, &w));
        assert_sum("dot_int8_int8", n, fast, slow, products());
        assert_sum("int8 and its numbers", n, slow, products().sum(), products());
    }
}

#[test]
fn kernels_of_int8_and_mxfp4_equal_the_scalar_twin_on_every_length_and_alignment() {
    for blocks in [0, 1, 2, 3, 5, 90] {
        let n = 32 * blocks;
        let bytes: Vec<u8> = numbers(16 * blocks + 4, 2).iter().flat_map(|x| x.to_le_bytes()).collect();
        let scales: Vec<u8> = (0..blocks).map(|i| 120 + i as u8 % 16).collect();
        let blocks_of_x = quantized(&numbers(n, 1));
        let x = Int8Pair::of_row(&blocks_of_x);
        for start in 0..9 {
            let codes = bytes[start..start + 16 * blocks].as_chunks::<16>().0;
            let mut w = vec![0.0; n];
            scalar::expand_mxfp4(codes, &scales, &mut w);
            let products = || widened(&blocks_of_x).into_iter().zip(&w).map(|(x, w)| x * w).collect::<Vec<f32>>();
            let (fast, slow) =
                (kernels::dot_int8_mxfp4(&x, codes, &scales), scalar::dot_int8_mxfp4(&x, codes, &scales));
            assert_sum("dot_int8_mxfp4", n, fast, slow, products().into_iter());
            assert_sum("int8, mxfp4 and their numbers", n, slow, products().iter().sum(), products().into_iter());
        }
    }
}

/// The largest sums there are: no step of them may overflow or saturate.
#[test]
fn kernels_of_int8_hold_the_largest_products() {
    for (x, w) in [(127, 127), (127, -127), (-127, 127), (-127, -127), (-127, 0)] {
        let block = |code: i8| Int8Block { codes: [code; 32], scale: [0x80, 0x3f] };
        let expected = 32.0 * f32::from(x) * f32::from(w);
        assert_eq!(kernels::dot_int8_int8(&[block(x)], &[block(w)]), expected);
        assert_eq!(kernels::dot_int8(&[f32::from(x); 32], &[block(w)]), expected);
        let pair = Int8Pair::new([&block(x), &block(x)]);
        for code in 0..16_u8 {
            let codes = [[code << 4 | code; 16]; 2];
            let expected = 64.0 * f32::from(x) * ossia::mxfp4::VALUES[usize::from(code)];
            assert_eq!(kernels::dot_int8_mxfp4(&[pair], &codes, &[127, 127]), expected, "{x} · code {code}");
        }
    }
}
