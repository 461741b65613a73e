//! Text ↔ token ids: byte-level BPE with the pieces of o200k.                                    Book: tokens.md
//!
//! ```text
//! "Once upon 1234 times"
//!    split    "Once" " upon" " " "123" "4" " times"      pieces; no token spans two            split.rs
//!    bpe      bytes of a piece, merged by rank            " upon" → [32 117 112 111 110] → …    bpe.rs
//!    decode   the bytes of each id, joined                                                      stream.rs as they come
//! ```
//!
//! Every text has an encoding, since all 256 bytes are tokens, and decoding gives back its bytes exactly.
//! `train` learns the merges (train.rs); special tokens are named ids that plain text never becomes (specials.rs);
//! tokenizer_json.rs reads and writes the `tokenizer.json` of Hugging Face, with the same ids.

mod hash;
pub mod split;
mod bpe;
pub mod train;
mod specials;
mod stream;
mod token_set;
mod tokenizer_json;
#[cfg(feature = "o200k")]
pub mod o200k_harmony;

#[cfg(feature = "o200k")]
pub use o200k_harmony::o200k_harmony;
pub use specials::Allowed;
pub use split::{PATTERN, split};
pub use stream::Utf8Stream;
pub use token_set::TokenSet;
pub use train::train;

use bpe::{Bpe, MAX_VOCAB, Merge, Scratch};
use specials::Specials;

use crate::error::{Error, Result};

/// The name of the special token that ends a document.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// A vocabulary of byte strings, the merges that lead to them, and special tokens. Immutable, and shared freely.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    bpe: Bpe,
    specials: Specials,
}

// ANCHOR: tokenizer
impl Tokenizer {
    /// The ids of `text`. A special token spelled out in it is text like any other.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        self.encode_into(text, &mut Scratch::default(), &mut ids);
        ids
    }

    /// The ids of `text`, in which the allowed special tokens are recognised: the first in the text first, and the
    /// longest where several start at one place.
    pub fn encode_with_special(&self, text: &str, allowed: Allowed<'_>) -> Vec<u32> {
        let (mut rest, mut scratch, mut ids) = (text, Scratch::default(), Vec::new());
        while let Some((start, end, id)) = self.specials.next(rest, allowed) {
            self.encode_into(&rest[..start], &mut scratch, &mut ids);
            ids.push(id);
            rest = &rest[end..];
        }
        self.encode_into(rest, &mut scratch, &mut ids);
        ids
    }

    fn encode_into(&self, text: &str, scratch: &mut Scratch, ids: &mut Vec<u32>) {
        for piece in split(text) {
            self.bpe.encode(piece.as_bytes(), scratch, ids);
        }
    }

    /// The ids of `text` in the plainest way, quadratic in the length of a piece: the twin of [`encode`](Self::encode).
    pub fn encode_naive(&self, text: &str) -> Vec<u32> {
        split(text).flat_map(|piece| self.bpe.encode_naive(piece.as_bytes())).collect()
    }

    /// The bytes of `ids`, a special token as its name.
    ///
    /// # Errors
    /// An id that is not in the vocabulary.
    pub fn decode_bytes(&self, ids: &[u32]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (at, &id) in ids.iter().enumerate() {
            let token = self.token_bytes(id).ok_or_else(|| {
                Error::argument(format!("token {at}: id {id} is not in the vocabulary of {} ids", self.vocab_size()))
            })?;
            bytes.extend_from_slice(token);
        }
        Ok(bytes)
    }

    /// The text of `ids`. Bytes that are not UTF-8 become U+FFFD; [`decode_bytes`](Self::decode_bytes) keeps them.
    ///
    /// # Errors
    /// An id that is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.decode_bytes(ids)?).into_owned())
    }
}
// ANCHOR_END: tokenizer

/// What a tokenizer consists of.
impl Tokenizer {
    /// The number of ids, special tokens and gaps included: the largest id + 1.
    pub fn vocab_size(&self) -> usize {
        let specials = self.specials.list().last().map_or(0, |&(_, id)| id as usize + 1);
        specials.max(self.bpe.tokens().len())
    }

    /// The bytes of a token, the name's for a special token; `None` if there is no such id.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        match self.bpe.tokens().get(id as usize) {
            Some(bytes) if !bytes.is_empty() => Some(bytes),
            _ => self.specials.name(id).map(str::as_bytes),
        }
    }

    /// The special tokens and their ids, in order of id.
    pub fn specials(&self) -> &[(String, u32)] {
        self.specials.list()
    }

    /// The id of a special token by its name.
    pub fn special_id(&self, name: &str) -> Option<u32> {
        self.specials.id(name)
    }

    /// The id of `<|endoftext|>`, if the tokenizer has it.
    pub fn end_of_text(&self) -> Option<u32> {
        self.special_id(END_OF_TEXT)
    }

    /// Returns a prompt as ids, after the token that begins every document: `<|endoftext|>` in models that are trained here.
    /// gpt-oss reads a text as it is; only an empty prompt becomes `<|startoftext|>`.
    pub fn prompt(&self, text: &str) -> Vec<u32> {
        let ids = self.encode(text);
        match self.special_id("<|startoftext|>") {
            Some(start) if ids.is_empty() => vec![start],
            Some(_) => ids,
            None => self.end_of_text().into_iter().chain(ids).collect(),
        }
    }

    /// The merges as (left id, right id), first learned first.
    pub fn merges(&self) -> Vec<(u32, u32)> {
        self.bpe.merges().iter().map(|merge| (merge.left, merge.right)).collect()
    }
}

/// Making a tokenizer; see also [`train()`], [`Tokenizer::load`] and [`Tokenizer::from_json`].
impl Tokenizer {
    /// Id `b` is the byte `b`, id `256 + i` is what merge `i` makes, and the special tokens take the ids after that.
    ///
    /// # Errors
    /// A merge that uses an id not yet made, or makes bytes that are a token already; a special token that is empty or
    /// twice there; more than 2²⁰ ids.
    pub fn from_merges(merges: &[(u32, u32)], special_tokens: &[&str]) -> Result<Self> {
        let mut tokens: Vec<Box<[u8]>> = (0..=255).map(|byte| Box::from([byte])).collect();
        let mut table = Vec::with_capacity(merges.len());
        for (&(left, right), rank) in merges.iter().zip(0..) {
            let id = 256 + rank;
            let (Some(a), Some(b)) = (tokens.get(left as usize), tokens.get(right as usize)) else {
                return Err(Error::argument(format!(
                    "merge {rank}: found ids {left} and {right}, expected ids < {id}"
                )));
            };
            tokens.push([&a[..], &b[..]].concat().into());
            table.push(Merge { left, right, id, rank });
        }
        let specials =
            special_tokens.iter().zip(tokens.len() as u32..).map(|(name, id)| (name.to_string(), id)).collect();
        let bpe = Bpe::new(tokens, &table, false).map_err(Error::argument)?;
        Self::from_parts(bpe, specials).map_err(Error::argument)
    }

    /// tiktoken's form: byte strings with their ids, where the id is also the rank of the merge that makes the bytes,
    /// and a piece that is a token is taken as it is. Ids may have gaps. Two special tokens may share an id, as
    /// o200k_harmony's `<|endofprompt|>` and `<|reserved_200018|>` do; it decodes to the one listed first.
    ///
    /// # Errors
    /// An id that is used twice or not below 2²⁰, a byte string that is empty or twice there, a byte without a token, a
    /// special token that is empty, twice there, or has the id of a byte string.
    pub fn from_ranks(ranks: Vec<(Vec<u8>, u32)>, specials: Vec<(String, u32)>) -> Result<Self> {
        let ranks = ranks.into_iter().map(|(bytes, id)| (bytes.into_boxed_slice(), id));
        let bpe = by_id(ranks).and_then(Bpe::from_ranks).map_err(Error::argument)?;
        Self::from_parts(bpe, specials).map_err(Error::argument)
    }

    fn from_parts(bpe: Bpe, specials: Vec<(String, u32)>) -> std::result::Result<Self, String> {
        let specials = Specials::new(specials)?;
        for (name, id) in specials.list() {
            if *id as usize >= MAX_VOCAB {
                return Err(format!("the special token {name:?} has id {id}, expected an id below {MAX_VOCAB}"));
            }
            if bpe.tokens().get(*id as usize).is_some_and(|bytes| !bytes.is_empty()) {
                return Err(format!("the special token {name:?} has id {id}, which is a token already"));
            }
        }
        Ok(Self { bpe, specials })
    }
}

/// Byte strings in the places of their ids, the gaps empty.
fn by_id(tokens: impl IntoIterator<Item = (Box<[u8]>, u32)>) -> std::result::Result<Vec<Box<[u8]>>, String> {
    let mut table: Vec<Box<[u8]>> = Vec::new();
    for (bytes, id) in tokens {
        let at = id as usize;
        if bytes.is_empty() {
            return Err(format!("id {id} has no bytes, expected at least one"));
        }
        if at >= MAX_VOCAB {
            return Err(format!("found id {id}, expected an id below {MAX_VOCAB}"));
        }
        if at >= table.len() {
            table.resize(at + 1, Box::default());
        }
        if !table[at].is_empty() {
            return Err(format!("id {id} is used twice, expected each id once"));
        }
        table[at] = bytes;
    }
    Ok(table)
}
