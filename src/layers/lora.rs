//! LoRA: a correction of low rank beside a matrix that stays as it is.   y = x·Wᵀ + b + (α/r)·(x·Aᵀ)·Bᵀ
//!
//! x (T, in), W (out, in), A (r, in), B (out, r) → y (T, out).  Only A and B are trained: r·(in + out) numbers instead of in·out, so
//! the optimizer needs little memory, and W may stay in its file, in any format. B begins with zeros, so that a new adapter changes
//! nothing. A begins with random numbers, because with A = 0 the gradient of B would be 0, and that of A is 0 if B = 0.
//!
//! Experts have a pair each: A (E, in, r), B (E, r, out), laid out as their matrices are in memory.
//!
//! Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, <https://arxiv.org/abs/2106.09685>
//!
//! Book: [lora](../../../../book/lora.html)

use super::{Layer, Weight};
use crate::error::{Error, Result};
use crate::ops::elementwise::{add, scale};
use crate::ops::grouped_matmul::grouped_matmul;
use crate::ops::linear::linear;
use crate::parameter::{Init, Parameter, Request, Role, Source, Value};
use crate::tensor::{Tensor, array};
use serde::{Deserialize, Serialize};

/// What an adapter consists of, apart from its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    /// r
    pub rank: usize,
    /// α: each correction is multiplied by α/r.
    pub alpha: f32,
    /// What is corrected.
    pub targets: Vec<Target>,
    /// The name or the path of the model that the adapter belongs to.
    pub base: String,
}

/// A kind of weights that an adapter corrects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The four matrices of attention.
    Attention,
    /// The two matrices of each expert, or of a dense feed-forward layer.
    Experts,
    /// The matrix of a router.
    Router,
    /// The output projection, if it is not the embedding.
    Head,
}

impl Target {
    /// All targets.
    pub const ALL: [Target; 4] = [Target::Attention, Target::Experts, Target::Router, Target::Head];

    /// Returns the name of the target.
    pub fn name(self) -> &'static str {
        match self {
            Target::Attention => "attention",
            Target::Experts => "experts",
            Target::Router => "router",
            Target::Head => "head",
        }
    }

    /// Returns the target with this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = Target::ALL.into_iter().find(|target| target.name() == name);
        found.ok_or_else(|| Error::argument(format!("expected attention, experts, router or head, not {name:?}")))
    }

    /// Returns the target that a weight belongs to.
    pub fn of(weight: &Parameter) -> Self {
        match weight.role() {
            Role::Router => Target::Router,
            Role::Head => Target::Head,
            Role::Matrix if weight.name().contains(".attention.") => Target::Attention,
            _ => Target::Experts,
        }
    }
}

// ANCHOR: attach
/// Freezes a model, and gives the weights that are `chosen` a correction from `source`.
///
/// # Errors
/// If the model lacks a target of the adapter, and the errors of the source.
pub fn attach(
    model: &mut impl Layer,
    adapter: &Adapter,
    chosen: &dyn Fn(&Parameter) -> bool,
    source: &mut dyn Source,
) -> Result<()> {
    model.visit_mut(&mut Parameter::detach);
    let (mut found, mut failed) = (Vec::new(), Ok(()));
    model.visit_weights(&mut |weight| {
        if failed.is_ok() && chosen(weight.parameter()) {
            found.push(Target::of(weight.parameter()));
            failed = weight.attach(adapter, source);
        }
    });
    failed?;
    match adapter.targets.iter().find(|target| !found.contains(target)) {
        Some(target) => Err(Error::argument(format!("--lora-target {}: this model has none", target.name()))),
        None => Ok(()),
    }
}

/// Adds all corrections to their weights, which are then in memory, in f32.
pub fn merge(model: &mut impl Layer) {
    model.visit_weights(&mut Weight::merge);
}
// ANCHOR_END: attach

/// The correction of a matrix, or of the stacked matrices of experts.
#[derive(Clone)]
pub struct Lora {
    a: Parameter, // (r, in), or (E, in, r)
    b: Parameter, // (out, r), or (E, r, out)
    scale: f32,   // α/r
}

children!(Lora: a, b);

impl Lora {
    // ANCHOR: new
    /// Creates the correction of a weight. A new A is uniformly distributed, as PyTorch initializes a linear layer; a new B is 0.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(weight: &Parameter, adapter: &Adapter, source: &mut dyn Source) -> Result<Self> {
        let rank = adapter.rank;
        let (inputs, outputs) = (weight.value().inputs(), weight.value().outputs());
        let (a, b) = match *weight.value().shape() {
            [experts, _, _] => ([experts, inputs, rank].to_vec(), [experts, rank, outputs].to_vec()),
            _ => ([rank, inputs].to_vec(), [outputs, rank].to_vec()),
        };
        let mut take = |part: &str, shape: &[usize], init| -> Result<Parameter> {
            let name = format!("{}.{part}", weight.name().trim_end_matches(".weight"));
            let value = source.value(Request { name: &name, shape, role: weight.role(), init })?;
            Ok(Parameter::new(name, weight.role(), value))
        };
        let init = Init::Uniform(1.0 / (inputs as f32).sqrt());
        Ok(Self {
            a: take("lora_a", &a, init)?,
            b: take("lora_b", &b, Init::Zeros)?,
            scale: adapter.alpha / rank as f32,
        })
    }
    // ANCHOR_END: new

    // ANCHOR: forward
    /// Returns y + (α/r)·(x·Aᵀ)·Bᵀ.  x (T, in), y (T, out)
    pub fn correct(&self, y: &Tensor, x: &Tensor) -> Tensor {
        let (inner, b) = self.factors(x);
        add(y, &linear(&inner, b, None))
    }

    /// Like [`correct`](Self::correct), for experts: x (T·A, in) and y (T·A, out), sorted by expert.
    pub fn correct_experts(&self, y: &Tensor, x: &Tensor, offsets: &[usize]) -> Tensor {
        let product = |x: &Tensor, weight: &Parameter| {
            let (experts, outputs) = (weight.value().shape()[0], weight.value().outputs());
            let no_bias = Tensor::constant(array(&[experts, outputs], vec![0.0; experts * outputs]));
            grouped_matmul(x, weight, &no_bias, offsets)
        };
        add(y, &product(&scale(&product(x, &self.a), self.scale), &self.b))
    }
    // ANCHOR_END: forward

    /// Returns (α/r)·x·Aᵀ (T, r) and B (out, r), whose product is the correction.
    pub fn factors(&self, x: &Tensor) -> (Tensor, &Parameter) {
        (scale(&linear(x, &self.a, None), self.scale), &self.b)
    }

    /// Returns the weight with the correction, in f32.
    pub fn merged(&self, weight: &Value) -> Tensor {
        weight.corrected(self.a.value(), self.b.value(), self.scale)
    }
}
