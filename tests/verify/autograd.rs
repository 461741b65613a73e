//! Reverse mode: what is recorded, what is freed, in which order, and that it does not recurse.
//!
//! Book: [tensor](../../book/src/tensor.md)

use crate::common::{assert_close, assert_derivative, random};
use ossia::ops::elementwise::{add, exp, mul, scale};
use ossia::ops::reduce::sum;
use ossia::tensor::{Array, Tensor, array, grad_check, recompute, slice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn number(x: f32) -> Tensor {
    Tensor::parameter(array(&[1], vec![x]))
}

#[test]
fn autograd_of_a_small_expression_by_hand() {
    // f = a·b + e^a:  df/da = b + e^a,  df/db = a
    let (a, b) = (number(0.5), number(-3.0));
    let gradients = add(&mul(&a, &b), &exp(&a)).backward();
    assert_close("da", slice(gradients.get(&a).unwrap()), &[-3.0 + 0.5_f32.exp()], 1e-6);
    assert_close("db", slice(gradients.get(&b).unwrap()), &[0.5], 1e-6);
}

#[test]
fn autograd_adds_what_flows_back_over_several_paths() {
    // A diamond of diamonds: f = 2⁵·x by doubling, so df/dx = 32; each node is visited once.
    let x = number(1.5);
    let f = (0..5).fold(x.clone(), |y, _| add(&y, &y));
    assert_eq!(f.item(), 48.0);
    assert_eq!(slice(f.backward().get(&x).unwrap()), [32.0]);
}

#[test]
fn autograd_survives_a_chain_of_100_000_nodes() {
    let x = number(1.0);
    let chain = || (0..100_000).fold(x.clone(), |y, _| scale(&y, 1.0));
    assert_eq!(slice(chain().backward().get(&x).unwrap()), [1.0]);
    drop(chain()); // never walked: freeing it must not recurse either
}

#[test]
fn autograd_records_nothing_where_nothing_is_trained() {
    let constant = Tensor::constant(array(&[2], vec![1.0, 2.0]));
    let made = std::cell::Cell::new(false);
    let spy = |input: &Tensor| {
        Tensor::from_op(input.value().clone(), &[input], || {
            made.set(true);
            Box::new(|dy| vec![Some(dy)])
        })
    };
    assert!(!spy(&constant).needs_grad() && !made.get(), "an operation on a constant is not recorded");
    let parameter = number(1.0);
    assert!(!spy(&parameter.detach()).needs_grad() && !made.get(), "an operation on a detached tensor is not recorded");
    assert!(spy(&parameter).needs_grad() && made.get(), "an operation on a parameter is recorded");
}

/// Recording is a property of the tensors and not of the thread, so that it does not matter which thread runs what.
#[test]
fn autograd_records_on_every_thread() {
    let parameter = number(3.0);
    let gradient = std::thread::scope(|scope| {
        scope.spawn(|| slice(mul(&parameter, &parameter).backward().get(&parameter).unwrap())[0]).join().unwrap()
    });
    assert_eq!(gradient, 6.0);
}

/// A gradient is complete when every use of the parameter was visited, and then it does not change any more.
#[test]
fn autograd_says_when_a_gradient_is_complete() {
    let [early, late, both] = [1, 2, 3].map(|seed| Tensor::parameter(random(&[4], seed)));
    let first = mul(&early, &both);
    let second = mul(&first, &late);
    let total = sum(&mul(&second, &both));
    let mut seen: Vec<[Option<Vec<f32>>; 3]> = Vec::new();
    let gradients = total.backward_observed(&mut |gradients| {
        let complete = |x: &Tensor| gradients.is_complete(x).then(|| slice(gradients.get(x).unwrap()).to_vec());
        seen.push([complete(&early), complete(&late), complete(&both)]);
    });
    let when: Vec<[bool; 3]> = seen.iter().map(|seen| seen.each_ref().map(Option::is_some)).collect();
    // The sum, and the three products from the last one to the first.
    let none = [false; 3];
    assert_eq!(when, [none, none, [false, true, false], [true; 3]]);
    let last = [&early, &late, &both].map(|x| slice(gradients.get(x).unwrap()).to_vec());
    for seen in seen {
        seen.into_iter().zip(&last).for_each(|(seen, last)| assert!(seen.is_none_or(|seen| seen == *last)));
    }
}

#[test]
fn autograd_frees_the_graph_while_it_walks_back() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let freed = Arc::new(AtomicBool::new(false));
    let x = number(2.0);
    let flag = Flag(freed.clone());
    let y = Tensor::from_op(x.value().clone(), &[&x], || {
        Box::new(move |dy| {
            let _kept = &flag;
            vec![Some(dy)]
        })
    });
    let z = sum(&y);
    z.backward();
    assert!(freed.load(Ordering::Relaxed), "y and z are still alive, what they saved is not");
}

#[test]
#[should_panic(expected = "backward() was already called on this graph")]
fn autograd_refuses_a_second_walk() {
    let y = exp(&number(1.0));
    y.backward();
    y.backward();
}

#[test]
#[should_panic(expected = "backward() starts at one number")]
fn autograd_starts_at_one_number() {
    Tensor::parameter(array(&[2], vec![1.0, 2.0])).backward();
}

#[test]
fn autograd_leaves_frozen_inputs_without_a_gradient() {
    let (x, frozen) = (number(2.0), Tensor::constant(array(&[1], vec![5.0])));
    let gradients = mul(&x, &frozen).backward();
    assert_eq!(slice(gradients.get(&x).unwrap()), [5.0]);
    assert!(gradients.get(&frozen).is_none());
}

#[test]
fn autograd_accumulates_over_micro_batches() {
    let x = number(3.0);
    let mut total = mul(&x, &x).backward();
    total.accumulate(scale(&x, 10.0).backward());
    assert_eq!(slice(total.get(&x).unwrap()), [16.0]);
}

#[test]
fn autograd_gradients_do_not_share_memory() {
    // add hands the same dy to both inputs; scaling one gradient in place must not reach the other.
    let (a, b) = (number(1.0), number(2.0));
    let mut gradients = add(&a, &b).backward();
    gradients.get_mut(&a).unwrap()[0] = 7.0;
    assert_eq!(slice(gradients.get(&b).unwrap()), [1.0]);
}

#[test]
fn autograd_grad_check_finds_a_wrong_derivative() {
    let wrong = |x: &[Tensor]| {
        let y: Array = array(&[1], vec![slice(x[0].value()).iter().map(|x| x * x).sum()]);
        let saved = x[0].value().clone();
        Tensor::from_op(y, &[&x[0]], || {
            Box::new(move |dy| {
                let mut dx: Vec<f32> = slice(&saved).iter().map(|x| 2.0 * x * dy[0]).collect();
                dx[3] *= 1.1; // one number, ten percent off
                vec![Some(array(saved.shape(), dx))]
            })
        })
    };
    let check = grad_check(wrong, &[array(&[5], vec![0.3, -1.0, 0.7, 2.0, -0.4])], 1e-2);
    assert_eq!((check.input, check.index), (0, 3));
    assert!(check.relative_error > 0.05, "{check:?}");
}

#[test]
fn autograd_grad_check_reports_nan() {
    let nan = |x: &[Tensor]| scale(&sum(&x[0]), f32::NAN);
    assert!(grad_check(nan, &[array(&[2], vec![1.0, 2.0])], 1e-2).relative_error.is_nan());
}

#[test]
fn autograd_of_a_composition_equals_its_central_difference() {
    let f = |x: &[Tensor]| mul(&exp(&scale(&x[0], 0.3)), &x[1]);
    assert_derivative(&[random(&[3, 4], 1), random(&[4], 2)], f, f);
}

/// y = e^x·w and z = w·x, twice each: through two results, one of which may get no gradient.
#[test]
fn autograd_recomputes_to_the_same_bits() {
    type Pair = (Tensor, Tensor);
    let of = |x: &Tensor, w: &Tensor| -> Pair { (mul(&exp(x), w), mul(w, x)) };
    let through = |again: bool, w: &Tensor, x: &Tensor| {
        let w = w.clone();
        let detached = w.detach();
        match again {
            true => recompute(x, |x| of(x, &detached), move |x| of(x, &w), |pair| vec![&mut pair.0, &mut pair.1]),
            false => of(x, &w),
        }
    };
    let (x, w) = (Tensor::parameter(random(&[3, 4], 1)), Tensor::parameter(random(&[3, 4], 2)));
    for second in [false, true] {
        let gradients = [false, true].map(|again| {
            let (y, z) = through(again, &w, &scale(&x, 0.7));
            let (y, _) = through(again, &w, &y);
            let loss = if second { add(&sum(&y), &sum(&mul(&z, &z))) } else { sum(&y) };
            let gradients = loss.backward();
            [&x, &w].map(|parameter| slice(gradients.get(parameter).unwrap()).to_vec())
        });
        assert_eq!(gradients[0], gradients[1]);
    }
}

#[test]
fn autograd_that_recomputes_keeps_nothing_and_runs_each_part_twice() {
    struct Kept(Arc<AtomicUsize>);
    impl Drop for Kept {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let (alive, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let part = |x: &Tensor| {
        let (alive, runs) = (alive.clone(), runs.clone());
        let compute = move |x: &Tensor| {
            runs.fetch_add(1, Ordering::Relaxed);
            Tensor::from_op(x.value().clone(), &[x], || {
                assert!(alive.fetch_add(1, Ordering::Relaxed) < 1, "two parts are kept at one time");
                let kept = Kept(alive.clone());
                Box::new(move |dy| {
                    let _kept = &kept;
                    vec![Some(dy)]
                })
            })
        };
        recompute(x, compute.clone(), compute, |y| vec![y])
    };
    let x = number(2.0);
    let y = (0..5).fold(x.clone(), |y, _| part(&y));
    assert_eq!((alive.load(Ordering::Relaxed), runs.load(Ordering::Relaxed)), (0, 5));
    assert_eq!(slice(y.backward().get(&x).unwrap()), [1.0]);
    assert_eq!((alive.load(Ordering::Relaxed), runs.load(Ordering::Relaxed)), (0, 10));
    assert!(!part(&x.detach()).needs_grad(), "nothing is recorded for a constant");
    drop((0..100_000).fold(x, |y, _| part(&y))); // freeing a long chain does not recurse
}
