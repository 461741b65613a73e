//! The task in a training run: its system message, and a sample of what a model has learned.

use super::{Question, Wording, ask, system};
use crate::error::Result;
use crate::files::write_atomically;
use crate::harmony::Effort;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use std::path::Path;

/// The file beside a model with the system message that it was trained with, if that is not the one of gpt-oss.
pub const SYSTEM: &str = "system.json";

/// Writes the system message of the task into a model directory.
///
/// # Errors
/// Those of the operating system.
pub fn save_system(directory: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(&system(Effort::Medium, true)).expect("plain text");
    write_atomically(&directory.join(SYSTEM), format!("{text}\n").as_bytes())
}

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
