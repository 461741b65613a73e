//! Routing: the experts that each token of a text visits.

use crate::Live;
use crate::spelled::{Token, spelled};
use ndarray::ArrayView2;
use ossia::error::{Error, Result};
use ossia::ops::cross_entropy::IGNORE;
use serde::{Deserialize, Serialize};

/// The longest text, in tokens.
const LONGEST: usize = 64;

#[derive(Deserialize)]
pub struct Question {
    model: String,
    text: String,
    /// The experts per token.
    active: usize,
}

#[derive(Serialize)]
pub struct Answer {
    tokens: Vec<Token>,
    layers: Vec<Layer>,
    experts: usize,
    /// The mean cross-entropy of the text, in nats per token; `None` for a single token.
    loss: Option<f32>,
}

#[derive(Serialize)]
struct Layer {
    /// For each token, its experts with their weights, the largest first.
    visits: Vec<Vec<(u32, f32)>>,
    /// The number of visits to each expert.
    load: Vec<usize>,
}

pub fn answer(live: &mut Live, Question { model, text, active }: Question) -> Result<Answer> {
    let model = live.models.get(&model)?;
    let ids = model.tokenizer.prompt(&text);
    model.check_length(&ids, LONGEST)?;
    let experts = model.transformer.config.experts;
    if !(1..=experts).contains(&active) {
        return Err(Error::argument(format!("{active} experts per token; this model has {experts} experts")));
    }
    let transformer = model.with("num_experts_per_tok", active)?;
    let output = transformer.forward(ArrayView2::from_shape((1, ids.len()), &ids).expect("one row"), None);
    let layer = |routing: &ossia::layers::router::Routing| {
        let (chosen, weights) = (routing.chosen.chunks_exact(active), routing.weights.data().chunks_exact(active));
        let visits = chosen
            .zip(weights)
            .map(|(experts, weights)| experts.iter().copied().zip(weights.iter().copied()).collect());
        let load = routing.dispatch.offsets.windows(2).map(|range| range[1] - range[0]);
        Layer { visits: visits.collect(), load: load.collect() }
    };
    let layers = output.routing.iter().map(layer).collect();
    let targets: Vec<u32> = ids[1..].iter().copied().chain([IGNORE]).collect();
    let loss = (ids.len() > 1).then(|| transformer.loss(&output, &targets).cross_entropy);
    Ok(Answer { tokens: spelled(&model.tokenizer, &ids), layers, experts, loss })
}
