//! The task in a training run: a sample of what a model has learned.

use super::{Question, Wording, ask};
use crate::error::Result;
use crate::harmony::Effort;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// Asks a held-out question at each effort and returns what the model wrote. `show` gets the question, and then each answer.
///
/// # Errors
/// If the question does not fit in the context of the model.
pub fn sample(model: &Transformer, tokenizer: &Tokenizer, seed: u64, show: &mut dyn FnMut(&str)) -> Result<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let question = Question::draw(true, &mut rng, |rng| Question::sum(3, rng));
    let mut text = question.text(Wording::Plain);
    show(&text);
    for effort in Effort::ALL {
        let answer = ask(model, tokenizer, &question, Wording::Plain, effort)?;
        let is_right = answer.text() == question.answer().to_string();
        let said = answer.messages.iter().map(|message| message.text().replace('\n', "  "));
        let said = said.collect::<Vec<_>>().join(" → ");
        let line = format!("\n{:8}{said}  ({})", effort.name(), if is_right { "right" } else { "wrong" });
        show(&line);
        text += &line;
    }
    Ok(text)
}
