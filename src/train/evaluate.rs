//! How well a model predicts text that it was not trained on.

use crate::data::Windows;
use crate::model::Transformer;
use crate::tensor::no_grad;

/// Text to measure on.
pub struct EvaluationSet {
    /// The text, cut so that every token counts once.
    pub windows: Windows,
    /// What no model can be better than, in nats per token; known for the built-in stories.
    pub entropy_floor: Option<f64>,
    /// UTF-8 bytes of the text, for bits per byte.
    pub bytes: usize,
}

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Cross-entropy, nats per token.
    pub loss: f64,
    /// How many tokens were predicted.
    pub tokens: usize,
    /// The floor of the set.
    pub entropy_floor: Option<f64>,
    /// Comparable between tokenizers.
    pub bits_per_byte: f64,
}

impl Evaluation {
    /// e^loss: among how many tokens the model hesitates, on average.
    pub fn perplexity(&self) -> f64 {
        self.loss.exp()
    }
}

/// The mean cross-entropy over the whole set, `batch` windows at a time.
pub fn evaluate(model: &Transformer, set: &EvaluationSet, batch: usize) -> Evaluation {
    no_grad(|| {
        let (mut nats, mut tokens) = (0.0, 0);
        for batch in set.windows.evaluation(batch) {
            let targets: Vec<u32> = batch.targets.iter().copied().collect();
            let output = model.forward(batch.inputs.view(), None);
            nats += f64::from(model.loss(&output, &targets).cross_entropy) * batch.counted() as f64;
            tokens += batch.counted();
        }
        let loss = nats / tokens.max(1) as f64;
        let bits_per_byte = nats / std::f64::consts::LN_2 / set.bytes.max(1) as f64;
        Evaluation { loss, tokens, entropy_floor: set.entropy_floor, bits_per_byte }
    })
}
