//! Text from tokens as they arrive.
//!
//! A token is a byte string, and may end in the middle of a character: `€` is three bytes and can be two tokens.
//! [`Utf8Stream`] holds back an unfinished character until it is finished, or cannot be any more, and then shows U+FFFD.
//! What it has yielded at the end is exactly `String::from_utf8_lossy` of all the bytes.

/// Turns byte strings into text, complete characters only.
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// The start of a character that is not complete: at most three bytes.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// A stream at its start.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and returns the text they complete, which may be empty.
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

    /// Ends the stream: an unfinished character becomes U+FFFD.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

/// Whether `bytes` start a character that more bytes could complete, and hold nothing else.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}
