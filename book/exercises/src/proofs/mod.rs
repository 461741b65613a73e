//! What every layer has to show: three proofs, each of which says in a line what is wrong.

mod adamw;
mod attention;
mod cross_entropy;
mod embedding;
mod mxfp4;
mod rms_norm;
mod rope;
mod swiglu;
mod top_k;

pub use adamw::AdamW;
pub use attention::Attention;
pub use cross_entropy::CrossEntropy;
pub use embedding::Embedding;
pub use mxfp4::Mxfp4;
pub use rms_norm::RmsNorm;
pub use rope::Rope;
pub use swiglu::Swiglu;
pub use top_k::TopK;

use ossia::checkpoint::TensorFile;
use ossia::ops::elementwise::mul;
use ossia::ops::reduce::sum;
use ossia::tensor::{Array, Gradients, Tensor, array, grad_check, slice};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::path::PathBuf;

/// How a proof ends: with what is wrong.
pub type Proof = Result<(), String>;

/// A layer that somebody wrote.
pub trait Layer: Sized + 'static {
    /// The name of its file.
    const NAME: &str;
    /// What the reader has won who wrote it.
    const WON: &str;

    /// The reader's.
    fn yours() -> Self;
    /// One from `solutions/`.
    fn solution() -> Self;
    /// Wrong ones that others wrote before.
    fn mutants() -> Vec<Mutant<Self>>;

    /// It computes what Hugging Face's or OpenAI's code computed, forward and backward.
    fn equals_the_reference(&self) -> Proof;
    /// Its way back is its derivative.
    fn has_the_right_gradient(&self) -> Proof;
    /// It does what it should where numbers are unusual.
    fn holds_at_the_edges(&self) -> Proof;
    /// What it computes of some numbers: two layers that agree on them are taken to be the same.
    fn sample(&self) -> Vec<f32>;

    /// The three, by name.
    fn proofs() -> [(&'static str, fn(&Self) -> Proof); 3] {
        [
            ("equals_the_reference", Self::equals_the_reference),
            ("has_the_right_gradient", Self::has_the_right_gradient),
            ("holds_at_the_edges", Self::holds_at_the_edges),
        ]
    }
}

/// A layer with a bug.
pub struct Mutant<L> {
    /// What is wrong with it.
    pub says: &'static str,
    /// The layer.
    pub layer: L,
    /// The proof that finds it out.
    pub caught_by: &'static str,
}

/// A layer on tensors, for a case: its shapes, ids and tables.
pub type OnTensors<L> = Box<dyn Fn(&L, &[Tensor]) -> Tensor>;

/// What the reference computed.
pub struct Case<L> {
    /// What stands in a message.
    pub name: &'static str,
    /// Names and numbers.
    pub inputs: Vec<(&'static str, Array)>,
    /// The layer.
    pub run: OnTensors<L>,
    /// Its output.
    pub y: Array,
    /// What came back.
    pub dy: Array,
    /// The gradient of each input.
    pub gradients: Vec<Array>,
}

impl<L> Case<L> {
    /// One from `tests/verify/reference/file.safetensors`: `y`, `dy`, and of each input the numbers and `d` and its name.
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

    /// Whether the layer computes the same.
    ///
    /// # Errors
    /// Where it does not.
    pub fn check(&self, layer: &L) -> Proof {
        let (y, inputs, gradients) = self.computed(layer);
        let of =
            |what: &str| if self.name.is_empty() { what.into() } else { format!("{what} of the case {:?}", self.name) };
        close(&of("y"), y.data(), slice(&self.y), 1e-4)?;
        for (((name, _), input), expected) in self.inputs.iter().zip(&inputs).zip(&self.gradients) {
            let actual = gradients.get(input).map_or(Vec::new(), |gradient| slice(gradient).to_vec());
            close(&of(&format!("d{name}")), &actual, slice(expected), 1e-4)?;
        }
        Ok(())
    }

    /// Output and gradients, one after another.
    pub fn sample(&self, layer: &L) -> Vec<f32> {
        let (y, inputs, gradients) = self.computed(layer);
        let back = inputs.iter().filter_map(|input| gradients.get(input)).flat_map(|gradient| slice(gradient).to_vec());
        y.data().iter().copied().chain(back).collect()
    }
}

/// Whether the way back of `run` is its derivative: every input is moved a little, both ways.
///
/// # Errors
/// Which number of which input disagrees most.
pub fn derivative<L>(layer: &L, names: &[&str], inputs: &[Array], run: impl Fn(&L, &[Tensor]) -> Tensor) -> Proof {
    let constants: Vec<Tensor> = inputs.iter().map(|x| Tensor::constant(x.clone())).collect();
    let dy = random(run(layer, &constants).shape(), 99);
    let check = grad_check(|x| weighted_sum(&run(layer, x), &dy), inputs, 1e-2);
    if check.relative_error < 1e-2 {
        return Ok(());
    }
    Err(format!(
        "d{}[{}] is {}, but moving that number by ±0.01 changes the result as a gradient of {} would",
        names[check.input], check.index, check.derived, check.measured
    ))
}

/// Whether numbers agree, within `tolerance` of the largest.
///
/// # Errors
/// Where they do not.
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
        Some(&i) => Err(format!(
            "{name}[{i}] is {}, expected {}; {} of its {} numbers are wrong",
            actual[i],
            expected[i],
            wrong.len(),
            actual.len()
        )),
    }
}

/// A claim about an edge.
///
/// # Errors
/// The claim, if it does not hold.
pub fn claim(holds: bool, claim: &str) -> Proof {
    if holds { Ok(()) } else { Err(claim.into()) }
}

/// Normally distributed numbers from a seed.
pub fn random(shape: &[usize], seed: u64) -> Array {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut one = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    array(shape, (0..shape.iter().product()).map(|_| one()).collect())
}

fn weighted_sum(y: &Tensor, dy: &Array) -> Tensor {
    let dy = array(y.shape(), slice(dy).to_vec());
    sum(&mul(y, &Tensor::constant(dy)))
}

/// A file of numbers that the reference computed.
pub fn reference(name: &str) -> TensorFile {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/verify/reference");
    TensorFile::open(directory.join(format!("{name}.safetensors"))).unwrap_or_else(|e| panic!("{e}"))
}

/// A tensor of such a file.
pub fn numbers(file: &TensorFile, name: &str) -> Array {
    file.tensor(name, None).unwrap_or_else(|e| panic!("{e}"))
}

/// Ids, which the reference stores as numbers.
pub fn ids(file: &TensorFile, name: &str) -> Vec<u32> {
    slice(&numbers(file, name)).iter().map(|&id| id as u32).collect()
}

/// Whether two samples are the same numbers.
pub fn same(a: &[f32], b: &[f32]) -> bool {
    close("", a, b, 1e-4).is_ok()
}
