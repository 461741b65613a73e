use super::{Case, Layer, Mutant, Proof, claim, close, derivative, numbers, random, reference};
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

fn case() -> Case<CrossEntropy> {
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

impl Layer for CrossEntropy {
    const NAME: &str = "cross_entropy";
    const WON: &str = "The gradient is the probabilities, minus one at the token that came: what the model said, minus what it \
        should have said. The engine never holds all logits at once; with 201,088 of them a token that would be gigabytes.";

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

    fn equals_the_reference(&self) -> Proof {
        case().check(self)
    }

    fn has_the_right_gradient(&self) -> Proof {
        derivative(self, &["z"], &[random(&[4, 7], 1)], |layer, t| losses(layer, &t[0], &[0, 6, 3, 3]))
    }

    fn holds_at_the_edges(&self) -> Proof {
        close("the loss of equal logits, ln V,", &(self.forward)(&[3.0; 8], &[5]), &[8.0_f32.ln()], 1e-6)?;
        let huge = (self.forward)(&[1e30, 0.0, 100.0, 100.0], &[0, 1]);
        close("the losses of huge logits", &huge, &[0.0, 2.0_f32.ln()], 1e-6)?;
        let d = (self.backward)(&[1.0], &[1e30, 0.0], &[0]);
        close("dz of a huge logit that was right", &d, &[0.0, 0.0], 1e-6)?;
        claim((self.forward)(&[], &[]).is_empty(), "no tokens have no losses")
    }

    fn sample(&self) -> Vec<f32> {
        case().sample(self)
    }
}
