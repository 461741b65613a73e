//! Reading references, comparing tensors, random numbers.

use ossia::checkpoint::TensorFile;
use ossia::tensor::{Array, Tensor, array, grad_check, slice};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::path::PathBuf;

/// Within what activations and gradients agree with the reference, relative to the tensor's largest number.
pub const TOLERANCE: f32 = 1e-4;

/// `tests/verify/reference/…`
pub fn reference_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/verify/reference").join(name)
}

/// Numbers that the reference computed.
pub struct Reference {
    file: TensorFile,
    /// Put before every name: `case.`
    prefix: String,
}

impl Reference {
    pub fn open(name: &str) -> Self {
        let path = reference_path(&format!("{name}.safetensors"));
        Self { file: TensorFile::open(path).unwrap_or_else(|e| panic!("{e}")), prefix: String::new() }
    }

    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = format!("{prefix}.");
        self
    }

    pub fn array(&self, name: &str) -> Array {
        self.file.tensor(&format!("{}{name}", self.prefix), None).unwrap_or_else(|e| panic!("{e}"))
    }

    /// As a matrix whose rows are all dimensions but the last.
    pub fn rows(&self, name: &str) -> Array {
        let x = self.array(name);
        let columns = *x.shape().last().unwrap();
        array(&[x.len() / columns, columns], slice(&x).to_vec())
    }

    pub fn parameter(&self, name: &str) -> Tensor {
        Tensor::parameter(self.array(name))
    }

    /// Ids, which the reference stores as floats.
    pub fn ids(&self, name: &str) -> Vec<u32> {
        slice(&self.array(name)).iter().map(|&id| id as u32).collect()
    }
}

/// Says where two tensors differ by more than `tolerance` of the largest expected number; `None` if nowhere.
pub fn difference(name: &str, actual: &[f32], expected: &[f32], tolerance: f32) -> Option<String> {
    if actual.len() != expected.len() {
        return Some(format!("{name}: {} numbers; expected {}", actual.len(), expected.len()));
    }
    let largest = expected.iter().fold(1e-6_f32, |a, b| a.max(b.abs()));
    let index = (0..actual.len()).find(|&i| {
        let distance = (actual[i] - expected[i]).abs() / largest;
        distance.is_nan() || distance > tolerance
    })?;
    Some(format!(
        "{name}[{index}] is {}; expected {} (tolerance {tolerance} of the largest, {largest})",
        actual[index], expected[index]
    ))
}

#[track_caller]
pub fn assert_close(name: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    if let Some(message) = difference(name, actual, expected, tolerance) {
        panic!("{message}");
    }
}

/// Normally distributed numbers from a seed.
pub fn random(shape: &[usize], seed: u64) -> Array {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let one = |rng: &mut ChaCha8Rng| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    array(shape, (0..shape.iter().product()).map(|_| one(&mut rng)).collect())
}

/// Σ y·dy: a number whose gradient with respect to y is dy.
pub fn weighted_sum(y: &Tensor, dy: &Array) -> Tensor {
    use ossia::ops::{elementwise::mul, reduce::sum};
    sum(&mul(y, &Tensor::constant(dy.clone())))
}

/// The output and every input's gradient of `f` equal the reference's `y` and `d…`, for its `dy`.
pub fn assert_matches_reference(reference: &Reference, inputs: &[&str], f: impl Fn(&[Tensor]) -> Tensor) {
    let parameters: Vec<Tensor> = inputs.iter().map(|name| reference.parameter(name)).collect();
    let y = f(&parameters);
    assert_close("y", y.data(), slice(&reference.array("y")), TOLERANCE);
    let dy = array(y.shape(), slice(&reference.array("dy")).to_vec());
    let gradients = weighted_sum(&y, &dy).backward();
    for (name, parameter) in inputs.iter().zip(&parameters) {
        let expected = reference.array(&format!("d{name}"));
        let actual = gradients.get(parameter).unwrap_or_else(|| panic!("{name} has no gradient"));
        assert_eq!(actual.shape(), parameter.shape(), "the gradient of {name} has its shape");
        assert_close(&format!("d{name}"), slice(actual), slice(&expected), TOLERANCE);
    }
}

/// The backward pass of `op` equals autograd on `naive`, and both equal central differences.
pub fn assert_derivative(inputs: &[Array], op: impl Fn(&[Tensor]) -> Tensor, naive: impl Fn(&[Tensor]) -> Tensor) {
    let parameters: Vec<Tensor> = inputs.iter().map(|x| Tensor::parameter(x.clone())).collect();
    let (y, y_naive) = (op(&parameters), naive(&parameters));
    assert_close("y against naive", y.data(), y_naive.data(), 1e-5);
    let dy = random(y.shape(), 99);
    let (derived, composed) = (
        weighted_sum(&y, &dy).backward(),
        weighted_sum(&y_naive, &array(y_naive.shape(), slice(&dy).to_vec())).backward(),
    );
    for (i, parameter) in parameters.iter().enumerate() {
        let zeros = vec![0.0; parameter.data().len()];
        let of = |gradients: &ossia::tensor::Gradients| {
            gradients.get(parameter).map_or(zeros.clone(), |gradient| slice(gradient).to_vec())
        };
        assert_close(&format!("gradient {i} against naive"), &of(&derived), &of(&composed), 2e-5);
    }
    let check = grad_check(|x| weighted_sum(&op(x), &dy), inputs, 1e-2);
    assert!(check.relative_error < 1e-2, "central differences disagree: {check:?}");
}
