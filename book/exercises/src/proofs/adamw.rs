use super::{Layer, Mutant, Proof, claim, close, random};
use crate::zoo;
use ossia::kernels::{self, scalar};
use ossia::tensor::slice;
use ossia::train::adamw::Hyperparameters;

pub struct AdamW {
    pub step: fn(&Hyperparameters, i32, f64, &[f32], &mut [f32], &mut [f32], &mut [f32]),
}

/// Weights after ten steps with gradients from a seed.
fn ten_steps(mut step: impl FnMut(i32, &[f32], &mut [f32], &mut [f32], &mut [f32])) -> Vec<f32> {
    let (mut w, mut m, mut v) = (slice(&random(&[20], 1)).to_vec(), vec![0.0; 20], vec![0.0; 20]);
    let mut all = Vec::new();
    for t in 1..=10 {
        step(t, slice(&random(&[20], 100 + t as u64)), &mut w, &mut m, &mut v);
        all.extend_from_slice(&w);
    }
    all
}

const LR: f64 = 0.01;

/// The engine's own: ten steps of it are ten steps of PyTorch's, which `cargo test training` shows.
fn engine(t: i32, gradient: &[f32], w: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let Hyperparameters { beta1, beta2, epsilon, weight_decay, .. } = Hyperparameters::default();
    let step = kernels::AdamWStep {
        keep: (1.0 - LR * weight_decay) as f32,
        one_minus_beta1: (1.0 - beta1) as f32,
        beta2: beta2 as f32,
        one_minus_beta2: (1.0 - beta2) as f32,
        step_size: (LR / (1.0 - beta1.powi(t))) as f32,
        root_correction: (1.0 - beta2.powi(t)).sqrt() as f32,
        epsilon: epsilon as f32,
        gradient_scale: 1.0,
    };
    scalar::adamw(&step, gradient, w, m, v);
}

impl Layer for AdamW {
    const NAME: &str = "adamw";
    const WON: &str = "Each weight has a step of its own: about lr, whatever the size of its gradients. So lr is a length in the \
        space of weights, and one number serves embeddings, norms and experts alike.";

    fn yours() -> Self {
        Self { step: crate::adamw::step }
    }

    fn solution() -> Self {
        Self { step: crate::solutions::adamw::step }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::adamw()
    }

    fn equals_the_reference(&self) -> Proof {
        close("the weights of ten steps, w", &self.sample(), &ten_steps(engine), 1e-5)
    }

    fn has_the_right_gradient(&self) -> Proof {
        // It has none; but on a bowl, ½‖w‖², it has to go down.
        let settings = Hyperparameters { weight_decay: 0.0, ..Hyperparameters::default() };
        let (mut w, mut m, mut v) = (vec![1.0, -3.0], vec![0.0; 2], vec![0.0; 2]);
        for t in 1..=2_000 {
            let gradient = w.clone();
            (self.step)(&settings, t, 0.01, &gradient, &mut w, &mut m, &mut v);
        }
        claim(
            w.iter().all(|w: &f32| w.abs() < 0.05),
            &format!("2,000 steps down the bowl ½‖w‖² end at {w:?}, not near 0"),
        )
    }

    fn holds_at_the_edges(&self) -> Proof {
        let settings = Hyperparameters::default();
        let (mut w, mut m, mut v) = (vec![2.0], vec![0.0], vec![0.0]);
        (self.step)(&settings, 1, 0.01, &[0.0], &mut w, &mut m, &mut v);
        close("a weight of 2 that only decays, w", &w, &[2.0 * (1.0 - 0.001)], 1e-6)?;
        let (mut w, mut m, mut v) = (vec![0.0, 0.0], vec![0.0; 2], vec![0.0; 2]);
        (self.step)(&settings, 1, 0.01, &[1e-3, -1e3], &mut w, &mut m, &mut v);
        close("the first step, lr against the sign whatever the gradient, w", &w, &[-0.01, 0.01], 1e-3)
    }

    fn sample(&self) -> Vec<f32> {
        let settings = Hyperparameters::default();
        ten_steps(|t, gradient, w, m, v| (self.step)(&settings, t, LR, gradient, w, m, v))
    }
}
