//! The experts of one layer: E small SwiGLU networks, A of which process each token.
//!
//! Book: [experts](../../../../book/experts.html)

use super::router::Routing;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::dispatch::{combine, gather};
use crate::ops::grouped_matmul::grouped_matmul;
use crate::ops::swiglu::swiglu;
use crate::parameter::{Init, Parameter, Role, Scope};
use crate::tensor::Tensor;

/// The stacked experts of a layer.
#[derive(Clone)]
pub struct Experts {
    gate_up: ExpertLinear, // H → 2I
    down: ExpertLinear,    // I → H
    alpha: f32,
    limit: f32,
}

children!(Experts: gate_up, down);

/// One linear layer per expert. Dense weights have a row per input, as in the Hugging Face checkpoint; quantized ones have
/// a row per output.
#[derive(Clone)]
struct ExpertLinear {
    weight: Parameter, // (E, in, out)
    bias: Parameter,   // (E, out)
}

children!(ExpertLinear: weight, bias);

impl ExpertLinear {
    fn new(scope: &mut Scope, experts: usize, (inputs, outputs): (usize, usize), std: f32) -> Result<Self> {
        Ok(Self {
            weight: scope.take("weight", &[experts, inputs, outputs], Role::Expert, Init::Normal(std))?,
            bias: scope.take("bias", &[experts, outputs], Role::Bias, Init::Zeros)?,
        })
    }

    /// x (T·A, in) sorted by expert → (T·A, out)
    fn forward(&self, x: &Tensor, routing: &Routing) -> Tensor {
        grouped_matmul(x, &self.weight, self.bias.tensor(), &routing.dispatch.offsets)
    }
}

impl Experts {
    /// Creates the E experts of a layer, with inner width I.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, config: &ModelConfig) -> Result<Self> {
        let (experts, hidden, inner) = (config.experts, config.hidden_size, config.intermediate_size);
        let (std, residual_std) = (config.initial_std(hidden), config.residual_std(inner));
        Ok(Self {
            gate_up: ExpertLinear::new(&mut scope.child("gate_up"), experts, (hidden, 2 * inner), std)?,
            down: ExpertLinear::new(&mut scope.child("down"), experts, (inner, hidden), residual_std)?,
            alpha: config.swiglu_alpha,
            limit: config.swiglu_limit,
        })
    }

    // ANCHOR: forward
    /// x (T, H) → (T, H): the outputs of each token's A experts, weighted and summed.
    pub fn forward(&self, x: &Tensor, routing: &Routing) -> Tensor {
        let visits = gather(x, &routing.dispatch); // (T·A, H), sorted by expert
        let gate_up = self.gate_up.forward(&visits, routing); // (T·A, 2I)
        let inner = swiglu(&gate_up, self.alpha, self.limit); // (T·A, I)
        let out = self.down.forward(&inner, routing); // (T·A, H)
        combine(&out, &routing.weights, &routing.dispatch)
    }
    // ANCHOR_END: forward
}
