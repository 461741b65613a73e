//! The elementary operations, each against central differences, with broadcasting.
//!
//! Book: [tensor](../../book/src/tensor.md)

use crate::common::{assert_close, assert_derivative, random};
use ossia::ops::{elementwise as e, linear::matmul, reduce, shape};
use ossia::tensor::{Array, Tensor, array, slice};

fn positive(shape: &[usize], seed: u64) -> Array {
    array(shape, slice(&random(shape, seed)).iter().map(|x| x.abs() + 0.5).collect())
}

fn check(inputs: &[Array], f: impl Fn(&[Tensor]) -> Tensor) {
    assert_derivative(inputs, &f, &f);
}

#[test]
fn elementwise_of_two_broadcasts_there_and_back() {
    for (a, b) in
        [(&[3, 4][..], &[3, 4][..]), (&[3, 4], &[4]), (&[3, 1], &[1, 4]), (&[1], &[2, 3]), (&[2, 1, 3], &[5, 1])]
    {
        let inputs = [random(a, 1), positive(b, 2)];
        check(&inputs, |x| e::add(&x[0], &x[1]));
        check(&inputs, |x| e::sub(&x[0], &x[1]));
        check(&inputs, |x| e::mul(&x[0], &x[1]));
        check(&inputs, |x| e::div(&x[0], &x[1]));
    }
}

#[test]
#[should_panic(expected = "do not broadcast")]
fn elementwise_refuses_shapes_that_do_not_meet() {
    e::mul(&Tensor::constant(random(&[2, 3], 1)), &Tensor::constant(random(&[2], 2)));
}

#[test]
fn elementwise_of_one() {
    check(&[random(&[7], 1)], |x| e::exp(&e::scale(&x[0], 0.5)));
    check(&[random(&[7], 2)], |x| e::sigmoid(&x[0]));
    check(&[positive(&[7], 3)], |x| e::ln(&x[0]));
    check(&[positive(&[7], 4)], |x| e::sqrt(&x[0]));
    check(&[array(&[5], vec![-2.0, -0.5, 0.1, 0.5, 3.0])], |x| e::clamp(&x[0], -1.0, 1.0));
}

#[test]
fn elementwise_clamp_stops_the_gradient_at_its_border_as_pytorch_does() {
    let x = Tensor::parameter(array(&[4], vec![-1.0, 1.0, -0.9, 1.1]));
    let gradients = reduce::sum(&e::clamp(&x, -1.0, 1.0)).backward();
    assert_eq!(slice(gradients.get(&x).unwrap()), [0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn elementwise_reductions() {
    for axis in 0..3 {
        check(&[random(&[2, 3, 4], 5)], |x| reduce::sum_axis(&x[0], axis));
        check(&[random(&[2, 3, 4], 6)], |x| reduce::mean_axis(&x[0], axis));
        check(&[random(&[2, 3, 4], 7)], |x| reduce::max_axis(&x[0], axis));
    }
    assert_close("sum", reduce::sum(&Tensor::constant(array(&[4], vec![1.0; 4]))).data(), &[4.0], 0.0);
}

#[test]
fn elementwise_rearrangements() {
    check(&[random(&[2, 6], 1)], |x| shape::reshape(&x[0], &[3, 4]));
    check(&[random(&[2, 3, 4], 2)], |x| shape::permute(&x[0], &[2, 0, 1]));
    check(&[random(&[2, 5, 3], 3)], |x| shape::narrow(&x[0], 1, 1, 3));
    check(&[random(&[2, 3], 4), random(&[2, 2], 5)], |x| shape::concat(&[&x[0], &x[1]], 1));
    check(&[random(&[3, 4], 6), random(&[4, 2], 7)], |x| matmul(&x[0], &x[1]));
    let x = Tensor::constant(array(&[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    assert_eq!(shape::permute(&x, &[1, 0]).data(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
}
