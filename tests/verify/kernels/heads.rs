//! A few rows and a matrix, in place.

use super::numbers;
use crate::common::assert_close;
use ossia::kernels::{self, scalar};

#[test]
fn kernels_of_a_few_heads_and_many_keys_equal_the_scalar_twin() {
    for (heads, keys, dim) in [(1, 1, 1), (2, 3, 7), (3, 4, 8), (4, 5, 64), (5, 9, 48), (8, 10, 64), (9, 131, 12)] {
        let name = format!("{heads} heads, {keys} keys of {dim}");
        let (q, k) = (numbers(heads * dim, 1), numbers(keys * dim, 2));
        let (mut fast, mut slow) = (vec![f32::NAN; heads * keys], vec![f32::NAN; heads * keys]);
        kernels::head_scores(&q, &k, dim, &mut fast);
        scalar::head_scores(&q, &k, dim, &mut slow);
        assert_close(&format!("scores, {name}"), &fast, &slow, 1e-6);
        let (mut fast, mut slow) = (numbers(heads * dim, 3), numbers(heads * dim, 3));
        let p = numbers(heads * keys, 4);
        kernels::head_values(&p, &k, dim, &mut fast);
        scalar::head_values(&p, &k, dim, &mut slow);
        assert_close(&format!("values, {name}"), &fast, &slow, 2e-6);
    }
}

#[test]
fn kernels_add_rows_of_a_part_of_a_matrix() {
    for (rows, columns, stride) in
        [(0, 5, 5), (1, 0, 3), (1, 7, 9), (3, 16, 16), (4, 33, 40), (6, 64, 64), (9, 48, 100)]
    {
        let (x, w) = (numbers(rows, 1), numbers(rows * stride, 2));
        let w = &w[..rows.saturating_sub(1) * stride + columns.min(rows * stride)]; // the last row ends with its part
        let (mut fast, mut slow) = (numbers(columns, 3), numbers(columns, 3));
        kernels::add_rows(&x, w, stride, &mut fast);
        scalar::add_rows(&x, w, stride, &mut slow);
        assert_close(&format!("{rows} rows of {columns}, {stride} apart"), &fast, &slow, 2e-6);
    }
}
