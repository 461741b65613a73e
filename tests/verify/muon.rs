//! Muon: three steps of torch's, what the iteration does to singular values, and shapes at the edge.
//!
//! Book: [muon](../../book/src/muon.md)

use crate::common::{Reference, assert_close, random};
use ndarray::{Array2, ArrayView2};
use ossia::ops::elementwise::{add, mul};
use ossia::ops::reduce::sum;
use ossia::parameter::{Parameter, Role};
use ossia::tensor::{Array, Tensor, array, slice};
use ossia::train::adamw::Hyperparameters;
use ossia::train::muon::{COEFFICIENTS, ITERATIONS, orthogonalize};
use ossia::train::{Method, Optimizer};

/// Takes steps with the given gradients of some parameters.
fn train(method: Method, parameters: &mut [Parameter], gradients: &[Vec<Array>], lr: f64) {
    let hyperparameters = Hyperparameters { clip: f64::INFINITY, ..Hyperparameters::default() };
    let mut optimizer = Optimizer::new(method, hyperparameters, &parameters.iter().collect::<Vec<_>>());
    for gradients in gradients {
        let products =
            parameters.iter().zip(gradients).map(|(w, g)| sum(&mul(w.tensor(), &Tensor::constant(g.clone()))));
        let gradients = products.reduce(|a, b| add(&a, &b)).unwrap().backward();
        optimizer.step(parameters.iter_mut().collect(), &gradients, lr).unwrap();
    }
}

#[test]
fn muon_takes_the_steps_of_torch() {
    for case in ["square", "wide", "tall", "row", "stack"] {
        let reference = Reference::open("muon").with_prefix(case);
        let (w0, g) = (reference.array("w0"), reference.array("g"));
        let role = if w0.ndim() == 3 { Role::Expert } else { Role::Matrix };
        let mut parameters = [Parameter::new("w", role, Tensor::parameter(w0))];
        let gradients: Vec<Vec<Array>> = g.outer_iter().map(|g| vec![g.to_owned().into_shared()]).collect();
        train(Method::Muon, &mut parameters, &gradients, 0.02);
        let w = parameters[0].tensor();
        assert_close(case, w.data(), slice(&reference.array("w")), 1e-6);
        assert_close(&format!("{case}, rounded to bf16 by torch"), w.data(), slice(&reference.array("w_bf16")), 5e-3);
    }
}

/// The polynomial that the iteration applies to each singular value.
fn polynomial(mut x: f64) -> f64 {
    let [a, b, c] = COEFFICIENTS.map(f64::from);
    for _ in 0..ITERATIONS {
        x = a * x + b * x.powi(3) + c * x.powi(5);
    }
    x
}

#[test]
fn muon_applies_the_polynomial_to_the_singular_values() {
    // A diagonal matrix has its singular values on the diagonal. Also with signs, and with more columns than rows.
    let values = [5.0_f32, -3.0, 1.0, 0.2, 0.0];
    let norm = values.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
    for (rows, columns) in [(5, 5), (5, 9), (9, 5)] {
        let g = Array2::from_shape_fn((rows, columns), |(i, j)| if i == j { values[i] } else { 0.0 });
        let expected = g.mapv(|v| polynomial(f64::from(v) / norm) as f32);
        assert_close(&format!("{rows}×{columns}"), &flat(&orthogonalize(g.view())), &flat(&expected), 1e-5);
    }
}

/// The direction does not depend on the length of the gradient, and turns with it.
#[test]
fn muon_turns_with_the_gradient_and_ignores_its_length() {
    let g = random(&[6, 10], 1);
    let g: ArrayView2<f32> = g.view().into_dimensionality().unwrap();
    let direction = orthogonalize(g);
    for factor in [1e-6, 1e-3, 1e6] {
        assert_close(
            &format!("{factor}"),
            &flat(&orthogonalize(g.mapv(|x| factor * x).view())),
            &flat(&direction),
            1e-5,
        );
    }
    // A rotation by 30° in the first two rows, and the transposed matrix.
    let mut rotation = Array2::eye(6);
    let (sin, cos) = 30_f32.to_radians().sin_cos();
    rotation[[0, 0]] = cos;
    rotation[[0, 1]] = -sin;
    rotation[[1, 0]] = sin;
    rotation[[1, 1]] = cos;
    assert_close("rotated", &flat(&orthogonalize(rotation.dot(&g).view())), &flat(&rotation.dot(&direction)), 1e-5);
    assert_close("transposed", &flat(&orthogonalize(g.t())), &flat(&direction.t().to_owned()), 1e-6);
    // Every row of the direction is nearly as long as every other: the singular values are near 1.
    for row in direction.rows() {
        assert!((0.4..1.5).contains(&row.dot(&row)), "{row}");
    }
}

#[test]
fn muon_of_nothing_is_nothing() {
    for (rows, columns) in [(1, 1), (1, 7), (7, 1), (4, 4)] {
        let zero = Array2::zeros((rows, columns));
        assert_eq!(orthogonalize(zero.view()), zero);
        let one = orthogonalize(Array2::from_elem((rows, columns), 1e-30).view());
        assert!(one.iter().all(|x| x.is_finite()), "a tiny gradient");
    }
    let sign = orthogonalize(Array2::from_elem((1, 1), -3.0).view())[[0, 0]];
    assert!((-1.3..-0.6).contains(&sign), "{sign}");
}

/// Embedding, output projection, router, norms, biases and sinks move as AdamW moves them.
#[test]
fn muon_leaves_everything_but_matrices_to_adamw() {
    let roles = [Role::Embedding, Role::Head, Role::Router, Role::Norm, Role::Bias, Role::Sink, Role::Matrix];
    let start = || -> Vec<Parameter> {
        let value = |i: usize| Tensor::parameter(random(&[4, 6], i as u64));
        roles.iter().enumerate().map(|(i, &role)| Parameter::new("w", role, value(i))).collect()
    };
    let gradients: Vec<Vec<Array>> =
        (0..3).map(|step| (0..roles.len()).map(|i| random(&[4, 6], (100 * step + i) as u64)).collect()).collect();
    let (mut muon, mut adamw) = (start(), start());
    train(Method::Muon, &mut muon, &gradients, 0.01);
    train(Method::AdamW, &mut adamw, &gradients, 0.01);
    for ((muon, adamw), role) in muon.iter().zip(&adamw).zip(roles) {
        assert_eq!(muon.tensor().data() == adamw.tensor().data(), role != Role::Matrix, "{role:?}");
    }
}

/// The root mean square of a step is about 0.2 learning rates, as with AdamW in training, whatever the shape.
#[test]
fn muon_steps_have_one_size_for_every_shape() {
    for shape in [[64, 64], [16, 256], [256, 16]] {
        let mut parameters = [Parameter::new("w", Role::Matrix, Tensor::parameter(array(&shape, vec![0.0; 4096])))];
        train(Method::Muon, &mut parameters, &[vec![random(&shape, 7)]], 0.01);
        let squares: f32 = parameters[0].tensor().data().iter().map(|x| (x / 0.01).powi(2)).sum();
        let size = (squares / 4096.0).sqrt();
        assert!((0.14..0.24).contains(&size), "{shape:?}: {size}");
    }
}

fn flat(x: &Array2<f32>) -> Vec<f32> {
    x.iter().copied().collect()
}
