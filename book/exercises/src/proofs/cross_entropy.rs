use super::{
    Case, Exercise, Layer, Mutant, NamedProof, Proof, because, close, derivative, equal, layer_proofs, numbers, random,
    reference,
};
use crate::zoo;
use ossia::ops::elementwise::scale;
use ossia::ops::linear::matmul;
use ossia::ops::reduce::sum;
use ossia::ops::shape::permute;
use ossia::tensor::{Tensor, array, slice};

pub struct CrossEntropy {
    pub forward: fn(&[f32], &[u32]) -> Vec<f32>,
    pub backward: fn(&[f32], &[f32], &[u32]) -> Vec<f32>,
}

/// The loss of each token.
fn losses(layer: &CrossEntropy, z: &Tensor, targets: &[u32]) -> Tensor {
    let loss = (layer.forward)(z.data(), targets);
    let (z_value, targets, backward) = (z.value().clone(), targets.to_vec(), layer.backward);
    Tensor::from_op(array(&[targets.len()], loss), &[z], || {
        Box::new(move |d| vec![Some(array(z_value.shape(), backward(slice(&d), slice(&z_value), &targets)))])
    })
}

impl Exercise for CrossEntropy {
    const NAME: &str = "cross_entropy";
    const LEARNED: &str = "The gradient is the probabilities minus 1 at the target: what the model predicted, minus what it should have \
        predicted. The engine never holds all logits at once. With 201,088 logits per token they would take gigabytes.";

    fn yours() -> Self {
        Self { forward: crate::cross_entropy::forward, backward: crate::cross_entropy::backward }
    }

    fn solution() -> Self {
        use crate::solutions::cross_entropy::{backward, forward};
        Self { forward, backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::cross_entropy()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        layer_proofs()
    }

    fn sample(&self) -> Vec<f32> {
        Self::case().sample(self)
    }
}

impl Layer for CrossEntropy {
    fn case() -> Case<Self> {
        // Tokens that the reference leaves out have a negative target.
        let all = numbers(&reference("cross_entropy"), "targets");
        let counts: Vec<usize> = (0..all.len()).filter(|&t| slice(&all)[t] >= 0.0).collect();
        let targets: Vec<u32> = counts.iter().map(|&t| slice(&all)[t] as u32).collect();
        let run = move |layer: &CrossEntropy, t: &[Tensor]| {
            let rows: Vec<Tensor> = counts.iter().map(|&row| ossia::ops::shape::narrow(&t[0], 0, row, 1)).collect();
            let h = ossia::ops::shape::concat(&rows.iter().collect::<Vec<_>>(), 0);
            let total = sum(&losses(layer, &matmul(&h, &permute(&t[1], &[1, 0])), &targets));
            scale(&total, 1.0 / targets.len() as f32)
        };
        Case::read("cross_entropy", &["h", "w"], Box::new(run))
    }

    fn forward_at_the_edges(&self) -> Proof {
        because(close("loss", &(self.forward)(&[3.0; 8], &[5]), &[8.0_f32.ln()], 1e-6), "eight equal logits: ln 8")?;
        let huge = (self.forward)(&[1e30, 0.0, 100.0, 100.0], &[0, 1]);
        let why = "the logits are 10³⁰, 0 and 100, 100; subtract the largest before you exponentiate";
        because(close("loss", &huge, &[0.0, 2.0_f32.ln()], 1e-6), why)?;
        equal("the length of the losses", &(self.forward)(&[], &[]).len(), &0, "there are no tokens")
    }

    fn gradient(&self) -> Proof {
        let d = (self.backward)(&[1.0], &[1e30, 0.0], &[0]);
        because(close("dz", &d, &[0.0, 0.0], 1e-6), "the logits are 10³⁰ and 0, and the first one was right")?;
        derivative(self, &["z"], &[random(&[4, 7], 1)], |layer, t| losses(layer, &t[0], &[0, 6, 3, 3]))
    }
}
