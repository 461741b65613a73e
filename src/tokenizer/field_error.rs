//! Errors of a `tokenizer.json`.

use super::vocabulary_error::VocabularyError;
use serde_json::Value;

/// A mistake in a field of the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FieldError {
    #[error("{field}: found {found}, expected {expected}")]
    Unexpected { field: String, found: String, expected: String },
    #[error("model.vocab.{token:?}: found {found:?}, expected characters that stand for a byte")]
    NotAByte { token: String, found: char },
    #[error("{field}: {source}")]
    Vocabulary { field: &'static str, source: VocabularyError },
}

impl FieldError {
    /// A field whose value is not the expected one. A long value is cut short in the message.
    pub fn unexpected(field: impl Into<String>, found: &Value, expected: impl Into<String>) -> Self {
        let found = match found {
            Value::Null => "nothing".to_owned(),
            value => value.to_string(),
        };
        let found = found.char_indices().nth(80).map_or(found.clone(), |(end, _)| format!("{}…", &found[..end]));
        Self::Unexpected { field: field.into(), found, expected: expected.into() }
    }

    /// A field whose tokens do not make a vocabulary.
    pub fn vocabulary(field: &'static str) -> impl Fn(VocabularyError) -> Self {
        move |source| Self::Vocabulary { field, source }
    }
}

/// The result of reading a field.
pub(super) type Checked<T> = std::result::Result<T, FieldError>;
