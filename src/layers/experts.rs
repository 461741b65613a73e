//! The experts of one layer: E small SwiGLU networks, of which a token sees A.       Book: experts.md

use super::router::Routing;
use super::{Init, Parameter, Source, Visitor, Weight};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::ops::dispatch::{combine, gather};
use crate::ops::swiglu::swiglu;
use crate::tensor::Tensor;

/// All experts of a layer, stacked. Trained weights have a row per input, as in the Hugging Face checkpoint; quantized
/// ones a row per output.
#[derive(Clone)]
pub struct Experts {
    gate_up_weight: Weight, // (E, H, 2I)
    gate_up_bias: Tensor,   // (E, 2I)
    down_weight: Weight,    // (E, I, H)
    down_bias: Tensor,      // (E, H)
    alpha: f32,
    limit: f32,
}

impl Experts {
    /// E experts of inner width I.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(source: &mut dyn Source, name: &str, config: &ModelConfig) -> Result<Self> {
        let (experts, hidden, inner) = (config.experts, config.hidden_size, config.intermediate_size);
        let part = |part: &str| format!("{name}.{part}");
        let (wide, back) = (Init::Normal(config.initial_std(hidden)), Init::Normal(config.residual_std(inner)));
        Ok(Self {
            gate_up_weight: source.weight(part("gate_up.weight"), &[experts, hidden, 2 * inner], wide)?,
            gate_up_bias: source.parameter(part("gate_up.bias"), &[experts, 2 * inner], Init::Zeros)?,
            down_weight: source.weight(part("down.weight"), &[experts, inner, hidden], back)?,
            down_bias: source.parameter(part("down.bias"), &[experts, hidden], Init::Zeros)?,
            alpha: config.swiglu_alpha,
            limit: config.swiglu_limit,
        })
    }

    // ANCHOR: forward
    /// x (T, H) → (T, H): each token's A experts, weighted and summed.
    pub fn forward(&self, x: &Tensor, routing: &Routing) -> Tensor {
        let offsets = &routing.dispatch.offsets;
        let visits = gather(x, &routing.dispatch); // (T·A, H), sorted by expert
        let gate_up = self.gate_up_weight.grouped(&visits, &self.gate_up_bias, offsets);
        let inner = swiglu(&gate_up, self.alpha, self.limit); // (T·A, I)
        let out = self.down_weight.grouped(&inner, &self.down_bias, offsets);
        combine(&out, &routing.weights, &routing.dispatch)
    }
    // ANCHOR_END: forward

    /// `gate_up.weight`, `gate_up.bias`, `down.weight`, `down.bias`
    pub fn visit<'p>(&'p mut self, name: &str, visitor: Visitor<'_, 'p>) {
        visitor(format!("{name}.gate_up.weight"), self.gate_up_weight.parameter());
        visitor(format!("{name}.gate_up.bias"), Parameter::Trained(&mut self.gate_up_bias));
        visitor(format!("{name}.down.weight"), self.down_weight.parameter());
        visitor(format!("{name}.down.bias"), Parameter::Trained(&mut self.down_bias));
    }
}
