//! Products on all threads are those of one thread, and new numbers are zero until they are filled.

use super::matrix;
use ndarray::{Array2, ArrayView1, s};
use ossia::kernels::{gemm, par_gemm, par_grouped_product, par_product, parallel};

/// One matrix, and a matrix for each of four groups of rows, one of which has no row.
#[test]
fn kernels_products_in_strips_have_the_bits_of_one_thread() {
    for (m, k, n) in [(0, 5, 3), (1, 5, 3), (95, 70, 40), (96, 300, 70), (700, 33, 600), (200, 0, 5)] {
        let a = matrix(m, k, 1);
        let offsets = [0, m / 3, m / 3, m - m / 5, m];
        let b: Vec<_> = (0..4).map(|group| matrix(n, k, 2 + group)).collect();
        let bias = matrix(4, n, 9).into_raw_vec_and_offset().0;
        let mut expected = Array2::zeros((m, n));
        let mut of_first = Array2::zeros((m, n));
        gemm(1.0, a.view(), b[0].t(), 0.0, of_first.view_mut());
        for group in 0..4 {
            let rows = offsets[group]..offsets[group + 1];
            let mut y = expected.slice_mut(s![rows.clone(), ..]);
            y.rows_mut().into_iter().for_each(|mut row| row.assign(&ArrayView1::from(&bias[group * n..][..n])));
            gemm(1.0, a.slice(s![rows, ..]), b[group].t(), 1.0, y);
        }
        let grouped = par_grouped_product(a.view(), &offsets, (k, n), |group| b[group].t(), Some(&bias));
        assert_eq!(grouped, expected, "groups of {m} × {k} × {n}");
        assert_eq!(par_product(a.view(), b[0].t(), None), of_first, "{m} × {k} × {n}");
        let mut in_place = Array2::from_elem((m, n), f32::NAN);
        par_gemm(1.0, a.view(), b[0].t(), 0.0, in_place.view_mut());
        assert_eq!(in_place, of_first, "in place, {m} × {k} × {n}");
        // A transposed A, another factor, and a result that is added to.
        let a_t = a.t().as_standard_layout().to_owned();
        let (mut added, mut expected) = (of_first.clone(), of_first);
        gemm(0.5, a_t.t(), b[1].t(), 1.0, expected.view_mut());
        par_gemm(0.5, a_t.t(), b[1].t(), 1.0, added.view_mut());
        assert_eq!(added, expected, "added, {m} × {k} × {n}");
    }
}

#[test]
#[should_panic(expected = "does not make C")]
fn kernels_products_in_strips_need_matrices_that_fit() {
    let (a, b) = (matrix(100, 7, 1), matrix(8, 5, 2));
    par_gemm(1.0, a.view(), b.view(), 0.0, Array2::zeros((100, 5)).view_mut());
}

#[test]
#[should_panic(expected = "bias")]
fn kernels_products_in_strips_need_a_bias_that_fits() {
    let (a, b) = (matrix(100, 7, 1), matrix(7, 5, 2));
    par_product(a.view(), b.view(), Some(&[0.0; 6]));
}

#[test]
fn kernels_new_numbers_are_zero_until_they_are_filled() {
    drop(vec![f32::NAN; 10_000]); // what the allocator may hand out again
    let add = |i: usize, piece: &mut [f32]| piece.iter_mut().for_each(|x| *x += i as f32);
    let pieces = parallel::build(10_000, 999, add);
    assert!(pieces.iter().enumerate().all(|(i, x)| *x == (i / 999) as f32));
    assert_eq!(parallel::build_runs(&[2, 0, 1], add), [0.0, 0.0, 2.0]);
    let (a, b) = parallel::build2((5, 2), (3, 1), |i, a, b| {
        add(i, a);
        b[0] += 10.0 * i as f32;
    });
    assert_eq!((a, b), (vec![0.0, 0.0, 1.0, 1.0, 2.0], vec![0.0, 10.0, 20.0]));
    assert!(parallel::build(0, 7, add).is_empty());
}
