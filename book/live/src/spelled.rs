//! Tokens with their texts.

use ossia::tokenizer::Tokenizer;
use serde::Serialize;

#[derive(Serialize)]
pub struct Token {
    pub id: u32,
    pub text: String,
}

/// Returns tokens with their texts. A byte that is not a character by itself is written as in `\xe2`.
pub fn spelled(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<Token> {
    let text = |id: u32| {
        let bytes = tokenizer.token_bytes(id).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_string(),
            Err(_) => bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
        }
    };
    ids.iter().map(|&id| Token { id, text: text(id) }).collect()
}
