use super::{Case, Exercise, Layer, Mutant, NamedProof, Proof, because, close, derivative, layer_proofs, random};
use crate::zoo;
use ossia::config::{ModelConfig, Yarn};
use ossia::layers::Rotary;
use ossia::tensor::{Array, Tensor, array, slice};

pub struct Rope {
    pub forward: fn(&[f32], usize, &[f32], &[f32], usize, f32) -> Vec<f32>,
    pub backward: fn(&[f32], usize, &[f32], &[f32], usize) -> Vec<f32>,
}

/// Cosines and sines of the first five positions, as gpt-oss has them for a small head.
fn tables() -> (Array, Array) {
    let config = ModelConfig { head_dim: 8, yarn: Some(Yarn::gpt_oss()), ..ModelConfig::nano() };
    let angles = Rotary::new(&config).angles(0..5);
    (angles.cos, angles.sin)
}

fn on_tensors(layer: &Rope, x: &Tensor, (cos, sin): (Array, Array)) -> Tensor {
    let (width, half) = (x.shape().last().copied().unwrap_or(0), cos.shape()[1]);
    // The reference has the heads as a dimension of their own.
    let width = if x.shape().len() == 4 { width * x.shape()[2] } else { width };
    let y = (layer.forward)(x.data(), width, slice(&cos), slice(&sin), half, 1.0);
    let backward = layer.backward;
    Tensor::from_op(array(x.shape(), y), &[x], || {
        Box::new(move |dy| vec![Some(array(dy.shape(), backward(slice(&dy), width, slice(&cos), slice(&sin), half)))])
    })
}

impl Exercise for Rope {
    const NAME: &str = "rope";
    const LEARNED: &str = "A rotation keeps lengths, and its inverse is its transpose, so the backward pass is the same loop with the opposite \
        sign. The product of a query and a key now depends only on the distance between their positions.";

    fn yours() -> Self {
        Self { forward: crate::rope::forward, backward: crate::rope::backward }
    }

    fn solution() -> Self {
        use crate::solutions::rope::{backward, forward};
        Self { forward, backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::rope()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        layer_proofs()
    }

    fn sample(&self) -> Vec<f32> {
        Self::case().sample(self)
    }
}

impl Layer for Rope {
    fn case() -> Case<Self> {
        Case::read("rope", &["x"], Box::new(|layer, t| on_tensors(layer, &t[0], tables())))
    }

    fn forward_at_the_edges(&self) -> Proof {
        // A quarter turn: (1, 0) becomes (0, 1).
        let quarter = (self.forward)(&[1.0, 0.0], 2, &[0.0], &[1.0], 1, 1.0);
        because(close("y", &quarter, &[0.0, 1.0], 1e-6), "a quarter turn takes (1, 0) to (0, 1)")?;
        let x = random(&[4, 6], 2);
        let still = (self.forward)(slice(&x), 6, &[1.0; 3], &[0.0; 3], 3, 1.0);
        because(close("y", &still, slice(&x), 0.0), "all angles are 0, and every row is at the one position given")?;
        let turned = (self.forward)(slice(&x), 6, &[0.6; 3], &[0.8; 3], 3, 1.0);
        let back = (self.forward)(&turned, 6, &[0.6; 3], &[0.8; 3], 3, -1.0);
        because(close("y", &back, slice(&x), 1e-5), "turning by an angle and back gives x again (direction −1)")
    }

    fn gradient(&self) -> Proof {
        derivative(self, &["x"], &[random(&[10, 16], 1)], |layer, t| on_tensors(layer, &t[0], tables()))
    }
}
