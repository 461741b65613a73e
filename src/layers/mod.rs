//! Parameters, and a forward made of [`ops`](crate::ops).
//!
//! A layer is a struct of tensors with a `new`, which asks a [`Source`] for each parameter by name and shape, a
//! `forward`, and `visit`, which walks over the parameters by the same names. Saving, counting and optimizing go
//! through `visit`; a random start and a checkpoint are two sources.

pub mod weight;
pub mod linear;
pub mod rms_norm;
pub mod rotary;
pub mod kv_cache;
pub mod attention;
pub mod router;
pub mod experts;
pub mod mlp;
pub mod block;

pub use attention::Attention;
pub use block::Block;
pub use experts::Experts;
pub use kv_cache::{KvCache, LayerCache, Mark};
pub use linear::Linear;
pub use mlp::Mlp;
pub use rms_norm::RmsNorm;
pub use rotary::Rotary;
pub use router::Router;
pub use weight::{Parameter, Weight};

use crate::error::Result;
use crate::tensor::{Tensor, array};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Receives each parameter with its name.
pub type Visitor<'v, 'p> = &'v mut dyn FnMut(String, Parameter<'p>);

/// Where a layer gets its parameters from: a random start, or a checkpoint.
pub trait Source {
    /// The parameter of this name and shape; `init` says how one begins that was never trained.
    ///
    /// # Errors
    /// If a checkpoint does not have it in this shape.
    fn parameter(&mut self, name: String, shape: &[usize], init: Init) -> Result<Tensor>;

    /// The same for the matrix of a linear layer or an embedding, (out, in), and the stacked ones of experts,
    /// (E, in, out): a checkpoint may leave them in their file, frozen.
    ///
    /// # Errors
    /// If a checkpoint does not have it in this shape, or in a format that can be multiplied.
    fn weight(&mut self, name: String, shape: &[usize], init: Init) -> Result<Weight> {
        self.parameter(name, shape, init).map(Weight::Trained)
    }
}

/// How a parameter begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normally distributed around 0 with this standard deviation.
    Normal(f32),
    /// Biases.
    Zeros,
    /// Norms.
    Ones,
}

/// Random parameters from a seed.
pub struct Random {
    rng: ChaCha8Rng,
}

impl Random {
    /// The same seed gives the same parameters.
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// One normally distributed number: Box & Muller 1958.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.rng.random::<f64>()).cos()
    }
}

impl Source for Random {
    fn parameter(&mut self, _name: String, shape: &[usize], init: Init) -> Result<Tensor> {
        let count: usize = shape.iter().product();
        let numbers = match init {
            Init::Normal(std) => (0..count).map(|_| std * self.normal() as f32).collect(),
            Init::Zeros => vec![0.0; count],
            Init::Ones => vec![1.0; count],
        };
        Ok(Tensor::parameter(array(shape, numbers)))
    }
}
