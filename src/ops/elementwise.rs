//! Elementwise operations: y = f(x), and z = a ∘ b with broadcasting.
//!
//! Shapes broadcast as in NumPy: they are aligned at the last dimension, and a length of 1 is repeated. The gradient with
//! respect to a repeated number is the sum over its copies. `&a + &b`, `&a - &b`, `&a * &b` and `&a / &b` are [`add`],
//! [`sub`], [`mul`] and [`div`].
//!
//! Book: [tensor](../../../../book/tensor.html)

use crate::kernels::{self, parallel};
use crate::profile;
use crate::tensor::{Array, Tensor, array, slice};
use ndarray::{Axis, Zip};
use std::ops;

/// Adding two arrays of one shape reads both and writes one.
const ADD: profile::Op = profile::Op::per_number("add", 1, 12);

/// Implements an operator of Rust for references to tensors.
macro_rules! operator {
    ($operator:ident, $method:ident) => {
        impl ops::$operator<&Tensor> for &Tensor {
            type Output = Tensor;
            fn $method(self, other: &Tensor) -> Tensor {
                $method(self, other)
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

/// a + b
pub fn add(a: &Tensor, b: &Tensor) -> Tensor {
    if a.shape() == b.shape() {
        return add_same_shape(a, b);
    }
    binary(a, b, |a, b| a + b, |_, _| (1.0, 1.0))
}

/// a − b
pub fn sub(a: &Tensor, b: &Tensor) -> Tensor {
    binary(a, b, |a, b| a - b, |_, _| (1.0, -1.0))
}

/// a · b, elementwise.
pub fn mul(a: &Tensor, b: &Tensor) -> Tensor {
    binary(a, b, |a, b| a * b, |a, b| (b, a))
}

/// a / b
pub fn div(a: &Tensor, b: &Tensor) -> Tensor {
    binary(a, b, |a, b| a / b, |a, b| (1.0 / b, -a / (b * b)))
}

/// α·x
pub fn scale(x: &Tensor, alpha: f32) -> Tensor {
    unary(x, move |x| alpha * x, move |_, _| alpha)
}

/// eˣ
pub fn exp(x: &Tensor) -> Tensor {
    unary(x, f32::exp, |_, y| y)
}

/// ln x
pub fn ln(x: &Tensor) -> Tensor {
    unary(x, f32::ln, |x, _| 1.0 / x)
}

/// √x
pub fn sqrt(x: &Tensor) -> Tensor {
    unary(x, f32::sqrt, |_, y| 0.5 / y)
}

/// 1 / (1 + e⁻ˣ)
pub fn sigmoid(x: &Tensor) -> Tensor {
    unary(x, kernels::scalar::sigmoid, |_, y| y * (1.0 - y))
}

/// x, limited to the range from `low` to `high`. The gradient is 0 at the limits, as in PyTorch 2.15.
pub fn clamp(x: &Tensor, low: f32, high: f32) -> Tensor {
    unary(x, move |x| x.clamp(low, high), move |x, _| if low < x && x < high { 1.0 } else { 0.0 })
}

/// y = f(x); `slope(x, y)` is dy/dx.
fn unary(x: &Tensor, f: impl Fn(f32) -> f32, slope: impl Fn(f32, f32) -> f32 + Send + 'static) -> Tensor {
    let y = array(x.shape(), x.data().iter().map(|&x| f(x)).collect());
    let (x_value, y_value) = (x.value().clone(), y.clone());
    Tensor::from_op(y, &[x], || {
        Box::new(move |dy| {
            let (x, y) = (slice(&x_value), slice(&y_value));
            let dx = slice(&dy).iter().zip(x.iter().zip(y)).map(|(dy, (&x, &y))| dy * slope(x, y)).collect();
            vec![Some(array(dy.shape(), dx))]
        })
    })
}

// ANCHOR: binary
/// z = f(a, b); `slopes(a, b)` is (dz/da, dz/db).
fn binary(
    a: &Tensor,
    b: &Tensor,
    f: impl Fn(f32, f32) -> f32,
    slopes: impl Fn(f32, f32) -> (f32, f32) + Send + 'static,
) -> Tensor {
    let (a_wide, b_wide) = broadcast(a.value(), b.value());
    let z = Zip::from(&a_wide).and(&b_wide).map_collect(|&a, &b| f(a, b)).into_shared();
    let (a_shape, b_shape) = (a.shape().to_vec(), b.shape().to_vec());
    Tensor::from_op(z, &[a, b], || {
        Box::new(move |dz| {
            let da = Zip::from(&dz).and(&a_wide).and(&b_wide).map_collect(|dz, &a, &b| dz * slopes(a, b).0);
            let db = Zip::from(&dz).and(&a_wide).and(&b_wide).map_collect(|dz, &a, &b| dz * slopes(a, b).1);
            vec![Some(sum_to(da.into_shared(), &a_shape)), Some(sum_to(db.into_shared(), &b_shape))]
        })
    })
}
// ANCHOR_END: binary

/// Returns both arrays, repeated to their common shape.
fn broadcast(a: &Array, b: &Array) -> (Array, Array) {
    let dimensions = a.ndim().max(b.ndim());
    let length = |x: &Array, i: usize| (i + x.ndim()).checked_sub(dimensions).map_or(1, |i| x.shape()[i]);
    let shape: Vec<usize> = (0..dimensions)
        .map(|i| match (length(a, i), length(b, i)) {
            (m, n) if m == n || n == 1 => m,
            (1, n) => n,
            _ => panic!("shapes {:?} and {:?} do not broadcast", a.shape(), b.shape()),
        })
        .collect();
    let stretch = |x: &Array| x.broadcast(shape.as_slice()).expect("the shapes were checked").to_shared();
    (stretch(a), stretch(b))
}

// ANCHOR: sum_to
/// The backward pass of broadcasting: sums over the dimensions that were repeated.
fn sum_to(mut gradient: Array, shape: &[usize]) -> Array {
    while gradient.ndim() > shape.len() {
        gradient = gradient.sum_axis(Axis(0)).into_shared();
    }
    for (axis, &length) in shape.iter().enumerate() {
        if length == 1 && gradient.shape()[axis] != 1 {
            gradient = gradient.sum_axis(Axis(axis)).insert_axis(Axis(axis)).into_shared();
        }
    }
    if gradient.is_standard_layout() { gradient } else { gradient.as_standard_layout().to_shared() }
}
// ANCHOR_END: sum_to

/// The residual connection: nothing is repeated, all cores work, and both gradients are dy itself.
fn add_same_shape(a: &Tensor, b: &Tensor) -> Tensor {
    let _timer = ADD.start(a.data().len());
    let piece = 1 << 14;
    let sum = parallel::build(a.data().len(), piece, |i, sum| {
        sum.copy_from_slice(&a.data()[i * piece..][..sum.len()]);
        kernels::axpy(1.0, &b.data()[i * piece..][..sum.len()], sum);
    });
    Tensor::from_op(array(a.shape(), sum), &[a, b], || Box::new(|dy| vec![Some(dy.clone()), Some(dy)]))
}
