//! Decodes tokens to text as they arrive.
//!
//! A token is a byte string and may end in the middle of a character: `€` has three bytes and may be split into two
//! tokens. [`Utf8Stream`] holds back an incomplete character until it is complete, or until it cannot be completed any
//! more; then it becomes U+FFFD. The whole output is exactly `String::from_utf8_lossy` of all the bytes.

/// Converts a stream of byte strings to text, in complete characters.
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// The start of an incomplete character: at most three bytes.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Makes an empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes and returns the text that they complete, which may be empty.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            rest = &rest[chunk.valid().len()..];
            if is_unfinished(rest) {
                break;
            }
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                rest = &rest[chunk.invalid().len()..];
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// Ends the stream. An incomplete character becomes U+FFFD.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

/// Returns whether `bytes` are the start of one character that more bytes could complete, and nothing else.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}
