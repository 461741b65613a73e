//! Answers that can be checked.

use regex_automata::nfa::thompson::pikevm::PikeVM;
use serde_json::Value;
use std::sync::Arc;

/// What a final answer has to be.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This number, however it is written: `12`, `12.0` and `1.2e1` are equal.
    Number(f64),
    /// Exactly this text, without spaces around it.
    Text(String),
    /// A text that this regular expression describes as a whole.
    Pattern(String, Arc<PikeVM>),
}

impl Answer {
    /// Reads the field `answer` of a question: a number, a text, or `{"pattern": "…"}` with a regular expression.
    ///
    /// # Errors
    /// If it is none of them; the message begins with the field.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::Number(number) => {
                number.as_f64().map(Answer::Number).ok_or_else(|| format!("answer: {number} is out of range"))
            }
            Value::String(text) => Ok(Answer::Text(text.trim().into())),
            Value::Object(fields) => match (fields.get("pattern"), fields.len()) {
                (Some(Value::String(pattern)), 1) => {
                    let whole = format!("^(?:{pattern})$");
                    let matcher =
                        PikeVM::new(&whole).map_err(|_| format!("answer.pattern: {pattern:?} is malformed"))?;
                    Ok(Answer::Pattern(pattern.clone(), Arc::new(matcher)))
                }
                _ => Err("answer: expected {\"pattern\": \"…\"}".into()),
            },
            _ => Err("answer: expected a number, a text, or {\"pattern\": \"…\"}".into()),
        }
    }

    /// Returns whether a final answer is right.
    pub fn accepts(&self, text: &str) -> bool {
        let text = text.trim();
        match self {
            Answer::Number(number) => text.parse() == Ok(*number),
            Answer::Text(expected) => text == expected,
            Answer::Pattern(_, matcher) => matcher.is_match(&mut matcher.create_cache(), text),
        }
    }

    /// Returns the text that a model should learn to write; `None` for a pattern, which many texts match.
    pub fn text(&self) -> Option<String> {
        match self {
            Answer::Number(number) => Some(number.to_string()),
            Answer::Text(text) => Some(text.clone()),
            Answer::Pattern(..) => None,
        }
    }
}
