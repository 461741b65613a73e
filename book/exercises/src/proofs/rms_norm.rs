use super::{
    Case, Exercise, Layer, Mutant, NamedProof, Proof, because, close, derivative, equal, layer_proofs, random,
};
use crate::zoo;
use ossia::tensor::{Tensor, array, slice};

pub struct RmsNorm {
    pub forward: fn(&[f32], &[f32], f32) -> (Vec<f32>, Vec<f32>),
    pub backward: fn(&[f32], &[f32], &[f32], &[f32]) -> (Vec<f32>, Vec<f32>),
}

const EPS: f32 = 1e-5;

fn on_tensors(layer: &RmsNorm, t: &[Tensor]) -> Tensor {
    let (y, r) = (layer.forward)(t[0].data(), t[1].data(), EPS);
    let (x, w, backward) = (t[0].value().clone(), t[1].value().clone(), layer.backward);
    Tensor::from_op(array(t[0].shape(), y), &[&t[0], &t[1]], || {
        Box::new(move |dy| {
            let (dx, dw) = backward(slice(&dy), slice(&x), slice(&w), &r);
            vec![Some(array(x.shape(), dx)), Some(array(w.shape(), dw))]
        })
    })
}

impl Exercise for RmsNorm {
    const NAME: &str = "rms_norm";
    const LEARNED: &str = "Multiplying a row by a number does not change y, so dx is orthogonal to the row: the sum of dx·x is zero, except \
        for ε. The engine keeps r, one number per row, for the backward pass, and computes the rest again.";

    fn yours() -> Self {
        Self { forward: crate::rms_norm::forward, backward: crate::rms_norm::backward }
    }

    fn solution() -> Self {
        use crate::solutions::rms_norm::{backward, forward};
        Self { forward, backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::rms_norm()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        layer_proofs()
    }

    fn sample(&self) -> Vec<f32> {
        Self::case().sample(self)
    }
}

impl Layer for RmsNorm {
    fn case() -> Case<Self> {
        Case::read("rms_norm", &["x", "w"], Box::new(on_tensors))
    }

    fn forward_at_the_edges(&self) -> Proof {
        let (y, r) = (self.forward)(&[0.0; 4], &[1.0; 4], EPS);
        let why = "a row of zeros has the mean square 0, so r is 1/√(0 + ε); ε belongs under the root";
        because(close("r", &r, &[1.0 / EPS.sqrt()], 1e-4), why)?;
        because(close("y", &y, &[0.0; 4], 0.0), "a row of zeros has to stay zero")?;
        let (y, _) = (self.forward)(&[1e18, -1e18, 1e18, 1e18], &[2.0; 4], EPS);
        because(close("y", &y, &[2.0, -2.0, 2.0, 2.0], 1e-4), "the row is ±10¹⁸, whose square is still a number")?;
        let none = (self.forward)(&[], &[1.0; 4], EPS).0.len();
        equal("the length of y", &none, &0, "there are no rows")
    }

    fn gradient(&self) -> Proof {
        [2, 7, 33].iter().try_for_each(|&hidden| {
            derivative(self, &["x", "w"], &[random(&[5, hidden], 1), random(&[hidden], 2)], on_tensors)
        })
    }
}
