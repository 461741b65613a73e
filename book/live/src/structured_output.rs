//! Structured output: the tokens that a schema allows after a text.

use crate::Live;
use crate::spelled::{Token, spelled};
use ossia::error::{Error, Result};
use ossia::schema::Guide;
use serde::{Deserialize, Serialize};

/// The allowed tokens that a page shows.
const SHOWN: usize = 200;

#[derive(Deserialize)]
pub struct Question {
    vocabulary: String,
    /// A JSON Schema.
    schema: String,
    /// The beginning of a text.
    text: String,
}

#[derive(Serialize)]
pub struct Answer {
    /// The number of bytes of the text that the schema allows. If it is not all of them, the rest is about the text before.
    read: usize,
    /// Whether the text is complete.
    complete: bool,
    /// The first of the tokens that are allowed next, and the number of all of them.
    allowed: Vec<Token>,
    count: usize,
    of: usize,
    /// A shortest way to complete the text.
    closing: String,
}

pub fn answer(live: &mut Live, Question { vocabulary, schema, text }: Question) -> Result<Answer> {
    let tokenizer = live.vocabulary(&vocabulary)?;
    let end = tokenizer.end_of_text().unwrap_or(0);
    let schema =
        serde_json::from_str(&schema).map_err(|error| Error::argument(format!("the schema is not JSON: {error}")))?;
    let mut guide = Guide::of(&schema, tokenizer, end)?;
    let read = text.bytes().take_while(|&byte| guide.read(&[byte])).count();
    let closing = String::from_utf8_lossy(&guide.closing()).into_owned();
    let complete = guide.is_complete();
    let next = guide.next_tokens();
    let ids: Vec<u32> = (0..tokenizer.vocab_size() as u32).filter(|&id| next.contains(id)).collect();
    let allowed = spelled(tokenizer, &ids[..ids.len().min(SHOWN)]);
    Ok(Answer { read, complete, allowed, count: ids.len(), of: tokenizer.vocab_size(), closing })
}
