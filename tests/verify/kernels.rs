//! Every primitive equals its scalar twin, on every length around a register, and on the numbers that are special.
//!
//! Book: [simd](../../book/src/simd.md)

#[path = "kernels/heads.rs"] // found from `tests/unsafe_code` as well
mod heads;
#[path = "kernels/int8.rs"]
mod int8;
#[path = "kernels/softmax.rs"]
mod softmax;
#[path = "kernels/strips.rs"]
mod strips;

use crate::common::{assert_close, random};
use ndarray::{Array2, ArrayView2, s};
use ossia::kernels::{self, AdamWStep, Isa, choose, gemm, gemm_in_pieces, par_gemm, scalar};
use ossia::tensor::slice;

const LENGTHS: [usize; 14] = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 1000];

fn numbers(n: usize, seed: u64) -> Vec<f32> {
    slice(&random(&[n], seed)).to_vec()
}

/// Checks a sum of these terms. Rounding may cost a few ulps of the sum of their magnitudes.
fn assert_sum(name: &str, n: usize, actual: f32, expected: f32, terms: impl Iterator<Item = f32>) {
    let magnitude: f32 = terms.map(f32::abs).sum();
    assert!((actual - expected).abs() <= 1e-6 * magnitude, "{name}, length {n}: {actual}; expected {expected}");
}

#[test]
fn kernels_run_on_the_best_instruction_set_and_say_which() {
    let isa = kernels::selected().unwrap();
    println!("kernels tests exercise {} (force another with OSSIA_ISA)", isa.name());
    if std::env::var_os("OSSIA_ISA").is_none() {
        assert_eq!(Some(&isa), Isa::available().last());
    }
}

/// Runs this program once more for each instruction set of x86, with the tests of all kernels. `.ci/run` does it for ARM and WebAssembly.
#[cfg(target_arch = "x86_64")]
#[test]
fn every_instruction_set_passes_the_tests_of_the_kernels() {
    for isa in Isa::ALL {
        if !isa.is_available() {
            println!(
                "SKIPPED: the kernels for {} were not tested, because this processor does not have it",
                isa.name()
            );
            continue;
        }
        let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
        let output = tests.args(["kernels_", "mxfp4_", "stored_"]).env("OSSIA_ISA", isa.name()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !text.contains(" 0 passed"), "OSSIA_ISA={}: {text}", isa.name());
        println!("{}: {}", isa.name(), text.lines().last().unwrap_or_default());
    }
}

#[test]
fn kernels_choice_is_a_function_of_what_is_asked_and_what_is_there() {
    let both = [Isa::Scalar, Isa::Avx2];
    assert_eq!(choose(None, &both), Ok(Isa::Avx2));
    assert_eq!(choose(None, &[Isa::Scalar]), Ok(Isa::Scalar));
    assert_eq!(choose(Some("scalar"), &both), Ok(Isa::Scalar));
    assert_eq!(choose(Some("avx2"), &both), Ok(Isa::Avx2));
    let error = choose(Some("avx2"), &[Isa::Scalar]).unwrap_err();
    assert_eq!(error.to_string(), "OSSIA_ISA=avx2: this machine has scalar; unset it or name one of these");
    assert!(choose(Some("AVX-9"), &both).is_err());
}

#[test]
fn kernels_sums_equal_the_scalar_twin() {
    for n in LENGTHS {
        let (a, b, c) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
        let products = || a.iter().zip(&b).map(|(a, b)| a * b);
        assert_sum("dot", n, kernels::dot(&a, &b), scalar::dot(&a, &b), products());
        let triples = products().zip(&c).map(|(ab, c)| ab * c);
        assert_sum("dot3", n, kernels::dot3(&a, &b, &c), scalar::dot3(&a, &b, &c), triples);
        assert_sum("sum", n, kernels::sum(&a), scalar::sum(&a), a.iter().copied());
        assert_eq!(kernels::max(&a), scalar::max(&a), "max, length {n}");
    }
    for n in LENGTHS {
        let rows: Vec<Vec<f32>> = (1..8).map(|seed| numbers(n, seed)).collect();
        let (x, w) = (std::array::from_fn(|i| &rows[i][..]), std::array::from_fn(|j| &rows[4 + j][..]));
        let (fast, slow) = (kernels::dots(x, w), scalar::dots(x, w));
        for (i, j) in (0..4).flat_map(|i| (0..3).map(move |j| (i, j))) {
            let products = x[i].iter().zip(w[j]).map(|(x, w)| x * w);
            assert_sum("dots", n, fast[i][j], slow[i][j], products);
        }
    }
    assert_eq!(kernels::max(&[]), f32::NEG_INFINITY);
    assert_eq!(kernels::max(&[f32::NEG_INFINITY; 9]), f32::NEG_INFINITY);
}

#[test]
fn kernels_of_unaligned_slices_are_the_same_numbers() {
    let (a, b) = (numbers(200, 1), numbers(200, 2));
    for start in 0..9 {
        let shifted: Vec<f32> = a[start..start + 77].to_vec();
        let direct = kernels::dot(&a[start..start + 77], &b[5..82]);
        assert_eq!(direct.to_bits(), kernels::dot(&shifted, &b[5..82]).to_bits(), "start {start}");
    }
}

/// A NaN is not the largest number, and does not hide it, wherever both are.
#[test]
fn kernels_max_ignores_nan() {
    for n in LENGTHS {
        let plain = numbers(n, 1);
        // A register has at most 16 numbers; the ends are where loops begin and end.
        let places: Vec<usize> = (0..n).filter(|&i| i < 33 || i + 33 >= n).collect();
        for (&nan, &largest) in places.iter().flat_map(|nan| places.iter().map(move |largest| (nan, largest))) {
            let mut x = plain.clone();
            x[largest] = 100.0;
            x[nan] = f32::NAN;
            assert_eq!(kernels::max(&x).to_bits(), scalar::max(&x).to_bits(), "{n}: NaN at {nan}, 100 at {largest}");
        }
    }
    assert_eq!(kernels::max(&[f32::NAN; 9]), f32::NEG_INFINITY);
}

#[test]
fn kernels_updates_equal_the_scalar_twin() {
    for n in LENGTHS {
        let (x, w) = (numbers(n, 1), numbers(n, 2));
        let (mut fast, mut slow) = (numbers(n, 3), numbers(n, 3));
        kernels::axpy(0.7, &x, &mut fast);
        scalar::axpy(0.7, &x, &mut slow);
        assert_close("axpy", &fast, &slow, 1e-6);
        kernels::scale(-1.3, &mut fast);
        scalar::scale(-1.3, &mut slow);
        assert_close("scale", &fast, &slow, 1e-6);
        kernels::scaled_product(0.3, &x, &w, &mut fast);
        scalar::scaled_product(0.3, &x, &w, &mut slow);
        assert_close("scaled_product", &fast, &slow, 1e-6);
    }
}

#[test]
fn kernels_exp_is_within_two_ulps_everywhere_it_is_used() {
    let x: Vec<f32> = (-8_699..8_830).map(|i| i as f32 * 0.01).collect();
    let mut y = x.clone();
    kernels::exp_sum(&mut y, 0.0);
    for (x, y) in x.iter().zip(&y) {
        let exact = f64::from(*x).exp();
        let ulp = f64::from((exact as f32).next_up() - exact as f32);
        assert!((f64::from(*y) - exact).abs() <= 2.0 * ulp, "exp({x}) is {y}; expected {exact}");
    }
}

#[test]
fn kernels_exp_at_its_ends() {
    let mut x = [f32::NEG_INFINITY, -1e30, -88.0, 0.0, -0.0, 100.0, f32::INFINITY, f32::NAN, 1.0];
    kernels::exp_sum(&mut x, 0.0);
    assert_eq!(&x[..3], [0.0, 0.0, x[2]]);
    assert!(x[2] < 1e-37, "below -87 it fades to 0");
    assert_eq!(&x[3..7], [1.0, 1.0, f32::INFINITY, f32::INFINITY]);
    assert!(x[7].is_nan(), "NaN stays");
    assert!((x[8] - std::f32::consts::E).abs() < 1e-6);
}

#[test]
fn kernels_exp_sum_equals_the_scalar_twin() {
    for n in LENGTHS {
        let (mut fast, mut slow) = (numbers(n, 4), numbers(n, 4));
        let total = kernels::exp_sum(&mut fast, 1.5);
        let expected = scalar::exp_sum(&mut slow, 1.5);
        assert_close("exp", &fast, &slow, 1e-6);
        assert_sum("exp_sum", n, total, expected, slow.iter().copied());
    }
}

#[test]
fn kernels_swiglu_equals_the_scalar_twin_there_and_back() {
    for n in LENGTHS {
        let gate_up: Vec<f32> = numbers(2 * n, 5).iter().map(|x| 6.0 * x).collect();
        let dy = numbers(n, 6);
        let (mut fast, mut slow) = (vec![0.0; n], vec![0.0; n]);
        kernels::swiglu(&gate_up, 1.702, 7.0, &mut fast);
        scalar::swiglu(&gate_up, 1.702, 7.0, &mut slow);
        assert_close("swiglu", &fast, &slow, 2e-6);
        let (mut fast, mut slow) = (vec![0.0; 2 * n], vec![0.0; 2 * n]);
        kernels::swiglu_backward(&gate_up, &dy, 1.702, 7.0, &mut fast);
        scalar::swiglu_backward(&gate_up, &dy, 1.702, 7.0, &mut slow);
        assert_close("swiglu_backward", &fast, &slow, 2e-6);
    }
    let mut y = [0.0];
    kernels::swiglu(&[f32::NAN, 1.0], 1.702, 7.0, &mut y);
    assert!(y[0].is_nan(), "a clamp does not hide NaN");
    scalar::swiglu(&[f32::NAN, 1.0], 1.702, 7.0, &mut y);
    assert!(y[0].is_nan(), "nor does the twin's");
}

/// The tail of a slice is done as whole groups are: what a token gets does not depend on its place in a batch.
#[test]
fn kernels_give_a_number_the_same_bits_wherever_it_stands() {
    let (x, dy) = (numbers(2 * 1_003, 7), numbers(1_003, 8));
    let swiglu = |x: &[f32]| {
        let mut y = vec![0.0; x.len() / 2];
        kernels::swiglu(x, 1.702, 7.0, &mut y);
        y
    };
    let swiglu_back = |x: &[f32], dy: &[f32]| {
        let mut dx = vec![0.0; x.len()];
        kernels::swiglu_backward(x, dy, 1.702, 7.0, &mut dx);
        dx
    };
    let exp = |x: &[f32]| {
        let mut y = x.to_vec();
        kernels::exp_sum(&mut y, 0.3);
        y
    };
    let axpy = |x: &[f32], y: &[f32]| {
        let mut y = y.to_vec();
        kernels::axpy(0.7, x, &mut y);
        y
    };
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let (y, dx, e, sum) = (swiglu(&x), swiglu_back(&x, &dy), exp(&dy), axpy(&x[..1_003], &dy));
    for i in 0..1_003 {
        let pair = 2 * i..2 * i + 2;
        assert_eq!(bits(&swiglu(&x[pair.clone()])), bits(&y[i..=i]), "swiglu, number {i}");
        assert_eq!(bits(&swiglu_back(&x[pair.clone()], &dy[i..=i])), bits(&dx[pair]), "swiglu_backward, number {i}");
        assert_eq!(bits(&exp(&dy[i..=i])), bits(&e[i..=i]), "exp_sum, number {i}");
        assert_eq!(bits(&axpy(&x[i..=i], &dy[i..=i])), bits(&sum[i..=i]), "axpy, number {i}");
    }
}

#[test]
fn kernels_adamw_equals_the_scalar_twin() {
    let step = AdamWStep {
        keep: 0.9999,
        one_minus_beta1: 0.1,
        beta2: 0.95,
        one_minus_beta2: 0.05,
        step_size: 0.01,
        root_correction: 0.3,
        epsilon: 1e-8,
        gradient_scale: 0.5,
    };
    for n in LENGTHS {
        let gradient = numbers(n, 1);
        let (mut w, mut m, mut v) = (numbers(n, 2), numbers(n, 3), vec![0.1; n]);
        let (mut w2, mut m2, mut v2) = (w.clone(), m.clone(), v.clone());
        kernels::adamw(&step, &gradient, &mut w, &mut m, &mut v);
        scalar::adamw(&step, &gradient, &mut w2, &mut m2, &mut v2);
        assert_close("w", &w, &w2, 1e-6);
        assert_close("m", &m, &m2, 1e-6);
        assert_close("v", &v, &v2, 1e-6);
    }
}

fn matrix(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), numbers(rows * columns, seed)).unwrap()
}

/// The product in the plainest way, in f64.
fn product(a: ArrayView2<f32>, b: ArrayView2<f32>) -> Vec<f32> {
    let at = |i: usize, j: usize| (0..a.ncols()).map(|k| f64::from(a[[i, k]]) * f64::from(b[[k, j]])).sum::<f64>();
    (0..a.nrows()).flat_map(|i| (0..b.ncols()).map(move |j| at(i, j) as f32)).collect()
}

#[test]
fn kernels_gemm_equals_the_definition_for_every_cut_and_transpose() {
    for (m, k, n) in
        [(0, 3, 2), (1, 1, 1), (1, 40, 300), (300, 7, 1), (130, 33, 70), (65, 0, 5), (600, 9, 31), (37, 600, 45)]
    {
        let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
        let expected = product(a.view(), b.view());
        let (a_t, b_t) = (a.t().as_standard_layout().to_owned(), b.t().as_standard_layout().to_owned());
        for (a, b) in [(a.view(), b.view()), (a_t.t(), b.view()), (a.view(), b_t.t()), (a_t.t(), b_t.t())] {
            let mut c = Array2::from_elem((m, n), f32::NAN); // β = 0 must not read it
            par_gemm(1.0, a, b, 0.0, c.view_mut());
            assert_close("par_gemm", c.as_slice().unwrap(), &expected, 1e-5);
            gemm(2.0, a, b, 1.0, c.view_mut());
            let threefold: Vec<f32> = expected.iter().map(|x| 3.0 * x).collect();
            assert_close("2ab + c", c.as_slice().unwrap(), &threefold, 1e-5);
        }
    }
}

#[test]
fn kernels_gemm_in_pieces_has_the_bits_of_one_piece() {
    for (m, n) in [(700, 130), (130, 700), (64, 64), (33, 1), (1, 70), (0, 5)] {
        let (a, b) = (matrix(m, 90, 1), matrix(90, n, 2));
        let mut one = Array2::zeros((m, n));
        gemm(1.0, a.view(), b.view(), 0.0, one.view_mut());
        for pieces in [1, 2, 8, 32, 1000] {
            let mut many = Array2::ones((m, n));
            gemm_in_pieces(1.0, a.view(), b.view(), 0.0, many.view_mut(), pieces);
            assert_eq!(one, many, "({m}, {n}) in {pieces} pieces");
        }
    }
}

/// Panels of every width and depth around a tile, of a matrix that is stored by rows, by columns, or neither.
#[test]
fn kernels_of_panels_equal_the_scalar_twin() {
    let width = kernels::panel_columns();
    for (m, k, n) in
        [(0, 3, 2), (1, 1, 1), (2, 0, 5), (5, 17, 16), (6, 16, 15), (11, 33, 31), (12, 8, 32), (40, 300, 9)]
    {
        let n = n.min(width);
        let wide = matrix(k, 2 * n + 1, 1);
        let by_columns = wide.slice(s![.., ..n]).t().as_standard_layout().to_owned();
        for b in [wide.slice(s![.., 1..n + 1]), by_columns.t(), wide.slice(s![.., ..2 * n; 2])] {
            let (mut fast, mut slow) = (vec![f32::NAN; k * width], vec![f32::NAN; k * width]);
            kernels::pack_panel(b, &mut fast);
            scalar::pack_panel(b, &mut slow);
            assert_eq!(fast, slow, "({k}, {n})");
            let packed = fast;
            let transposed = matrix(k, m, 2);
            for (a, add) in [(matrix(m, k, 2).view(), false), (transposed.t(), true)] {
                let (mut fast, mut slow) = (matrix(m, n + 1, 3), matrix(m, n + 1, 3));
                kernels::multiply_panel(0.7, a, &packed, add, fast.slice_mut(s![.., ..n]));
                scalar::multiply_panel(0.7, a, &packed, add, slow.slice_mut(s![.., ..n]));
                assert_close("panel", fast.as_slice().unwrap(), slow.as_slice().unwrap(), 1e-5);
            }
        }
    }
}

#[test]
#[should_panic(expected = "lengths do not fit")]
fn kernels_refuse_slices_of_different_lengths() {
    kernels::dot(&[1.0, 2.0], &[1.0]);
}

/// Bytes that begin at every address: a file may put bf16 anywhere.
#[test]
fn kernels_of_bf16_equal_the_scalar_twin_on_every_length_and_alignment() {
    for n in LENGTHS {
        let x = numbers(n, 1);
        for start in 0..9 {
            let upper_halves = numbers(n, 2).into_iter().flat_map(|x| [x.to_le_bytes()[2], x.to_le_bytes()[3]]);
            let bytes: Vec<u8> = vec![0; start].into_iter().chain(upper_halves).collect();
            let w = bytes[start..].as_chunks::<2>().0;
            let products = x.iter().zip(w).map(|(x, &w)| x * kernels::bf16(w));
            assert_sum("dot_bf16", n, kernels::dot_bf16(&x, w), scalar::dot_bf16(&x, w), products);
            let (mut fast, mut slow) = (numbers(n, 3), numbers(n, 4));
            kernels::expand_bf16(w, &mut fast);
            scalar::expand_bf16(w, &mut slow);
            assert_eq!(fast, slow, "expand_bf16");
        }
    }
}

#[test]
fn kernels_widen_every_bf16_as_half_does() {
    let all: Vec<[u8; 2]> = (0..=u16::MAX).map(u16::to_le_bytes).collect();
    let mut widened = vec![0.0; all.len()];
    kernels::expand_bf16(&all, &mut widened);
    for (w, x) in all.iter().zip(&widened) {
        assert_eq!(x.to_bits(), u32::from(u16::from_le_bytes(*w)) << 16);
        let half = half::bf16::from_le_bytes(*w);
        assert!(half.to_f32() == *x || half.is_nan() && x.is_nan());
    }
}

#[test]
fn kernels_of_mxfp4_equal_the_scalar_twin_on_every_length_and_alignment() {
    for blocks in [0, 1, 2, 3, 5, 90] {
        let (n, bytes) =
            (32 * blocks, numbers(16 * blocks + 4, 2).iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        let (x, scales) = (numbers(n, 1), (0..blocks).map(|i| 120 + i as u8 % 16).collect::<Vec<u8>>());
        for start in 0..9 {
            let codes = bytes[start..start + 16 * blocks].as_chunks::<16>().0;
            let mut w = vec![0.0; n];
            scalar::expand_mxfp4(codes, &scales, &mut w);
            let products = x.iter().zip(&w).map(|(x, w)| x * w);
            let mut arranged = vec![9.0; n.next_multiple_of(64)];
            kernels::arrange_mxfp4(&x, &mut arranged);
            let (fast, slow) = (kernels::dot_mxfp4(&arranged, codes, &scales), scalar::dot_mxfp4(&x, codes, &scales));
            assert_sum("dot_mxfp4", n, fast, slow, products);
            let mut fast = numbers(n, 3);
            kernels::expand_mxfp4(codes, &scales, &mut fast);
            assert_eq!(fast, w, "expand_mxfp4");
        }
    }
}
