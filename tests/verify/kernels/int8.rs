//! Blocks of whole numbers: what rounding costs, and their products on every instruction set.

use super::{assert_sum, numbers};
use crate::common::assert_close;
use ndarray::{Array2, s};
use ossia::kernels::{self, Int8Block, Int8Input, Int8Pair, scalar};
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
        let mut fast = numbers(n, 3);
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

/// A panel of `rows` rows of MXFP4 or int8 from both twins, its scales, and the numbers that it represents.
struct Panel {
    bytes: Vec<[u8; 4]>,
    scales: Vec<f32>,
    numbers: Vec<f32>,
    arrange: fn(&Int8Block) -> Int8Input,
}

fn panels(rows: usize, blocks: usize) -> [Panel; 2] {
    let width = kernels::panel_columns();
    let n = 32 * rows * blocks;
    let codes: Vec<u8> = (0..n / 2).map(|i| ((i as u64 * 2_654_435_761) >> 7) as u8).collect();
    let (codes, w) = (codes.as_chunks::<16>().0, quantized(&numbers(n, 2)));
    let exponents: Vec<u8> = (0..rows * blocks).map(|i| 120 + i as u8 % 16).collect();
    let scale = |of: &dyn Fn(usize) -> f32| {
        let row = |i: usize| (i % width).min(rows - 1) * blocks + i / width;
        (0..width * blocks).map(|i| of(row(i))).collect::<Vec<f32>>()
    };
    let both = |pack: &dyn Fn(&mut [[u8; 4]]), twin: &dyn Fn(&mut [[u8; 4]])| {
        let (mut fast, mut slow) = (vec![[1; 4]; 8 * blocks * width], vec![[2; 4]; 8 * blocks * width]);
        pack(&mut fast);
        twin(&mut slow);
        assert_eq!(fast, slow, "{rows} rows of {blocks} blocks");
        fast
    };
    let mut of_mxfp4 = vec![0.0; n];
    scalar::expand_mxfp4(codes, &exponents, &mut of_mxfp4);
    [
        Panel {
            bytes: both(&|to| kernels::pack_mxfp4(codes, blocks, to), &|to| scalar::pack_mxfp4(codes, blocks, to)),
            scales: scale(&|i| ossia::mxfp4::scale(exponents[i])),
            numbers: of_mxfp4,
            arrange: Int8Input::for_mxfp4,
        },
        Panel {
            bytes: both(&|to| kernels::pack_int8(&w, blocks, to), &|to| scalar::pack_int8(&w, blocks, to)),
            scales: scale(&|i| w[i].scale()),
            numbers: widened(&w),
            arrange: Int8Input::for_int8,
        },
    ]
}

/// Every number of tokens around a tile, and panels that are full and not.
#[test]
fn kernels_of_byte_panels_equal_the_scalar_twin_and_the_numbers() {
    let width = kernels::panel_columns();
    for (rows, blocks) in [(1, 1), (width - 1, 3), (width, 2), (3, 90)] {
        for panel in panels(rows, blocks) {
            let largest = panel.bytes.iter().flatten().max().unwrap();
            if kernels::largest_byte() > 0 && *largest > kernels::largest_byte() {
                continue; // such a product is not computed with bytes on this instruction set
            }
            for tokens in [0, 1, 2, 3, 5, 6, 7, 13] {
                let x = quantized(&numbers(32 * tokens * blocks, 1));
                let inputs = x.iter().map(panel.arrange).collect();
                let inputs = Array2::from_shape_vec((tokens, blocks), inputs).unwrap();
                let (mut fast, mut slow) = (Array2::ones((tokens, rows + 1)), Array2::ones((tokens, rows + 1)));
                let (to_fast, to_slow) = (fast.slice_mut(s![.., ..rows]), slow.slice_mut(s![.., ..rows]));
                kernels::multiply_bytes(inputs.view(), &panel.bytes, &panel.scales, to_fast);
                scalar::multiply_bytes(inputs.view(), &panel.bytes, &panel.scales, to_slow);
                assert_close("byte panel", fast.as_slice().unwrap(), slow.as_slice().unwrap(), 1e-5);
                let (x, length) = (widened(&x), 32 * blocks);
                for ((t, row), y) in fast.indexed_iter().filter(|((_, row), _)| *row < rows) {
                    let (x, w) = (&x[t * length..][..length], &panel.numbers[row * length..][..length]);
                    let products = x.iter().zip(w).map(|(x, w)| x * w);
                    assert_sum("its numbers", length, y - 1.0, products.clone().sum(), products.chain([1.0]));
                }
            }
        }
    }
}

/// The largest sums of bytes there are: no step of them may overflow or saturate.
#[test]
fn kernels_of_byte_panels_hold_the_largest_products() {
    let width = kernels::panel_columns();
    for x in [127, -127_i8] {
        let block = Int8Block { codes: [x; 32], scale: [0x80, 0x3f] };
        for (input, byte, offset) in [(Int8Input::for_mxfp4(&block), 24, 12), (Int8Input::for_int8(&block), 255, 128)] {
            if kernels::largest_byte() > 0 && byte > kernels::largest_byte() {
                continue;
            }
            let inputs = Array2::from_elem((1, 1), input);
            for byte in [0, byte] {
                let mut y = Array2::zeros((1, width));
                kernels::multiply_bytes(inputs.view(), &vec![[byte; 4]; 8 * width], &vec![1.0; width], y.view_mut());
                let expected = 32.0 * f32::from(x) * input.scale * (f32::from(byte) - offset as f32);
                assert!(y.iter().all(|y| *y == expected), "{x} times {byte}: {y} and not {expected}");
            }
        }
    }
}
