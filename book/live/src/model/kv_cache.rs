//! The KV cache: how many tokens run through the model with it and without it.

use crate::Live;
use ndarray::ArrayView2;
use ossia::error::{Error, Result};
use ossia::generate::{Generator, Sampler, Sampling};
use ossia::layers::Layer;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct Question {
    model: String,
    text: String,
    /// The number of new tokens.
    tokens: usize,
    cached: bool,
}

#[derive(Serialize)]
pub struct Answer {
    text: String,
    /// The number of tokens that ran through the model for each new token.
    computed: Vec<usize>,
}

/// Continues a text by the most probable tokens.
pub fn answer(live: &mut Live, Question { model, text, tokens, cached }: Question) -> Result<Answer> {
    let model = live.models.get(&model)?;
    let mut ids = model.tokenizer.prompt(&text);
    let (prompt, context) = (ids.len(), model.transformer.config.context);
    if tokens > context.saturating_sub(prompt) {
        let message = format!("{prompt} tokens and {tokens} new ones; the context of this model is {context}");
        return Err(Error::argument(message));
    }
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() }.within(&model.tokenizer);
    let mut computed = Vec::new();
    if cached {
        let mut generator = Generator::new(&model.transformer, &ids, greedy)?;
        for i in 0..tokens {
            ids.extend(generator.draw()?);
            computed.push(if i == 0 { prompt } else { 1 });
        }
    } else {
        let (frozen, mut sampler) = (model.transformer.frozen(), Sampler::new(greedy));
        for _ in 0..tokens {
            let row = ArrayView2::from_shape((1, ids.len()), &ids).expect("one row");
            let logits = frozen.logits(&frozen.forward(row, None).hidden);
            computed.push(ids.len());
            ids.push(sampler.sample(&logits.data()[logits.data().len() - logits.shape()[1]..]));
        }
    }
    Ok(Answer { text: model.tokenizer.decode(&ids[prompt..])?, computed })
}
