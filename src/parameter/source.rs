//! The sources from which a new layer gets its parameters.

use super::{Parameter, Role, Value};
use crate::error::Result;
use crate::tensor::{Tensor, array};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A source of parameter values: random numbers, or a checkpoint.
pub trait Source {
    /// Returns the value that is asked for. Values of norms, biases and sinks are in memory; matrices may be left in
    /// their file.
    ///
    /// # Errors
    /// If a checkpoint does not have the parameter in this shape, or not in a format that can be multiplied.
    fn value(&mut self, request: Request) -> Result<Value>;
}

/// A parameter that a layer requests.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The full name.
    pub name: &'a str,
    /// The shape of the dense value: (out, in) of a matrix, (E, in, out) of experts.
    pub shape: &'a [usize],
    /// The purpose.
    pub role: Role,
    /// The initial value of a new model.
    pub init: Init,
}

/// The initial value of a parameter that has not been trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normally distributed with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniformly distributed between −bound and bound.
    Uniform(f32),
    /// All 0: biases.
    Zeros,
    /// All 1: norms.
    Ones,
}

// ANCHOR: scope
/// A source of parameters, with the name of the layer that asks.
pub struct Scope<'s> {
    source: &'s mut dyn Source,
    name: String,
}

impl<'s> Scope<'s> {
    /// Creates the scope of a whole model.
    pub fn new(source: &'s mut dyn Source) -> Self {
        Self { source, name: String::new() }
    }

    /// Returns the scope of a part of this layer.
    pub fn child(&mut self, name: &str) -> Scope<'_> {
        let name = self.join(name);
        Scope { source: self.source, name }
    }

    /// Takes a parameter of this layer from the source.
    ///
    /// # Errors
    /// Those of the source.
    pub fn take(&mut self, name: &str, shape: &[usize], role: Role, init: Init) -> Result<Parameter> {
        let name = self.join(name);
        let value = self.source.value(Request { name: &name, shape, role, init })?;
        Ok(Parameter::new(name, role, value))
    }

    fn join(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_string() } else { format!("{}.{name}", self.name) }
    }
}
// ANCHOR_END: scope

/// A source of random parameters.
pub struct Random {
    rng: ChaCha8Rng,
}

impl Random {
    /// Creates a source that is determined by the seed: the same seed gives the same parameters.
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Draws a normally distributed number. Box & Muller 1958, <https://doi.org/10.1214/aoms/1177706645>
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.rng.random::<f64>()).cos()
    }
}

impl Source for Random {
    fn value(&mut self, request: Request) -> Result<Value> {
        let count: usize = request.shape.iter().product();
        let numbers = match request.init {
            Init::Normal(std) => (0..count).map(|_| std * self.normal() as f32).collect(),
            Init::Uniform(bound) => (0..count).map(|_| bound * (2.0 * self.rng.random::<f64>() - 1.0) as f32).collect(),
            Init::Zeros => vec![0.0; count],
            Init::Ones => vec![1.0; count],
        };
        Ok(Tensor::parameter(array(request.shape, numbers)).into())
    }
}
