use super::{Exercise, Mutant, NamedProof, Proof, because, close, random};
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

impl Exercise for AdamW {
    const NAME: &str = "adamw";
    const LEARNED: &str = "Each weight has its own step of about lr, whatever the size of its gradients. So one learning rate suits \
        embeddings, norms and experts.";

    fn yours() -> Self {
        Self { step: crate::adamw::step }
    }

    fn solution() -> Self {
        Self { step: crate::solutions::adamw::step }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::adamw()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_first_step_is_right", Self::first_step),
            ("goes_downhill", Self::downhill),
            ("ten_steps_equal_the_reference", Self::ten_steps),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let settings = Hyperparameters::default();
        ten_steps(|t, gradient, w, m, v| (self.step)(&settings, t, LR, gradient, w, m, v))
    }
}

impl AdamW {
    fn first_step(&self) -> Proof {
        let settings = Hyperparameters::default();
        let (mut w, mut m, mut v) = (vec![2.0], vec![0.0], vec![0.0]);
        (self.step)(&settings, 1, 0.01, &[0.0], &mut w, &mut m, &mut v);
        let why = "with a gradient of 0 a weight of 2 only decays, by lr · 0.1 = 0.001 of itself";
        because(close("w", &w, &[2.0 * (1.0 - 0.001)], 1e-6), why)?;
        let (mut w, mut m, mut v) = (vec![0.0, 0.0], vec![0.0; 2], vec![0.0; 2]);
        (self.step)(&settings, 1, 0.01, &[1e-3, -1e3], &mut w, &mut m, &mut v);
        let why =
            "the gradients are 0.001 and −1000, and with the bias corrections the first step is lr = 0.01 for both";
        because(close("w", &w, &[-0.01, 0.01], 1e-3), why)
    }

    fn downhill(&self) -> Proof {
        let settings = Hyperparameters { weight_decay: 0.0, ..Hyperparameters::default() };
        let (mut w, mut m, mut v) = (vec![1.0, -3.0], vec![0.0; 2], vec![0.0; 2]);
        for t in 1..=2_000 {
            let gradient = w.clone();
            (self.step)(&settings, t, 0.01, &gradient, &mut w, &mut m, &mut v);
        }
        let near = w.iter().all(|w: &f32| w.abs() < 0.05);
        if near {
            Ok(())
        } else {
            Err(format!("after 2,000 steps down the bowl ½‖w‖², w is {w:?}, expected about [0, 0]"))
        }
    }

    fn ten_steps(&self) -> Proof {
        close("the weights after ten steps", &self.sample(), &ten_steps(engine), 1e-5)
    }
}
