//! The matrix of a layer, or the stacked matrices of experts, perhaps corrected or rounded.
//!
//! Book: [lora](../../../../book/lora.html)

use super::Layer;
use super::lora::{Adapter, Lora};
use crate::error::Result;
use crate::ops::cross_entropy::{cross_entropy, cross_entropy_corrected, token_losses, weighted_cross_entropy};
use crate::ops::fake_quantize::fake_quantize;
use crate::ops::grouped_matmul::grouped_matmul;
use crate::ops::linear::linear;
use crate::parameter::{Init, Parameter, Role, Scope, Source, Value};
use crate::tensor::Tensor;

/// A matrix (out, in), or the matrices of experts (E, in, out).
#[derive(Clone)]
pub struct Weight {
    parameter: Parameter,
    lora: Option<Lora>,
    fake_quantized: bool, // whether experts in memory compute with the values that they would have in MXFP4
}

impl Weight {
    /// Creates a weight without a correction.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, shape: &[usize], role: Role, std: f32) -> Result<Self> {
        let parameter = scope.take("weight", shape, role, Init::Normal(std))?;
        Ok(Self { parameter, lora: None, fake_quantized: false })
    }

    /// Returns the parameter, without the correction.
    pub fn parameter(&self) -> &Parameter {
        &self.parameter
    }

    /// x (T, in) → (T, out)
    pub fn forward(&self, x: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let y = linear(x, &self.parameter, bias);
        self.lora.as_ref().map_or_else(|| y.clone(), |lora| lora.correct(&y, x))
    }

    /// x (T·A, in) sorted by expert → (T·A, out)
    pub fn forward_experts(&self, x: &Tensor, bias: &Tensor, offsets: &[usize]) -> Tensor {
        let w = match self.parameter.value() {
            Value::Dense(w) if self.fake_quantized => fake_quantize(w).into(),
            value => value.clone(),
        };
        let y = grouped_matmul(x, w, bias, offsets);
        self.lora.as_ref().map_or_else(|| y.clone(), |lora| lora.correct_experts(&y, x, offsets))
    }

    /// Returns the mean cross-entropy of `targets`, of the logits that this matrix makes of hidden states (T, H).
    pub fn cross_entropy(&self, hidden: &Tensor, targets: &[u32]) -> Tensor {
        match &self.lora {
            None => cross_entropy(hidden, &self.parameter, targets),
            Some(lora) => {
                let (inner, b) = lora.factors(hidden);
                cross_entropy_corrected(hidden, &self.parameter, (&inner, b.tensor()), targets)
            }
        }
    }

    /// Lets the matrices of experts compute with the values that they would have in MXFP4. Other matrices do not change.
    pub fn fake_quantize(&mut self) {
        self.fake_quantized = self.parameter.role() == Role::Expert;
    }

    /// Returns the cross-entropy of each of `targets` (T,), without a gradient.
    pub fn token_losses(&self, hidden: &Tensor, targets: &[u32]) -> Vec<f32> {
        match &self.lora {
            None => token_losses(hidden, &self.parameter, None, targets),
            Some(lora) => {
                let (inner, b) = lora.factors(hidden);
                token_losses(hidden, &self.parameter, Some((&inner, b.tensor())), targets)
            }
        }
    }

    /// Returns Σ weightₜ·lossₜ, of the cross-entropies of `targets` (T,).
    pub fn weighted_cross_entropy(&self, hidden: &Tensor, targets: &[u32], weights: &[f32]) -> Tensor {
        match &self.lora {
            None => weighted_cross_entropy(hidden, &self.parameter, None, targets, weights),
            Some(lora) => {
                let (inner, b) = lora.factors(hidden);
                weighted_cross_entropy(hidden, &self.parameter, Some((&inner, b.tensor())), targets, weights)
            }
        }
    }

    /// Gives the matrix a correction.
    ///
    /// # Errors
    /// Those of the source.
    pub fn attach(&mut self, adapter: &Adapter, source: &mut dyn Source) -> Result<()> {
        self.lora = Some(Lora::new(&self.parameter, adapter, source)?);
        Ok(())
    }

    /// Adds the correction to the matrix, which is then in memory, in f32.
    pub fn merge(&mut self) {
        if let Some(lora) = self.lora.take() {
            let (name, role) = (self.parameter.name(), self.parameter.role());
            self.parameter = Parameter::new(name, role, lora.merged(self.parameter.value()));
        }
    }
}

impl Layer for Weight {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Parameter)) {
        self.parameter.visit(f);
        self.lora.visit(f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Parameter)) {
        self.parameter.visit_mut(f);
        self.lora.visit_mut(f);
    }
    fn visit_weights(&mut self, f: &mut dyn FnMut(&mut Weight)) {
        f(self);
    }
}
