//! The experts of one layer: E small SwiGLU networks, A of which process each token.
//!
//! Book: [experts](../../../../book/experts.html)

use super::router::Routing;
use super::{Layer, Weight};
use crate::collective::{Collective, part};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::ops::dispatch::{Dispatch, combine, gather};
use crate::ops::exchange::{send_back, send_to_experts};
use crate::ops::swiglu::swiglu;
use crate::parameter::{Init, Parameter, Role, Scope};
use crate::tensor::{Tensor, array};
use std::sync::Arc;

/// The stacked experts of a layer.
#[derive(Clone)]
pub struct Experts {
    gate_up: ExpertLinear, // H → 2I
    down: ExpertLinear,    // I → H
    alpha: f32,
    limit: f32,
    spread: Option<Arc<dyn Collective>>, // the ranks that hold the experts; none if they are all here
}

children!(Experts: gate_up, down);

/// One linear layer per expert. Dense weights have a row per input, as in the Hugging Face checkpoint; quantized ones have
/// a row per output.
#[derive(Clone)]
struct ExpertLinear {
    weight: Weight,  // (E, in, out)
    bias: Parameter, // (E, out)
}

children!(ExpertLinear: weight, bias);

impl ExpertLinear {
    fn new(scope: &mut Scope, experts: usize, (inputs, outputs): (usize, usize), std: f32) -> Result<Self> {
        Ok(Self {
            weight: Weight::new(scope, &[experts, inputs, outputs], Role::Expert, std)?,
            bias: scope.take("bias", &[experts, outputs], Role::Bias, Init::Zeros)?,
        })
    }

    /// x (T·A, in) sorted by expert → (T·A, out)
    fn forward(&self, x: &Tensor, offsets: &[usize]) -> Tensor {
        self.weight.forward_experts(x, self.bias.tensor(), offsets)
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
            spread: None,
        })
    }

    // ANCHOR: forward
    /// x (T, H) → (T, H): the outputs of each token's A experts, weighted and summed.
    pub fn forward(&self, x: &Tensor, routing: &Routing) -> Tensor {
        let visits = gather(x, &routing.dispatch); // (T·A, H), sorted by expert
        let out = match &self.spread {
            None => self.process(&visits, &routing.dispatch.offsets),
            Some(ranks) => self.process_spread(&visits, &routing.dispatch, ranks),
        };
        combine(&out, &routing.weights, &routing.dispatch)
    }

    /// (T·A, H) sorted by expert → (T·A, H): the output of each visit.
    fn process(&self, visits: &Tensor, offsets: &[usize]) -> Tensor {
        let gate_up = self.gate_up.forward(visits, offsets); // (T·A, 2I)
        let inner = swiglu(&gate_up, self.alpha, self.limit); // (T·A, I)
        self.down.forward(&inner, offsets) // (T·A, H)
    }
    // ANCHOR_END: forward

    // ANCHOR: spread
    /// Like [`process`](Self::process), where each visit goes to the rank that holds its expert, and its output comes back.
    fn process_spread(&self, visits: &Tensor, dispatch: &Dispatch, ranks: &Arc<dyn Collective>) -> Tensor {
        let (received, exchange) = send_to_experts(visits, dispatch, ranks);
        let out = self.process(&received, &exchange.offsets);
        send_back(&out, &exchange)
    }

    /// Processes the tokens of other ranks, and has none itself.
    pub fn serve(&self) {
        let Some(ranks) = &self.spread else { return };
        let none = Tensor::constant(array(&[0, self.gate_up.weight.parameter().value().inputs()], Vec::new()));
        let experts = self.gate_up.weight.parameter().value().shape()[0] * ranks.size();
        self.process_spread(&none, &Dispatch::new(&[], experts, 1), ranks);
    }
    // ANCHOR_END: spread

    /// Keeps the experts that belong to this rank, and lets the other ranks process what visits theirs.
    ///
    /// # Errors
    /// If the number of experts is no multiple of the number of ranks.
    pub fn spread(&mut self, ranks: &Arc<dyn Collective>) -> Result<()> {
        let (experts, size) = (self.gate_up.weight.parameter().value().shape()[0], ranks.size());
        if !experts.is_multiple_of(size) {
            let message = format!("{experts} experts cannot be spread evenly over {size} ranks");
            return Err(Error::argument(message));
        }
        self.visit_mut(&mut |parameter| parameter.keep_experts(part(experts, ranks.rank(), size)));
        self.spread = (size > 1).then(|| ranks.clone());
        Ok(())
    }
}
