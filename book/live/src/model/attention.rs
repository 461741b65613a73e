//! Attention: where each token of a text looks.

use crate::Live;
use crate::spelled::{Token, spelled};
use ossia::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The longest text, in tokens: a page shows all pairs of them.
const LONGEST: usize = 64;

#[derive(Deserialize)]
pub struct Question {
    model: String,
    text: String,
    layer: usize,
    head: usize,
    /// The window of the layers that have one.
    window: usize,
}

#[derive(Serialize)]
pub struct Answer {
    tokens: Vec<Token>,
    /// A row per token: the probabilities of all tokens, and then that of the sink.
    rows: Vec<Vec<f32>>,
    layers: usize,
    heads: usize,
    /// Whether this layer has a window.
    sliding: bool,
}

pub fn answer(live: &mut Live, Question { model, text, layer, head, window }: Question) -> Result<Answer> {
    let model = live.models.get(&model)?;
    let ids = model.tokenizer.prompt(&text);
    model.check_length(&ids, LONGEST)?;
    let config = &model.transformer.config;
    let (layers, heads, sliding) =
        (config.layers, config.heads, config.windows.get(layer).copied().flatten().is_some());
    if layer >= layers || head >= heads || window == 0 {
        let message =
            format!("layer {layer}, head {head}, window {window}; this model has {layers} layers of {heads} heads");
        return Err(Error::argument(message));
    }
    let transformer = model.with("sliding_window", window)?;
    let all = transformer.attention_probabilities(&ids, layer);
    let columns = ids.len() + 1;
    let rows = all.chunks_exact(columns).skip(head * ids.len()).take(ids.len()).map(<[f32]>::to_vec).collect();
    Ok(Answer { tokens: spelled(&model.tokenizer, &ids), rows, layers, heads, sliding })
}
