//! Text ↔ token ids: byte-level BPE with the pieces of o200k.
//!
//! ```text
//! "Once upon 1234 times"
//!    split    "Once" " upon" " " "123" "4" " times"      pieces; no token spans two            split.rs
//!    bpe      bytes of a piece, merged by rank            " upon" → [32 117 112 111 110] → …    bpe.rs
//!    words    the tokens of pieces that came recently     " upon" → its tokens                  words.rs
//!    decode   the bytes of each id, joined                                                      stream.rs as they come
//! ```
//!
//! Every text has an encoding, because all 256 bytes are tokens, and decoding returns its bytes exactly. `train` learns
//! the merges (train.rs). Special tokens are ids with a name, which plain text is never encoded to (specials.rs).
//! tokenizer_json.rs reads and writes the `tokenizer.json` of Hugging Face, with the same ids.
//!
//! Book: [tokens](../../../book/tokens.html)

mod hash;
pub mod split;
mod bpe;
pub mod train;
mod specials;
mod stream;
mod token_set;
mod field_error;
mod template;
mod tokenizer_json;
mod vocabulary_error;
mod words;
#[cfg(feature = "o200k")]
pub mod o200k_harmony;

#[cfg(feature = "o200k")]
pub use o200k_harmony::o200k_harmony;
pub use specials::Allowed;
pub use split::{PATTERN, split};
pub use stream::Utf8Stream;
pub use token_set::TokenSet;
pub use train::train;

use bpe::{Bpe, Merge};
use specials::Specials;
use vocabulary_error::{MAX_VOCAB, VocabularyError};
use words::with_words;

use crate::error::{Error, Result};

/// The name of the special token that ends a document.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// A vocabulary of byte strings, the merges that lead to them, and special tokens. It is immutable.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    bpe: Bpe,
    specials: Specials,
    start: Option<u32>, // the token that begins every document
}

/// A merge of two neighbors in a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextMerge {
    /// The lowest rank of all pairs of neighbors.
    pub rank: u32,
    /// The position of the left one.
    pub at: usize,
    /// The token that replaces both.
    pub id: u32,
}

// ANCHOR: tokenizer
impl Tokenizer {
    /// Encodes `text`. The name of a special token in it is treated as plain text.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        self.encode_into(text, &mut ids);
        ids
    }

    /// Encodes `text` and recognises the allowed special tokens in it. If several start at the same position, the
    /// longest one is taken.
    pub fn encode_with_special(&self, text: &str, allowed: Allowed<'_>) -> Vec<u32> {
        let (mut rest, mut ids) = (text, Vec::new());
        while let Some((start, end, id)) = self.specials.next(rest, allowed) {
            self.encode_into(&rest[..start], &mut ids);
            ids.push(id);
            rest = &rest[end..];
        }
        self.encode_into(rest, &mut ids);
        ids
    }

    fn encode_into(&self, text: &str, ids: &mut Vec<u32>) {
        let vocabulary = self.bpe.identity();
        with_words(|words, scratch| {
            let mut rest = text.as_bytes();
            for piece in split(text) {
                words.encode(vocabulary, rest, piece.len(), ids, |piece, ids| self.bpe.encode(piece, scratch, ids));
                rest = &rest[piece.len()..];
            }
        });
    }

    /// Encodes `text` in the plainest way. It is quadratic in the length of a piece and the reference that
    /// [`encode`](Self::encode) is tested against.
    pub fn encode_naive(&self, text: &str) -> Vec<u32> {
        split(text).flat_map(|piece| self.bpe.encode_naive(piece.as_bytes())).collect()
    }

    /// Returns the token of each byte of a piece, with which BPE begins.
    pub fn byte_tokens(&self, piece: &[u8]) -> Vec<u32> {
        self.bpe.of_bytes(piece)
    }

    /// Returns the merge that BPE applies next to the tokens of a piece; `None` if there is no other.
    pub fn next_merge(&self, ids: &[u32]) -> Option<NextMerge> {
        self.bpe.next_merge(ids).map(|(rank, at, id)| NextMerge { rank, at, id })
    }

    /// Returns the bytes of `ids`. A special token becomes its name.
    ///
    /// # Errors
    /// If an id is not in the vocabulary.
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

    /// Returns the text of `ids`. Bytes that are not UTF-8 become U+FFFD; [`decode_bytes`](Self::decode_bytes) keeps
    /// them.
    ///
    /// # Errors
    /// If an id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.decode_bytes(ids)?).into_owned())
    }
}
// ANCHOR_END: tokenizer

/// The contents of a tokenizer.
impl Tokenizer {
    /// Returns the number of ids, including special tokens and gaps: the largest id + 1.
    pub fn vocab_size(&self) -> usize {
        let specials = self.specials.list().last().map_or(0, |&(_, id)| id as usize + 1);
        specials.max(self.bpe.tokens().len())
    }

    /// Returns the bytes of a token, or of the name of a special token; `None` if there is no such id.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        match self.bpe.tokens().get(id as usize) {
            Some(bytes) if !bytes.is_empty() => Some(bytes),
            _ => self.specials.name(id).map(str::as_bytes),
        }
    }

    /// Returns the special tokens and their ids, in order of id.
    pub fn specials(&self) -> &[(String, u32)] {
        self.specials.list()
    }

    /// Returns the id of a special token by its name.
    pub fn special_id(&self, name: &str) -> Option<u32> {
        self.specials.id(name)
    }

    /// Returns the id of `<|endoftext|>`, if the tokenizer has it.
    pub fn end_of_text(&self) -> Option<u32> {
        self.special_id(END_OF_TEXT)
    }

    /// Returns the token that begins every document of the text that a model was trained on, if there is one: its name and
    /// its id. Models that are trained here on text begin documents with `<|endoftext|>`; gpt-oss reads a text as it is.
    pub fn start_token(&self) -> Option<(&str, u32)> {
        self.start.and_then(|id| Some((self.specials.name(id)?, id)))
    }

    /// Returns the tokenizer with another start token.
    #[must_use]
    pub fn with_start(self, start: Option<u32>) -> Self {
        Self { start: start.filter(|&id| self.specials.name(id).is_some()), ..self }
    }

    /// Returns a prompt as ids, behind the start token if there is one. An empty prompt without a start token becomes
    /// `<|startoftext|>`, or `<|endoftext|>`, because a model continues at least one token.
    pub fn prompt(&self, text: &str) -> Vec<u32> {
        let ids: Vec<u32> = self.start.into_iter().chain(self.encode(text)).collect();
        match ids.is_empty() {
            true => self.special_id("<|startoftext|>").or(self.end_of_text()).into_iter().collect(),
            false => ids,
        }
    }

    /// Returns the merges as (left id, right id), in the order in which they were learned.
    pub fn merges(&self) -> Vec<(u32, u32)> {
        self.bpe.merges().iter().map(|merge| (merge.left, merge.right)).collect()
    }
}

/// Constructors; see also [`train()`], [`Tokenizer::load`] and [`Tokenizer::from_json`].
impl Tokenizer {
    /// Makes a tokenizer from merges: id `b` is the byte `b`, id `256 + i` is the result of merge `i`, and the special
    /// tokens take the ids after those.
    ///
    /// # Errors
    /// If a merge uses an id that does not exist yet or makes the bytes of another token, if a special token is empty
    /// or listed twice, or if there are more than 2²⁰ ids.
    pub fn from_merges(merges: &[(u32, u32)], special_tokens: &[&str]) -> Result<Self> {
        let mut tokens: Vec<Box<[u8]>> = (0..=255).map(|byte| Box::from([byte])).collect();
        let mut table = Vec::with_capacity(merges.len());
        for (&(left, right), rank) in merges.iter().zip(0..) {
            let id = 256 + rank;
            let (Some(a), Some(b)) = (tokens.get(left as usize), tokens.get(right as usize)) else {
                return Err(VocabularyError::MergeOfLaterId { rank, left, right, id }.into());
            };
            tokens.push([&a[..], &b[..]].concat().into());
            table.push(Merge { left, right, id, rank });
        }
        let specials =
            special_tokens.iter().zip(tokens.len() as u32..).map(|(name, id)| (name.to_string(), id)).collect();
        Ok(Self::from_parts(Bpe::new(tokens, &table, false)?, specials)?)
    }

    /// Makes a tokenizer from tiktoken's format: byte strings with their ids. The id is also the rank of the merge that
    /// makes the bytes, and a piece that is a token is encoded as that token. Ids may have gaps. Two special tokens may
    /// share an id, as `<|endofprompt|>` and `<|reserved_200018|>` of o200k_harmony do; the id is decoded to the one
    /// that is listed first.
    ///
    /// # Errors
    /// If an id is used twice or is not below 2²⁰, if a byte string is empty or listed twice, if a byte has no token,
    /// or if a special token is empty, is listed twice, or has the id of a byte string.
    pub fn from_ranks(ranks: Vec<(Vec<u8>, u32)>, specials: Vec<(String, u32)>) -> Result<Self> {
        let ranks = ranks.into_iter().map(|(bytes, id)| (bytes.into_boxed_slice(), id));
        Ok(Self::from_parts(Bpe::from_ranks(by_id(ranks)?)?, specials)?)
    }

    fn from_parts(bpe: Bpe, specials: Vec<(String, u32)>) -> std::result::Result<Self, VocabularyError> {
        let specials = Specials::new(specials)?;
        for (name, id) in specials.list() {
            if *id as usize >= MAX_VOCAB {
                return Err(VocabularyError::SpecialIdTooLarge { name: name.clone(), id: *id });
            }
            if bpe.tokens().get(*id as usize).is_some_and(|bytes| !bytes.is_empty()) {
                return Err(VocabularyError::SpecialIdTaken { name: name.clone(), id: *id });
            }
        }
        Ok(Self { bpe, specials, start: None })
    }
}

/// Returns the byte strings in order of id, with empty strings in the gaps.
fn by_id(tokens: impl IntoIterator<Item = (Box<[u8]>, u32)>) -> std::result::Result<Vec<Box<[u8]>>, VocabularyError> {
    let mut table: Vec<Box<[u8]>> = Vec::new();
    for (bytes, id) in tokens {
        let at = id as usize;
        if bytes.is_empty() {
            return Err(VocabularyError::Empty(at));
        }
        if at >= MAX_VOCAB {
            return Err(VocabularyError::IdTooLarge(at));
        }
        if at >= table.len() {
            table.resize(at + 1, Box::default());
        }
        if !table[at].is_empty() {
            return Err(VocabularyError::DuplicateId(at));
        }
        table[at] = bytes;
    }
    Ok(table)
}
