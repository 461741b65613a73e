//! o200k_harmony: the vocabulary of gpt-oss, 201,088 ids.
//!
//! The first 199,998 ids are the byte strings of o200k_base, in the order in which their merges were learned. They are
//! followed by the special tokens that structure a harmony conversation and by reserved names. The byte strings come
//! with the crate `tiktoken-rs`, so that nothing has to be downloaded. The encoder is [`super::Tokenizer`].
//! <https://cookbook.openai.com/articles/openai-harmony>
//!
//! Book: [tokens](../../../../book/tokens.html)

use super::Tokenizer;
use std::sync::OnceLock;

/// The number of byte strings, which is also the id of the first special token.
const MERGED: u32 = 199_998;

/// The number of ids, which is the number of rows of the embedding of gpt-oss.
pub const VOCAB: u32 = 201_088;

// ANCHOR: specials
/// The special tokens that have a meaning. The ids between and after them are named `<|reserved_{id}|>`.
pub const SPECIALS: [(&str, u32); 10] = [
    ("<|startoftext|>", 199_998),
    ("<|endoftext|>", 199_999),
    ("<|return|>", 200_002),
    ("<|constrain|>", 200_003),
    ("<|channel|>", 200_005),
    ("<|start|>", 200_006),
    ("<|end|>", 200_007),
    ("<|message|>", 200_008),
    ("<|call|>", 200_012),
    ("<|endofprompt|>", 200_018),
];
// ANCHOR_END: specials

/// Returns the tokenizer of gpt-oss. It is built on first use and then shared.
pub fn o200k_harmony() -> &'static Tokenizer {
    static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| {
        let source = tiktoken_rs::o200k_base_singleton();
        let bytes = |id| source.decode_bytes(&[id]).expect("o200k_base has ids 0 to 199,997");
        let ranks = (0..MERGED).map(|id| (bytes(id), id)).collect();
        Tokenizer::from_ranks(ranks, specials()).expect("o200k_base is a vocabulary of every byte, each string once")
    })
}

fn specials() -> Vec<(String, u32)> {
    let name = |id| {
        let known = SPECIALS.iter().find(|(_, other)| *other == id);
        known.map_or_else(|| format!("<|reserved_{id}|>"), |(name, _)| name.to_string())
    };
    (MERGED..VOCAB).map(|id| (name(id), id)).collect()
}
