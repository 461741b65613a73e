use super::{Case, Layer, Mutant, Proof, claim, close, derivative, random};
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

fn case() -> Case<RmsNorm> {
    Case::read("rms_norm", &["x", "w"], Box::new(on_tensors))
}

impl Layer for RmsNorm {
    const NAME: &str = "rms_norm";
    const WON: &str = "Making a row longer does not change y, so dx stands at a right angle to the row. You can see it: \
        the sum of dx·x is zero, but for ε. The engine keeps r, a number a row, and computes all else again.";

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

    fn equals_the_reference(&self) -> Proof {
        case().check(self)
    }

    fn has_the_right_gradient(&self) -> Proof {
        [2, 7, 33].iter().try_for_each(|&hidden| {
            derivative(self, &["x", "w"], &[random(&[5, hidden], 1), random(&[hidden], 2)], on_tensors)
        })
    }

    fn holds_at_the_edges(&self) -> Proof {
        let (y, r) = (self.forward)(&[0.0; 4], &[1.0; 4], EPS);
        claim(y == [0.0; 4], "a row of zeros stays one")?;
        close("r of a row of zeros, 1/√ε,", &r, &[1.0 / EPS.sqrt()], 1e-4)?;
        let (y, _) = (self.forward)(&[1e18, -1e18, 1e18, 1e18], &[2.0; 4], EPS);
        close("y of a row of ±10¹⁸", &y, &[2.0, -2.0, 2.0, 2.0], 1e-4)?;
        claim((self.forward)(&[], &[1.0; 4], EPS).0.is_empty(), "no rows stay none")
    }

    fn sample(&self) -> Vec<f32> {
        case().sample(self)
    }
}
