//! The proofs of each exercise, from easy to hard. A proof that fails says in a line what is wrong.

mod acceptance;
mod adamw;
mod attention;
mod block;
mod bpe;
mod cross_entropy;
mod data;
mod dispatch;
mod effort;
mod embedding;
mod fine_tuning;
mod grad_check;
mod harmony;
mod kv_cache;
mod lora;
mod matmul;
mod muon;
mod mxfp4;
mod policy_gradient;
mod recorded;
mod ring;
mod rms_norm;
mod rope;
mod sampler;
mod scalar_autograd;
mod simd;
mod speed;
mod straight_through;
mod structured_output;
mod swiglu;
mod tools;
mod top_k;
mod training_loop;

pub use acceptance::{Acceptance, Check};
pub use adamw::AdamW;
pub use attention::Attention;
pub use block::Block;
pub use bpe::Bpe;
pub use cross_entropy::CrossEntropy;
pub use data::Data;
pub use dispatch::Dispatch;
pub use effort::Effort;
pub use embedding::Embedding;
pub use fine_tuning::FineTuning;
pub use grad_check::GradCheck;
pub use harmony::Harmony;
pub use kv_cache::KvCache;
pub use lora::Lora;
pub use matmul::{Matmul, Product};
pub use muon::Muon;
pub use mxfp4::Mxfp4;
pub use policy_gradient::PolicyGradient;
pub use ring::Ring;
pub use rms_norm::RmsNorm;
pub use rope::Rope;
pub use sampler::Sampler;
pub use scalar_autograd::ScalarAutograd;
pub use simd::Simd;
pub use speed::Speed;
pub use straight_through::StraightThrough;
pub use structured_output::StructuredOutput;
pub use swiglu::Swiglu;
pub use tools::Tools;
pub use top_k::TopK;
pub use training_loop::TrainingLoop;

/// Calls a generic function with the type of each exercise, in the order of the book.
#[macro_export]
macro_rules! for_each_exercise {
    ($f:ident($($argument:expr),*)) => {
        [
            $f::<$crate::proofs::ScalarAutograd>($($argument),*),
            $f::<$crate::proofs::Bpe>($($argument),*),
            $f::<$crate::proofs::GradCheck>($($argument),*),
            $f::<$crate::proofs::Embedding>($($argument),*),
            $f::<$crate::proofs::RmsNorm>($($argument),*),
            $f::<$crate::proofs::Attention>($($argument),*),
            $f::<$crate::proofs::Rope>($($argument),*),
            $f::<$crate::proofs::Swiglu>($($argument),*),
            $f::<$crate::proofs::TopK>($($argument),*),
            $f::<$crate::proofs::Dispatch>($($argument),*),
            $f::<$crate::proofs::Block>($($argument),*),
            $f::<$crate::proofs::CrossEntropy>($($argument),*),
            $f::<$crate::proofs::AdamW>($($argument),*),
            $f::<$crate::proofs::Muon>($($argument),*),
            $f::<$crate::proofs::Data>($($argument),*),
            $f::<$crate::proofs::TrainingLoop>($($argument),*),
            $f::<$crate::proofs::Ring>($($argument),*),
            $f::<$crate::proofs::KvCache>($($argument),*),
            $f::<$crate::proofs::Sampler>($($argument),*),
            $f::<$crate::proofs::Mxfp4>($($argument),*),
            $f::<$crate::proofs::Simd>($($argument),*),
            $f::<$crate::proofs::Matmul>($($argument),*),
            $f::<$crate::proofs::Speed>($($argument),*),
            $f::<$crate::proofs::Harmony>($($argument),*),
            $f::<$crate::proofs::Effort>($($argument),*),
            $f::<$crate::proofs::StructuredOutput>($($argument),*),
            $f::<$crate::proofs::Tools>($($argument),*),
            $f::<$crate::proofs::FineTuning>($($argument),*),
            $f::<$crate::proofs::Lora>($($argument),*),
            $f::<$crate::proofs::StraightThrough>($($argument),*),
            $f::<$crate::proofs::PolicyGradient>($($argument),*),
            $f::<$crate::proofs::Acceptance>($($argument),*),
        ]
    };
}

/// The forward pass computes the same numbers as Hugging Face's or OpenAI's code.
pub const FORWARD: &str = "the_forward_pass_equals_the_reference";
/// The forward pass is correct for unusual numbers.
pub const EDGES: &str = "the_forward_pass_holds_at_the_edges";
/// The backward pass is the derivative of the forward pass.
pub const GRADIENT: &str = "the_backward_pass_is_the_derivative";
/// The gradients equal the gradients that the reference computed.
pub const GRADIENTS: &str = "the_gradients_equal_the_reference";

use ossia::checkpoint::TensorFile;
use ossia::ops::elementwise::mul;
use ossia::ops::reduce::sum;
use ossia::tensor::{Array, Gradients, Tensor, array, grad_check, slice};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::fmt::{Debug, Display};
use std::path::PathBuf;

/// The result of a proof: an error says what is wrong.
pub type Proof = Result<(), String>;

/// The name of a proof, and the function that carries it out.
pub type NamedProof<E> = (&'static str, fn(&E) -> Proof);

/// Code for an exercise, written by the reader or by somebody else.
pub trait Exercise: Sized + 'static {
    /// The name of its file.
    const NAME: &str;
    /// The text that is printed when all proofs hold: what the reader has learned.
    const LEARNED: &str;

    /// Returns the reader's code.
    fn yours() -> Self;
    /// Returns the code in `solutions/`.
    fn solution() -> Self;
    /// Returns programs with a bug.
    fn mutants() -> Vec<Mutant<Self>>;
    /// Returns the proofs, in the order in which the code is written: those of the forward pass come first.
    fn proofs() -> Vec<NamedProof<Self>>;
    /// Returns the numbers that the code computes from fixed inputs. Programs with equal samples count as the same.
    fn sample(&self) -> Vec<f32>;
}

/// A layer with numbers that a reference computed, forward and backward. All such layers have the same proofs.
pub trait Layer: Sized + 'static {
    /// Returns the reference.
    fn case() -> Case<Self>;
    /// Checks the forward pass on unusual numbers.
    ///
    /// # Errors
    /// Returns what is wrong.
    fn forward_at_the_edges(&self) -> Proof;
    /// Checks that the backward pass is the derivative of the forward pass.
    ///
    /// # Errors
    /// Returns what is wrong.
    fn gradient(&self) -> Proof;
}

/// Returns the proofs of a layer.
pub fn layer_proofs<L: Layer>() -> Vec<NamedProof<L>> {
    vec![
        (FORWARD, |layer| L::case().check_forward(layer)),
        (EDGES, L::forward_at_the_edges),
        (GRADIENT, L::gradient),
        (GRADIENTS, |layer| L::case().check_gradients(layer)),
    ]
}

/// Code with a bug.
pub struct Mutant<E> {
    /// A description of the bug.
    pub says: &'static str,
    /// The code.
    pub layer: E,
    /// The first proof that fails.
    pub caught_by: &'static str,
}

/// Runs a layer on tensors. The closure contains the shapes, ids and tables of a case.
pub type OnTensors<L> = Box<dyn Fn(&L, &[Tensor]) -> Tensor>;

/// The inputs and the results of the reference.
pub struct Case<L> {
    /// The name of the case in messages. Empty: messages name only the array.
    pub name: &'static str,
    /// The inputs, with their names.
    pub inputs: Vec<(&'static str, Array)>,
    /// Runs the layer on the inputs.
    pub run: OnTensors<L>,
    /// The output.
    pub y: Array,
    /// The gradient with respect to the output.
    pub dy: Array,
    /// The gradient with respect to each input.
    pub gradients: Vec<Array>,
}

impl<L> Case<L> {
    /// Reads a case from `tests/verify/reference/file.safetensors`. For an input `x`, the file has the tensors `x` and `dx`.
    pub fn read(file: &str, inputs: &[&'static str], run: OnTensors<L>) -> Self {
        let file = reference(file);
        let inputs: Vec<_> = inputs.iter().map(|&name| (name, numbers(&file, name))).collect();
        let gradients = inputs.iter().map(|(name, _)| numbers(&file, &format!("d{name}"))).collect();
        Self { name: "", y: numbers(&file, "y"), dy: numbers(&file, "dy"), inputs, gradients, run }
    }

    fn computed(&self, layer: &L) -> (Tensor, Vec<Tensor>, Gradients) {
        let inputs: Vec<Tensor> = self.inputs.iter().map(|(_, x)| Tensor::parameter(x.clone())).collect();
        let y = (self.run)(layer, &inputs);
        let gradients = weighted_sum(&y, &self.dy).backward();
        (y, inputs, gradients)
    }

    /// Checks the output, without a backward pass.
    ///
    /// # Errors
    /// Returns the first number that differs.
    pub fn check_forward(&self, layer: &L) -> Proof {
        let inputs: Vec<Tensor> = self.inputs.iter().map(|(_, x)| Tensor::constant(x.clone())).collect();
        close(&self.named("y"), (self.run)(layer, &inputs).data(), slice(&self.y), 1e-4)
    }

    /// Checks the gradient of each input.
    ///
    /// # Errors
    /// Returns the first number that differs.
    pub fn check_gradients(&self, layer: &L) -> Proof {
        let (_, inputs, gradients) = self.computed(layer);
        for (((name, _), input), expected) in self.inputs.iter().zip(&inputs).zip(&self.gradients) {
            let actual = gradients.get(input).map_or(Vec::new(), |gradient| slice(gradient).to_vec());
            close(&self.named(&format!("d{name}")), &actual, slice(expected), 1e-4)?;
        }
        Ok(())
    }

    fn named(&self, what: &str) -> String {
        if self.name.is_empty() { what.into() } else { format!("{what} of the case {:?}", self.name) }
    }

    /// Returns the output and the gradients, one after another.
    pub fn sample(&self, layer: &L) -> Vec<f32> {
        let (y, inputs, gradients) = self.computed(layer);
        let back = inputs.iter().filter_map(|input| gradients.get(input)).flat_map(|gradient| slice(gradient).to_vec());
        y.data().iter().copied().chain(back).collect()
    }
}

/// Checks that the backward pass of `run` is its derivative: nudges every input up and down.
///
/// # Errors
/// Returns the derivative that disagrees most.
pub fn derivative<L>(layer: &L, names: &[&str], inputs: &[Array], run: impl Fn(&L, &[Tensor]) -> Tensor) -> Proof {
    let constants: Vec<Tensor> = inputs.iter().map(|x| Tensor::constant(x.clone())).collect();
    let dy = random(run(layer, &constants).shape(), 99);
    let check = grad_check(|x| weighted_sum(&run(layer, x), &dy), inputs, 1e-2);
    if check.relative_error < 1e-2 {
        return Ok(());
    }
    Err(format!(
        "d{}[{}] is {}, expected about {}, which is the slope measured by nudging this input by ±0.01",
        names[check.input], check.index, check.derived, check.measured
    ))
}

/// Checks that numbers agree, within `tolerance` of the largest.
///
/// # Errors
/// Returns the first number that differs, and the count of such numbers.
pub fn close(name: &str, actual: &[f32], expected: &[f32], tolerance: f32) -> Proof {
    if actual.len() != expected.len() {
        return Err(format!("{name} has {} numbers, expected {}", actual.len(), expected.len()));
    }
    let largest = expected.iter().fold(1e-6_f32, |a, b| a.max(b.abs()));
    let far = |i: &usize| {
        let distance = (actual[*i] - expected[*i]).abs() / largest;
        distance.is_nan() || distance > tolerance
    };
    let wrong: Vec<usize> = (0..actual.len()).filter(far).collect();
    match wrong.first() {
        None => Ok(()),
        Some(&i) => {
            let others = match wrong.len() {
                1 => String::new(),
                count => format!(" ({count} of {} numbers are wrong)", actual.len()),
            };
            Err(format!("{name}[{i}] is {}, expected {}{others}", actual[i], expected[i]))
        }
    }
}

/// Checks that a single number is within `tolerance` of the expected one, relative to it. If 0 is expected, the tolerance is
/// absolute.
///
/// # Errors
/// Returns both numbers, and the reason `why` the expected one is right.
pub fn near<T: Copy + Display + Into<f64>>(name: &str, actual: T, expected: T, tolerance: f64, why: &str) -> Proof {
    let (distance, size) = ((actual.into() - expected.into()).abs(), expected.into().abs());
    let within = distance <= tolerance * if size > 0.0 { size } else { 1.0 };
    if within { Ok(()) } else { Err(format!("{name} is {actual}, expected {expected}: {why}")) }
}

/// Checks that two values are equal.
///
/// # Errors
/// Returns both values, and the reason `why` the expected one is right.
pub fn equal<T: PartialEq + Debug>(name: &str, actual: &T, expected: &T, why: &str) -> Proof {
    if actual == expected { Ok(()) } else { Err(format!("{name}: found {actual:?}, expected {expected:?}: {why}")) }
}

/// Adds an explanation to a proof that fails.
///
/// # Errors
/// Returns the error of the proof, with the explanation.
pub fn because(proof: Proof, why: &str) -> Proof {
    proof.map_err(|what| format!("{what}: {why}"))
}

/// Returns normally distributed numbers from a seed.
pub fn random(shape: &[usize], seed: u64) -> Array {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut one = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    array(shape, (0..shape.iter().product()).map(|_| one()).collect())
}

fn weighted_sum(y: &Tensor, dy: &Array) -> Tensor {
    let dy = array(y.shape(), slice(dy).to_vec());
    sum(&mul(y, &Tensor::constant(dy)))
}

/// Opens a file of numbers that the reference computed.
pub fn reference(name: &str) -> TensorFile {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/verify/reference");
    TensorFile::open(directory.join(format!("{name}.safetensors"))).unwrap_or_else(|e| panic!("{e}"))
}

/// Reads a tensor of such a file.
pub fn numbers(file: &TensorFile, name: &str) -> Array {
    file.tensor(name, None).unwrap_or_else(|e| panic!("{e}"))
}

/// Reads ids, which the reference stores as numbers.
pub fn ids(file: &TensorFile, name: &str) -> Vec<u32> {
    slice(&numbers(file, name)).iter().map(|&id| id as u32).collect()
}

/// Returns whether two samples are the same numbers.
pub fn same(a: &[f32], b: &[f32]) -> bool {
    close("", a, b, 1e-4).is_ok()
}
