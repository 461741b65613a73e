use super::{Exercise, FORWARD, GRADIENT, Mutant, NamedProof, Proof, because, close, derivative, random};
use crate::parts::Part;
use crate::zoo;
use ossia::ops;
use ossia::tensor::{Tensor, array, slice};

pub struct Block {
    pub forward: fn(&[f32], [&dyn Part; 2], &dyn Part, &dyn Part) -> (Vec<f32>, Vec<f32>),
    pub backward: fn(&[f32], &[f32], &[f32], [&dyn Part; 2], &dyn Part, &dyn Part) -> Vec<f32>,
}

/// The columns of the examples.
const HIDDEN: usize = 6;

/// RMSNorm, as the engine has it.
struct Norm(&'static str, Vec<f32>);

impl Part for Norm {
    fn name(&self) -> &'static str {
        self.0
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        ops::rms_norm::forward(x, &self.1, 1e-5).0
    }

    fn backward(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let (_, r) = ops::rms_norm::forward(x, &self.1, 1e-5);
        ops::rms_norm::backward(dy, x, &self.1, &r).0
    }
}

/// A matrix (H, H) on each row, which takes the place of attention and of the experts.
struct Matrix(&'static str, Vec<f32>);

impl Part for Matrix {
    fn name(&self) -> &'static str {
        self.0
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let row = |x: &[f32]| -> Vec<f32> {
            self.1.chunks_exact(HIDDEN).map(|w| w.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
        };
        x.chunks_exact(HIDDEN).flat_map(row).collect()
    }

    fn backward(&self, _: &[f32], dy: &[f32]) -> Vec<f32> {
        let row = |dy: &[f32]| -> Vec<f32> {
            (0..HIDDEN).map(|h| dy.iter().zip(self.1.chunks_exact(HIDDEN)).map(|(dy, w)| dy * w[h]).sum()).collect()
        };
        dy.chunks_exact(HIDDEN).flat_map(row).collect()
    }
}

struct Parts {
    norms: [Norm; 2],
    attention: Matrix,
    experts: Matrix,
}

fn parts() -> Parts {
    let numbers = |n: usize, seed| slice(&random(&[n], seed)).to_vec();
    Parts {
        norms: [Norm("norm₁", numbers(HIDDEN, 1)), Norm("norm₂", numbers(HIDDEN, 2))],
        attention: Matrix("attention", numbers(HIDDEN * HIDDEN, 3)),
        experts: Matrix("experts", numbers(HIDDEN * HIDDEN, 4)),
    }
}

fn on_tensors(block: &Block, t: &[Tensor]) -> Tensor {
    let Parts { norms, attention, experts } = parts();
    let (h, y) = (block.forward)(t[0].data(), [&norms[0], &norms[1]], &attention, &experts);
    let (x, backward) = (t[0].value().clone(), block.backward);
    Tensor::from_op(array(t[0].shape(), y), &[&t[0]], || {
        Box::new(move |dy| {
            let Parts { norms, attention, experts } = parts();
            let dx = backward(slice(&dy), slice(&x), &h, [&norms[0], &norms[1]], &attention, &experts);
            vec![Some(array(x.shape(), dx))]
        })
    })
}

impl Exercise for Block {
    const NAME: &str = "block";
    const LEARNED: &str = "The residual stream is never replaced, only added to. So in the backward pass the gradient of the last \
        layer reaches the first one directly, however many blocks lie between them.";

    fn yours() -> Self {
        Self { forward: crate::block::forward, backward: crate::block::backward }
    }

    fn solution() -> Self {
        Self { forward: crate::solutions::block::forward, backward: crate::solutions::block::backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::block()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("parts_that_return_zero_change_nothing", Self::zeros),
            (FORWARD, Self::reference),
            (GRADIENT, Self::gradient),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let x = Tensor::parameter(random(&[2, HIDDEN], 7));
        let y = on_tensors(self, std::slice::from_ref(&x));
        let gradients = ops::reduce::sum(&ops::elementwise::mul(&y, &y)).backward();
        let dx = gradients.get(&x).map_or(Vec::new(), |dx| slice(dx).to_vec());
        y.data().iter().copied().chain(dx).collect()
    }
}

impl Block {
    fn zeros(&self) -> Proof {
        let Parts { norms, .. } = parts();
        let nothing = Matrix("a part that returns zeros", vec![0.0; HIDDEN * HIDDEN]);
        let x = slice(&random(&[2, HIDDEN], 7)).to_vec();
        let (_, y) = (self.forward)(&x, [&norms[0], &norms[1]], &nothing, &nothing);
        because(close("y", &y, &x, 0.0), "attention and experts return zeros, so x goes through as it is")
    }

    /// The same from the engine's ops.
    fn reference(&self) -> Proof {
        use ops::{elementwise::add, linear::matmul, rms_norm::rms_norm, shape::permute};
        let Parts { norms, attention, experts } = parts();
        let constant = |shape: &[usize], numbers: &[f32]| Tensor::constant(array(shape, numbers.to_vec()));
        let through = |x: &Tensor, norm: &Norm, part: &Matrix| {
            let w = permute(&constant(&[HIDDEN, HIDDEN], &part.1), &[1, 0]);
            add(x, &matmul(&rms_norm(x, &constant(&[HIDDEN], &norm.1), 1e-5), &w))
        };
        let x = Tensor::constant(random(&[3, HIDDEN], 8));
        let expected_h = through(&x, &norms[0], &attention);
        let expected = through(&expected_h, &norms[1], &experts);
        let (h, y) = (self.forward)(x.data(), [&norms[0], &norms[1]], &attention, &experts);
        close("h", &h, expected_h.data(), 1e-5)?;
        close("y", &y, expected.data(), 1e-5)
    }

    fn gradient(&self) -> Proof {
        derivative(self, &["x"], &[random(&[3, HIDDEN], 9)], on_tensors)
    }
}
