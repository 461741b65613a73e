//! Tokens to their experts, the grouped product, and back.
//!
//! Book: [experts](../../book/src/experts.md)

use crate::common::{Reference, TOLERANCE, assert_close, assert_derivative, random};
use ossia::ops::dispatch::{Dispatch, combine, gather};
use ossia::ops::elementwise::{add, mul};
use ossia::ops::grouped_matmul::grouped_matmul;
use ossia::ops::linear::matmul;
use ossia::ops::shape::{concat, narrow, reshape};
use ossia::ops::swiglu::swiglu;
use ossia::tensor::{Tensor, slice};
use std::sync::Arc;

fn forward(t: &[Tensor], dispatch: &Arc<Dispatch>) -> Tensor {
    let visits = gather(&t[0], dispatch);
    let inner = swiglu(&grouped_matmul(&visits, &t[2], &t[3], &dispatch.offsets), 1.702, 7.0);
    combine(&grouped_matmul(&inner, &t[4], &t[5], &dispatch.offsets), &t[1], dispatch)
}

#[test]
fn experts_match_transformers_also_with_one_that_nobody_visits() {
    let reference = Reference::open("experts");
    let names = ["x", "weights", "gate_up_proj", "gate_up_proj_bias", "down_proj", "down_proj_bias"];
    let dispatch = Arc::new(Dispatch::new(&reference.ids("indices"), 5, 2));
    assert_eq!(dispatch.load()[3], 0);
    crate::common::assert_matches_reference(&reference, &names, |t| forward(t, &dispatch));
}

/// Token by token, expert by expert, from elementary operations.
fn naive(t: &[Tensor], indices: &[u32], active: usize) -> Tensor {
    let row = |x: &Tensor, i: usize| narrow(x, 0, i, 1);
    let expert = |x: &Tensor, w: &Tensor, b: &Tensor, e: usize| {
        let shape = w.shape()[1..].to_vec();
        add(&matmul(x, &reshape(&row(w, e), &shape)), &row(b, e))
    };
    let tokens: Vec<Tensor> = (0..t[0].shape()[0])
        .map(|token| {
            (0..active)
                .map(|a| {
                    let e = indices[token * active + a] as usize;
                    let inner = swiglu(&expert(&row(&t[0], token), &t[2], &t[3], e), 1.702, 7.0);
                    mul(&expert(&inner, &t[4], &t[5], e), &narrow(&row(&t[1], token), 1, a, 1))
                })
                .reduce(|a, b| add(&a, &b))
                .unwrap()
        })
        .collect();
    concat(&tokens.iter().collect::<Vec<_>>(), 0)
}

#[test]
fn experts_backward_is_derived_right() {
    // tokens, experts, who goes where: spread, all to one expert, one token.
    for (tokens, experts, active, indices) in
        [(3, 3, 2, vec![0, 2, 2, 1, 1, 0]), (4, 3, 1, vec![1, 1, 1, 1]), (1, 4, 4, vec![3, 1, 0, 2])]
    {
        let inputs = [
            random(&[tokens, 3], 1),
            random(&[tokens, active], 2),
            random(&[experts, 3, 4], 3),
            random(&[experts, 4], 4),
            random(&[experts, 2, 3], 5),
            random(&[experts, 3], 6),
        ];
        let dispatch = Arc::new(Dispatch::new(&indices, experts, active));
        assert_derivative(&inputs, |t| forward(t, &dispatch), |t| naive(t, &indices, active));
    }
}

#[test]
fn experts_dispatch_is_a_stable_sort_that_drops_nothing() {
    let dispatch = Dispatch::new(&[2, 0, 0, 1, 2, 1], 4, 2);
    assert_eq!(dispatch.offsets, [0, 2, 4, 6, 6]);
    assert_eq!(dispatch.tokens, [0, 1, 1, 2, 0, 2]);
    assert_eq!(dispatch.rows, [4, 0, 1, 2, 5, 3]);
    assert_eq!(dispatch.load(), [2, 2, 2, 0]);
    assert_eq!(Dispatch::new(&[], 3, 2).offsets, [0; 4]);
}

#[test]
fn experts_grouped_product_with_more_rows_than_a_piece() {
    let offsets = [0, 1_100, 1_100, 1_101];
    let [x, w, b] = [random(&[1_101, 5], 1), random(&[3, 5, 4], 2), random(&[3, 4], 3)].map(Tensor::parameter);
    let y = grouped_matmul(&x, &w, &b, &offsets);
    for (e, range) in offsets.windows(2).enumerate() {
        let part = |t: &Tensor| reshape(&narrow(t, 0, e, 1), &t.shape()[1..]);
        let expected = add(&matmul(&narrow(&x, 0, range[0], range[1] - range[0]), &part(&w)), &part(&b));
        assert_close(&format!("expert {e}"), &y.data()[4 * range[0]..4 * range[1]], expected.data(), TOLERANCE);
    }
    let gradients = ossia::ops::reduce::sum(&y).backward();
    let db = slice(gradients.get(&b).unwrap());
    assert_eq!(db, [[1_100.0; 4], [0.0; 4], [1.0; 4]].concat());
    let row = |e: usize| w.data()[20 * e..][..20].chunks_exact(4).map(|w| w.iter().sum()).collect::<Vec<f32>>();
    let expected: Vec<f32> = (0..1_101).flat_map(|r| row(if r < 1_100 { 0 } else { 2 })).collect();
    assert_close("dx", slice(gradients.get(&x).unwrap()), &expected, TOLERANCE);
}
