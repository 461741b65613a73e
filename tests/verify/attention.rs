//! Attention: tiled against transformers, against the naive twin, against autograd on elementary operations.
//!
//! Book: [attention](../../book/src/attention.md)

use crate::common::{Reference, TOLERANCE, assert_close, assert_derivative, random};
use ndarray::{Axis, Slice};
use ossia::ops::attention::{Keys, Sequences, Shape, attention, decode, naive, tiled};
use ossia::ops::elementwise::{add, div, exp, mul, scale, sub};
use ossia::ops::linear::matmul;
use ossia::ops::reduce::{max_axis, sum_axis};
use ossia::ops::shape::{concat, narrow, permute};
use ossia::tensor::{Array, Tensor, array, slice};

const CASES: [&str; 7] =
    ["full", "window_shorter", "window_of_one", "window_equal", "window_longer", "several_tiles", "one_token"];

#[test]
fn attention_matches_transformers_there_and_back() {
    for case in CASES {
        let reference = Reference::open("attention").with_prefix(case);
        let numbers = reference.ids("shape");
        let [batch, _, heads, kv_heads, head_dim, window] = numbers[..] else { panic!("six numbers") };
        let window = (window > 0).then_some(window as usize);
        let (heads, kv_heads, head_dim) = (heads as usize, kv_heads as usize, head_dim as usize);
        let shape = Shape { heads, kv_heads, head_dim, window };
        let parameters: Vec<Tensor> = ["q", "k", "v", "sinks"]
            .iter()
            .map(|&name| Tensor::parameter(if name == "sinks" { reference.array(name) } else { reference.rows(name) }))
            .collect();
        let [q, k, v, sinks] = &parameters[..] else { panic!("four") };
        let y = attention(q, k, v, sinks, &Sequences::equal(batch as usize, q.shape()[0] / batch as usize), shape);
        assert_close(&format!("{case}: y"), y.data(), slice(&reference.array("y")), TOLERANCE);
        let gradients = crate::common::weighted_sum(&y, &reference.rows("dy")).backward();
        for (name, parameter) in ["dq", "dk", "dv", "dsinks"].iter().zip(&parameters) {
            let actual = slice(gradients.get(parameter).unwrap());
            assert_close(&format!("{case}: {name}"), actual, slice(&reference.array(name)), TOLERANCE);
        }
    }
}

/// One sequence from elementary operations, head by head, with the whole matrix of scores.
fn composed(t: &[Tensor], shape: Shape) -> Tensor {
    let tokens = t[0].shape()[0];
    let hidden = -1e9_f32;
    let mask: Vec<f32> = (0..tokens * tokens)
        .map(|i| (i / tokens, i % tokens))
        .map(|(row, j)| if (shape.first_visible(row)..=row).contains(&j) { 0.0 } else { hidden })
        .collect();
    let mask = Tensor::constant(array(&[tokens, tokens], mask));
    let heads: Vec<Tensor> = (0..shape.heads)
        .map(|h| {
            let (dim, kv) = (shape.head_dim, h / shape.group());
            let q = narrow(&t[0], 1, h * dim, dim);
            let (k, v) = (narrow(&t[1], 1, kv * dim, dim), narrow(&t[2], 1, kv * dim, dim));
            let scores = add(&scale(&matmul(&q, &permute(&k, &[1, 0])), shape.scale()), &mask);
            let zeros = Tensor::constant(array(&[tokens, 1], vec![0.0; tokens]));
            let scores = concat(&[&scores, &add(&zeros, &narrow(&t[3], 0, h, 1))], 1);
            let exps = exp(&sub(&scores, &max_axis(&scores, 1)));
            let p = div(&exps, &sum_axis(&exps, 1));
            matmul(&narrow(&p, 1, 0, tokens), &v)
        })
        .collect();
    concat(&heads.iter().collect::<Vec<_>>(), 1)
}

fn inputs(tokens: usize, shape: Shape) -> Vec<Array> {
    let (q, kv) = (shape.query_width(), shape.kv_width());
    vec![random(&[tokens, q], 1), random(&[tokens, kv], 2), random(&[tokens, kv], 3), random(&[shape.heads], 4)]
}

#[test]
fn attention_backward_is_derived_right() {
    for (tokens, heads, kv_heads, window) in [
        (1, 1, 1, None),
        (5, 2, 1, None),
        (7, 4, 2, Some(3)),
        (7, 2, 2, Some(7)),
        (6, 2, 1, Some(1)),
        (4, 2, 1, Some(9)),
    ] {
        let shape = Shape { heads, kv_heads, head_dim: 4, window };
        let op = |t: &[Tensor]| attention(&t[0], &t[1], &t[2], &t[3], &Sequences::equal(1, tokens), shape);
        assert_derivative(&inputs(tokens, shape), op, |t| composed(t, shape));
    }
}

/// Compares the result and all gradients with those of [`composed`].
fn assert_equals_autograd(tokens: usize, shape: Shape) {
    let parameters: Vec<Tensor> = inputs(tokens, shape).into_iter().map(Tensor::parameter).collect();
    let dy = random(&[tokens, shape.query_width()], 9);
    let y =
        attention(&parameters[0], &parameters[1], &parameters[2], &parameters[3], &Sequences::equal(1, tokens), shape);
    let slow = composed(&parameters, shape);
    assert_close(&format!("{shape:?}, y"), y.data(), slow.data(), 2e-5);
    let (derived, expected) =
        (crate::common::weighted_sum(&y, &dy).backward(), crate::common::weighted_sum(&slow, &dy).backward());
    for (i, parameter) in parameters.iter().enumerate() {
        let (a, b) = (derived.get(parameter).unwrap(), expected.get(parameter).unwrap());
        assert_close(&format!("{shape:?}, gradient {i}"), slice(a), slice(b), 5e-5);
    }
}

#[test]
fn attention_backward_over_several_tiles_equals_autograd() {
    for window in [None, Some(1), Some(63), Some(64), Some(65), Some(130), Some(500)] {
        assert_equals_autograd(200, Shape { heads: 2, kv_heads: 1, head_dim: 4, window });
    }
}

/// Groups of heads that do not divide the columns of a panel, or have more queries at one position than a panel has columns;
/// and heads that fill more than one panel.
#[test]
fn attention_of_any_group_and_head_equals_autograd() {
    for (heads, kv_heads, head_dim) in [(6, 2, 5), (5, 1, 40), (3, 3, 33), (40, 1, 3), (2, 2, 80)] {
        for window in [None, Some(7), Some(66)] {
            assert_equals_autograd(90, Shape { heads, kv_heads, head_dim, window });
        }
    }
}

#[test]
fn attention_tiled_equals_its_naive_twin_at_every_offset_and_cut() {
    for window in [None, Some(5), Some(64), Some(100)] {
        let shape = Shape { heads: 4, kv_heads: 2, head_dim: 6, window };
        let all = inputs(170, shape);
        let (q, k, v, sinks) = (slice(&all[0]), slice(&all[1]), slice(&all[2]), slice(&all[3]));
        for offset in [0, 1, 63, 64, 65, 169] {
            let q = &q[offset * shape.query_width()..];
            let expected = naive::forward(q, k, v, sinks, shape);
            for cut in [0, 1, 64, 100, offset] {
                let at = cut * shape.kv_width();
                let runs = [Keys::rows(0, &k[..at], &v[..at], shape), Keys::rows(cut, &k[at..], &v[at..], shape)];
                let (o, _) = tiled::forward(q, offset, &runs, sinks, shape);
                assert_close(&format!("window {window:?}, offset {offset}, cut {cut}"), &o, &expected, 1e-5);
            }
        }
    }
}

/// One query over several blocks of keys, in runs that are cut anywhere.
#[test]
fn attention_decode_equals_the_naive_twin_over_a_long_cache() {
    let tokens = 2_500;
    for window in [None, Some(1), Some(128), Some(1_500)] {
        let shape = Shape { heads: 4, kv_heads: 2, head_dim: 6, window };
        let all = inputs(tokens, shape);
        let (k, v, sinks) = (slice(&all[1]), slice(&all[2]), slice(&all[3]));
        let q = &slice(&all[0])[(tokens - 1) * shape.query_width()..];
        let expected = naive::forward(q, k, v, sinks, shape);
        for cut in [0, 700, 1_024, 2_400, 2_499] {
            let at = cut * shape.kv_width();
            let runs = [Keys::rows(0, &k[..at], &v[..at], shape), Keys::rows(cut, &k[at..], &v[at..], shape)];
            let (o, lse) = decode::forward(q, tokens - 1, &runs, sinks, shape);
            assert_close(&format!("window {window:?}, cut {cut}"), &o, &expected, 1e-5);
            // Two queries take the other way; the second of them is this one.
            let two = &slice(&all[0])[(tokens - 2) * shape.query_width()..];
            let (_, tiled_lse) = tiled::forward(two, tokens - 2, &runs, sinks, shape);
            assert_close(&format!("lse, window {window:?}, cut {cut}"), &lse, &tiled_lse[shape.heads..], 1e-5);
        }
    }
}

#[test]
fn attention_sees_exactly_w_keys() {
    // Values are one-hot by position, so the output lists the probabilities.
    let (tokens, window) = (6, 3);
    let shape = Shape { heads: 1, kv_heads: 1, head_dim: tokens, window: Some(window) };
    let mut v = vec![0.0; tokens * tokens];
    (0..tokens).for_each(|t| v[t * tokens + t] = 1.0);
    let zeros = vec![0.0; tokens * tokens];
    let run = [Keys::rows(0, &zeros, &v, shape)];
    let (o, _) = tiled::forward(&zeros, 0, &run, &[0.0], shape);
    for t in 0..tokens {
        let seen = (t + 1).min(window);
        for j in 0..tokens {
            let expected = if j <= t && t - j < window { 1.0 / (seen as f32 + 1.0) } else { 0.0 };
            assert!((o[t * tokens + j] - expected).abs() < 1e-6, "query {t}, key {j}: {}", o[t * tokens + j]);
        }
    }
}

#[test]
fn attention_sink_takes_its_share_and_minus_infinity_takes_none() {
    let shape = Shape { heads: 1, kv_heads: 1, head_dim: 2, window: Some(2) };
    let (q, k, v) = ([0.0; 140 * 2], [0.0; 140 * 2], [1.0; 140 * 2]);
    let run = [Keys::rows(0, &k, &v, shape)];
    let value = |sink: f32| tiled::forward(&q, 0, &run, &[sink], shape).0[2 * 139];
    assert!((value(0.0) - 2.0 / 3.0).abs() < 1e-6);
    assert!((value(f32::NEG_INFINITY) - 1.0).abs() < 1e-6, "no sink at all, also where a whole tile is hidden");
    assert!(value(60.0).abs() < 1e-6, "everything goes to the sink");
}

#[test]
fn attention_of_huge_scores_is_finite() {
    let shape = Shape { heads: 1, kv_heads: 1, head_dim: 2, window: None };
    let (q, k, v) = ([1e4, 1e4, -1e4, 1e4], [1e4, 1e4, -1e4, -1e4], [1.0, 2.0, 3.0, 4.0]);
    let parameters = [(&q, [2, 2]), (&k, [2, 2]), (&v, [2, 2])].map(|(x, s)| Tensor::parameter(array(&s, x.to_vec())));
    let sinks = Tensor::parameter(array(&[1], vec![0.0]));
    let y = attention(&parameters[0], &parameters[1], &parameters[2], &sinks, &Sequences::equal(1, 2), shape);
    let total = ossia::ops::reduce::sum(&mul(&y, &y)).backward();
    assert!(y.data().iter().all(|x| x.is_finite()));
    assert!(parameters.iter().all(|p| slice(total.get(p).unwrap()).iter().all(|x| x.is_finite())));
}

/// Sequences of different lengths, one after the other, have the results and the gradients of each alone, bit for bit.
#[test]
fn attention_of_packed_sequences_is_that_of_each() {
    for (lengths, window) in [(&[3, 1, 70, 64][..], None), (&[5, 130, 2], Some(4)), (&[1], None), (&[65, 65], Some(64))]
    {
        let shape = Shape { heads: 4, kv_heads: 2, head_dim: 4, window };
        let sequences = Sequences::of_lengths(lengths.iter().copied());
        let all = inputs(sequences.rows(), shape);
        let dy = random(&[sequences.rows(), shape.query_width()], 9);
        let run = |numbers: Vec<Array>, dy: &Array, sequences: &Sequences| {
            let parameters: Vec<Tensor> = numbers.into_iter().map(Tensor::parameter).collect();
            let [q, k, v, sinks] = &parameters[..] else { panic!("four") };
            let y = attention(q, k, v, sinks, sequences, shape);
            let gradients = crate::common::weighted_sum(&y, dy).backward();
            let grads: Vec<Vec<f32>> = parameters.iter().map(|p| slice(gradients.get(p).unwrap()).to_vec()).collect();
            (y.data().to_vec(), grads)
        };
        let (y, grads) = run(all.clone(), &dy, &sequences);
        let mut expected = (Vec::new(), vec![Vec::new(), Vec::new(), Vec::new(), vec![0.0; shape.heads]]);
        for rows in sequences.iter() {
            let part = |x: &Array| x.slice_axis(Axis(0), Slice::from(rows.clone())).to_shared();
            let numbers = all.iter().enumerate().map(|(i, x)| if i < 3 { part(x) } else { x.clone() }).collect();
            let (y, grads) = run(numbers, &part(&dy), &Sequences::equal(1, rows.len()));
            expected.0.extend(y);
            (0..3).for_each(|i| expected.1[i].extend(&grads[i]));
            expected.1[3].iter_mut().zip(&grads[3]).for_each(|(sum, sink)| *sum += sink);
        }
        assert!(y == expected.0, "{lengths:?}: y");
        for (i, name) in ["dq", "dk", "dv", "dsinks"].iter().enumerate() {
            assert!(grads[i] == expected.1[i], "{lengths:?}: {name}");
        }
    }
}

#[test]
fn attention_sequences_know_their_rows() {
    let sequences = Sequences::of_lengths([2, 3]);
    assert_eq!((sequences.len(), sequences.rows(), sequences.equal_length()), (2, 5, None));
    assert_eq!(sequences.iter().collect::<Vec<_>>(), [0..2, 2..5]);
    assert_eq!(sequences.places(), [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]);
    assert_eq!(Sequences::equal(2, 3), Sequences::of_lengths([3, 3]));
    assert_eq!(Sequences::equal(2, 3).equal_length(), Some(3));
    assert!(std::panic::catch_unwind(|| Sequences::of_lengths([2, 0])).is_err());
}
