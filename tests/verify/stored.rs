//! Weights that stay in their file: the same products as with the widened numbers, there and back.
//!
//! Book: [weights](../../book/src/weights.md)

use crate::common::{assert_close, random};
use ndarray::{Array2, ArrayView2};
use ossia::kernels::{Int8Block, scalar};
use ossia::mxfp4::encode_blocks;
use ossia::ops::cross_entropy::cross_entropy;
use ossia::ops::embedding::embedding;
use ossia::ops::grouped_matmul::grouped_matmul;
use ossia::ops::linear::linear;
use ossia::ops::shape::permute;
use ossia::parameter::Value;
use ossia::stored::{Bytes, Numbers, Precision, Rows, StoredWeight};
use ossia::tensor::{Array, Tensor, array, matrix, slice};
use std::sync::Arc;

fn bytes(content: Vec<u8>) -> Bytes {
    Bytes::new(Arc::new(content))
}

/// Random numbers of the given shape in each format that its rows allow.
fn stored(shape: &[usize], row: Rows, seed: u64) -> Vec<Arc<StoredWeight>> {
    let numbers = slice(&random(shape, seed)).to_vec();
    let f32_bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bf16_bytes: Vec<u8> = numbers.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect();
    let mut formats = vec![Numbers::Bf16(bytes(bf16_bytes))];
    let f32_numbers = Numbers::F32(bytes(f32_bytes));
    // An allocation of bytes is aligned in practice; if not, the format is refused, which is what it is for.
    formats.extend(StoredWeight::fits(shape, &f32_numbers).then_some(f32_numbers));
    if shape.last().unwrap().is_multiple_of(32) {
        let (codes, scales) = encode_blocks(&numbers);
        formats.push(Numbers::Mxfp4 { codes: bytes(codes.concat()), scales: bytes(scales) });
    }
    let mut stored: Vec<StoredWeight> =
        formats.into_iter().map(|numbers| StoredWeight::new(shape, row, numbers)).collect();
    if shape.last().unwrap().is_multiple_of(32) {
        stored.push(stored[0].to_int8());
    }
    stored.into_iter().map(Arc::new).collect()
}

fn widened(stored: &StoredWeight) -> Array {
    array(stored.shape(), stored.to_f32())
}

#[test]
fn stored_products_equal_those_of_the_widened_numbers() {
    for (rows, columns) in [(1, 1), (3, 7), (40, 32), (33, 96), (300, 64), (7, 2880)] {
        for stored in stored(&[rows, columns], Rows::Outputs, 1) {
            let dense = widened(&stored);
            for tokens in [0, 1, 2, 4, 5, 9] {
                let x = random(&[tokens, columns], 2);
                let mut y = Array2::ones((tokens, rows));
                stored.all().times_transposed(matrix(&x), y.view_mut());
                let expected = Array2::<f32>::ones((tokens, rows)) + matrix(&x).dot(&matrix(&dense).t());
                assert_close("x·Wᵀ", y.as_slice().unwrap(), expected.as_standard_layout().as_slice().unwrap(), 1e-5);
                let x = random(&[tokens, rows], 3);
                let mut y = Array2::ones((tokens, columns));
                stored.all().times(matrix(&x), y.view_mut());
                let expected = Array2::<f32>::ones((tokens, columns)) + matrix(&x).dot(&matrix(&dense));
                assert_close("x·W", y.as_slice().unwrap(), expected.as_standard_layout().as_slice().unwrap(), 1e-5);
            }
        }
    }
}

/// The gradient of a sum of squares, so that every output counts differently.
fn gradients(y: &Tensor, of: &[&Tensor]) -> Vec<Vec<f32>> {
    let loss = ossia::ops::reduce::sum(&ossia::ops::elementwise::mul(y, y));
    let gradients = loss.backward();
    of.iter().map(|t| slice(gradients.get(t).unwrap()).to_vec()).collect()
}

#[test]
fn stored_linear_layers_equal_trained_ones_there_and_back() {
    for w in stored(&[40, 64], Rows::Outputs, 4) {
        for tokens in [1, 4, 11] {
            let [x, b] = [random(&[tokens, 64], 5), random(&[40], 6)].map(Tensor::parameter);
            let frozen = linear(&x, Value::Stored(w.clone()), Some(&b));
            let trained = linear(&x, Tensor::constant(widened(&w)), Some(&b));
            assert_close("y", frozen.data(), trained.data(), 1e-5);
            for (a, b) in gradients(&frozen, &[&x, &b]).iter().zip(gradients(&trained, &[&x, &b])) {
                assert_close("gradient", a, &b, 1e-5);
            }
        }
    }
}

#[test]
fn stored_experts_equal_trained_ones_there_and_back_in_both_orientations() {
    let offsets = [0, 2, 2, 9, 10]; // the second expert has nobody
    for (row, shape) in [(Rows::Outputs, [4, 40, 32]), (Rows::Inputs, [4, 32, 40])] {
        for w in stored(&shape, row, 7) {
            let [x, b] = [random(&[10, 32], 8), random(&[4, 40], 9)].map(Tensor::parameter);
            let dense = Tensor::constant(widened(&w));
            let dense = if row == Rows::Outputs { permute(&dense, &[0, 2, 1]) } else { dense };
            let value = Value::Stored(w);
            assert_eq!((value.inputs(), value.outputs()), (32, 40));
            let frozen = grouped_matmul(&x, value, &b, &offsets);
            let trained = grouped_matmul(&x, &dense, &b, &offsets);
            assert_close("y", frozen.data(), trained.data(), 1e-5);
            for (a, b) in gradients(&frozen, &[&x, &b]).iter().zip(gradients(&trained, &[&x, &b])) {
                assert_close("gradient", a, &b, 1e-5);
            }
        }
    }
}

#[test]
fn stored_embeddings_and_projections_equal_trained_ones() {
    for w in stored(&[300, 32], Rows::Outputs, 10) {
        let dense = widened(&w);
        let y = embedding(&[7, 0, 299, 7], Value::Stored(w.clone()));
        let rows: Vec<f32> = [7, 0, 299, 7].iter().flat_map(|&id| matrix(&dense).row(id).to_vec()).collect();
        assert_eq!(y.data(), rows);
        let h = Tensor::parameter(random(&[9, 32], 11));
        let targets: Vec<u32> = (0..9).map(|t| t * 33).collect();
        let frozen = cross_entropy(&h, Value::Stored(w.clone()), &targets);
        let trained = cross_entropy(&h, Tensor::constant(dense), &targets);
        assert_close("loss", frozen.data(), trained.data(), 1e-6);
        for (a, b) in gradients(&frozen, &[&h]).iter().zip(gradients(&trained, &[&h])) {
            assert_close("dh", a, &b, 1e-5);
        }
    }
}

/// Returns x as a weight with rows in int8 rounds it.
fn rounded(x: &Array2<f32>) -> Array2<f32> {
    let mut blocks = vec![Int8Block::ZERO; x.len() / 32];
    scalar::quantize_int8(x.as_slice().unwrap(), &mut blocks);
    let mut numbers = vec![0.0; x.len()];
    scalar::expand_int8(&blocks, &mut numbers);
    Array2::from_shape_vec(x.dim(), numbers).unwrap()
}

#[test]
fn stored_products_of_int8_are_those_of_the_rounded_input_for_one_token_and_for_many() {
    for (rows, columns) in [(3, 32), (33, 96), (300, 64), (7, 2880)] {
        for stored in stored(&[rows, columns], Rows::Outputs, 20) {
            let dense = widened(&stored);
            let rounds = !["f32", "bf16"].contains(&stored.numbers().format());
            let fast = (*stored).clone().with_precision(Precision::Fast);
            for tokens in [0, 1, 2, 4, 6, 9, 17] {
                let x = matrix(&random(&[tokens, columns], 21)).to_owned();
                let mut y = Array2::ones((tokens, rows));
                fast.all().times_transposed(x.view(), y.view_mut());
                let seen = if rounds { rounded(&x) } else { x };
                let expected = Array2::<f32>::ones((tokens, rows)) + seen.dot(&matrix(&dense).t());
                assert_close("x·Wᵀ", y.as_slice().unwrap(), expected.as_standard_layout().as_slice().unwrap(), 1e-5);
            }
        }
    }
}

#[test]
fn stored_int8_weights_are_within_half_a_step() {
    let stored = &stored(&[5, 64], Rows::Outputs, 22)[0];
    let int8 = stored.to_int8();
    assert_eq!((int8.numbers().format(), int8.numbers().bytes()), ("int8", 5 * 64 / 32 * 34));
    for (before, after) in stored.to_f32().chunks(32).zip(int8.to_f32().chunks(32)) {
        let largest = before.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        assert!(before.iter().zip(after).all(|(x, y)| (x - y).abs() <= largest * 1.008 / 254.0));
    }
}

#[test]
fn stored_numbers_have_to_fit_their_shape() {
    let of = |n: usize| bytes(vec![0; n]);
    let mxfp4 = |codes, scales| Numbers::Mxfp4 { codes: of(codes), scales: of(scales) };
    assert!(StoredWeight::fits(&[3, 5], &Numbers::Bf16(of(30))));
    assert!(!StoredWeight::fits(&[3, 5], &Numbers::Bf16(of(31))));
    assert!(!StoredWeight::fits(&[15], &Numbers::Bf16(of(30))), "a vector is no weight");
    assert!(StoredWeight::fits(&[3, 64], &mxfp4(96, 6)));
    assert!(!StoredWeight::fits(&[3, 64], &mxfp4(80, 6)) && !StoredWeight::fits(&[64, 3], &mxfp4(96, 6)));
    let shifted = of(64).slice(1..41);
    assert!(!StoredWeight::fits(&[2, 5], &Numbers::F32(shifted)), "f32 at an odd address");
}

#[test]
fn stored_rows_are_views() {
    let view = |x: &[f32]| ArrayView2::from_shape((1, x.len()), x).unwrap().to_owned();
    for w in stored(&[2, 3, 32], Rows::Outputs, 12) {
        let mut row = vec![0.0; 32];
        w.matrix(1).expand_row(2, &mut row);
        assert_eq!(view(&row), view(&w.to_f32()[5 * 32..]));
        assert_eq!((w.matrix(1).dim(), w.rows(), w.columns()), ((3, 32), 6, 32));
    }
}
