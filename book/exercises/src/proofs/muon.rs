use super::{Exercise, Mutant, NamedProof, Proof, because, close, random};
use crate::zoo;
use ndarray::ArrayView2;
use ossia::tensor::slice;
use ossia::train::muon::{COEFFICIENTS, ITERATIONS, orthogonalize};

/// A step: learning rate, gradient, shape, weights, running mean.
pub type Step = fn(f32, &[f32], (usize, usize), &mut [f32], &mut [f32]);

pub struct Muon {
    pub orthogonalize: fn(&[f32], usize, usize) -> Vec<f32>,
    pub step: Step,
}

const SHAPES: [(usize, usize); 3] = [(6, 6), (4, 9), (9, 4)];

fn matrix((rows, columns): (usize, usize), seed: u64) -> Vec<f32> {
    slice(&random(&[rows, columns], seed)).to_vec()
}

/// The engine's own, three steps of which are torch's, which `cargo test muon` shows.
fn engine(g: &[f32], shape: (usize, usize)) -> Vec<f32> {
    let direction = orthogonalize(ArrayView2::from_shape(shape, g).expect("whole rows"));
    direction.iter().copied().collect()
}

/// Weights after three steps with gradients from a seed.
fn three_steps(step: impl Fn(f32, &[f32], (usize, usize), &mut [f32], &mut [f32]), shape: (usize, usize)) -> Vec<f32> {
    let (mut w, mut m) = (matrix(shape, 1), vec![0.0; shape.0 * shape.1]);
    let mut all = Vec::new();
    for t in 0..3 {
        step(0.02, &matrix(shape, 10 + t), shape, &mut w, &mut m);
        all.extend_from_slice(&w);
    }
    all
}

impl Exercise for Muon {
    const NAME: &str = "muon";
    const LEARNED: &str = "A polynomial of a matrix acts on each of its singular values alone. So a few products make all directions \
        of a gradient equally long, without computing a single one of them.";

    fn yours() -> Self {
        Self { orthogonalize: crate::muon::orthogonalize, step: crate::muon::step }
    }

    fn solution() -> Self {
        Self { orthogonalize: crate::solutions::muon::orthogonalize, step: crate::solutions::muon::step }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::muon()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_polynomial_acts_on_each_singular_value", Self::diagonal),
            ("the_length_of_the_gradient_does_not_matter", Self::scaled),
            ("the_direction_equals_that_of_the_engine", Self::direction),
            ("three_steps_equal_those_of_the_engine", Self::steps),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        SHAPES
            .into_iter()
            .flat_map(|shape| {
                [(self.orthogonalize)(&matrix(shape, 2), shape.0, shape.1), three_steps(self.step, shape)]
            })
            .flatten()
            .collect()
    }
}

impl Muon {
    fn diagonal(&self) -> Proof {
        let [a, b, c] = COEFFICIENTS;
        let norm = 14_f32.sqrt();
        let mut expected = [3.0 / norm, 0.0, 0.0, 0.0, -2.0 / norm, 0.0, 0.0, 0.0, 1.0 / norm];
        for _ in 0..ITERATIONS {
            expected.iter_mut().for_each(|x: &mut f32| *x = a * *x + b * x.powi(3) + c * x.powi(5));
        }
        let actual = (self.orthogonalize)(&[3.0, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 1.0], 3, 3);
        let why = "the matrix is diagonal, so its singular values 3, 2 and 1 stand in it, and its norm is √14";
        because(close("the direction", &actual, &expected, 1e-4), why)
    }

    fn scaled(&self) -> Proof {
        let g = matrix((4, 9), 3);
        let expected = (self.orthogonalize)(&g, 4, 9);
        let larger: Vec<f32> = g.iter().map(|x| 1e3 * x).collect();
        because(
            close("the direction", &(self.orthogonalize)(&larger, 4, 9), &expected, 1e-4),
            "only the length has changed",
        )
    }

    fn direction(&self) -> Proof {
        SHAPES.into_iter().try_for_each(|shape| {
            let g = matrix(shape, 2);
            let actual = (self.orthogonalize)(&g, shape.0, shape.1);
            close(&format!("the direction of a matrix {shape:?}"), &actual, &engine(&g, shape), 1e-3)
        })
    }

    fn steps(&self) -> Proof {
        let step = |lr: f32, g: &[f32], shape: (usize, usize), w: &mut [f32], m: &mut [f32]| {
            let mut mixed = Vec::new();
            for (m, g) in m.iter_mut().zip(g) {
                *m += 0.05 * (g - *m);
                mixed.push(*m + 0.05 * (g - *m));
            }
            let length = lr * 0.2 * (shape.0.max(shape.1) as f32).sqrt();
            w.iter_mut().zip(engine(&mixed, shape)).for_each(|(w, direction)| *w -= length * direction);
        };
        SHAPES.into_iter().try_for_each(|shape| {
            let name = format!("the weights {shape:?} after three steps");
            close(&name, &three_steps(self.step, shape), &three_steps(step, shape), 1e-4)
        })
    }
}
