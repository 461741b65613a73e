//! The softmax of attention in tiles.

use super::numbers;
use crate::common::assert_close;
use ossia::kernels::{self, scalar};

/// Scores (keys, C), of which every fifth belongs to a hidden key, and the state of a softmax before them.
fn state(keys: usize, dim: usize) -> [Vec<f32>; 4] {
    let columns = kernels::panel_columns();
    let mut s = numbers(keys * columns, 1);
    s.iter_mut().step_by(5).for_each(|s| *s = f32::NEG_INFINITY);
    [s, numbers(columns, 2), numbers(columns, 3).iter().map(|l| l.abs()).collect(), numbers(dim * columns, 4)]
}

#[test]
fn kernels_online_softmax_equals_the_scalar_twin() {
    for (keys, dim) in [(0, 1), (1, 4), (2, 7), (64, 64), (77, 48)] {
        let (mut fast, mut slow) = (state(keys, dim), state(keys, dim));
        let [s, m, l, o] = &mut fast;
        kernels::online_softmax(s, m, l, o);
        let [s, m, l, o] = &mut slow;
        scalar::online_softmax(s, m, l, o);
        for (name, (fast, slow)) in ["s", "m", "l", "o"].into_iter().zip(fast.iter().zip(&slow)) {
            assert_close(&format!("{name}, {keys} keys, {dim} numbers"), fast, slow, 3e-6);
        }
    }
}

/// A query without a sink (m = −∞) that sees no key yet must not become NaN, and the first key that it sees counts fully.
#[test]
fn kernels_online_softmax_begins_with_nothing() {
    for online_softmax in [kernels::online_softmax, scalar::online_softmax] {
        let columns = kernels::panel_columns();
        let (mut m, mut l, mut o) = (vec![f32::NEG_INFINITY; columns], vec![1.0; columns], vec![0.0; columns]);
        let mut hidden = vec![f32::NEG_INFINITY; 3 * columns];
        online_softmax(&mut hidden, &mut m, &mut l, &mut o);
        assert_eq!((&hidden, &m), (&vec![0.0; 3 * columns], &vec![f32::NEG_INFINITY; columns]));
        assert_eq!((&l, &o), (&vec![0.0; columns], &vec![0.0; columns]), "the one of the sink is gone");
        let mut seen = vec![-7.5; columns];
        online_softmax(&mut seen, &mut m, &mut l, &mut o);
        assert_eq!((seen, m, l), (vec![1.0; columns], vec![-7.5; columns], vec![1.0; columns]));
        let mut broken = vec![f32::NAN; columns];
        online_softmax(&mut broken, &mut vec![0.0; columns], &mut vec![1.0; columns], &mut o);
        assert!(broken.iter().all(|p| p.is_nan()), "NaN stays");
    }
}

#[test]
fn kernels_online_softmax_backward_equals_the_scalar_twin() {
    for keys in [0, 1, 2, 64, 77] {
        let [p, lse, delta, _] = state(keys, 1);
        let dp = numbers(p.len(), 5);
        let (mut fast, mut slow) = ((p.clone(), dp.clone()), (p, dp));
        kernels::online_softmax_backward(&mut fast.0, &mut fast.1, &lse, &delta, 0.125);
        scalar::online_softmax_backward(&mut slow.0, &mut slow.1, &lse, &delta, 0.125);
        assert_close(&format!("p, {keys} keys"), &fast.0, &slow.0, 2e-6);
        assert_close(&format!("ds, {keys} keys"), &fast.1, &slow.1, 2e-6);
    }
}
