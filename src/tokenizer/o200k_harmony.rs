//! o200k_harmony: the vocabulary of gpt-oss, 201,088 ids.
//!
//! The first 199,998 ids are the byte strings of o200k_base, in the order in which their merges were learned. They are
//! followed by the special tokens that structure a harmony conversation and by reserved names. The byte strings come
//! with the crate `tiktoken-rs`, so that nothing has to be downloaded. The build script `build.rs` writes them to a file, with
//! the places where each can be cut into two tokens, and the file is part of the program. The encoder is
//! [`super::Tokenizer`].
//! <https://cookbook.openai.com/articles/openai-harmony>
//!
//! Book: [tokens](../../../../book/tokens.html)

use super::Tokenizer;
use super::bpe::Bpe;
use std::sync::OnceLock;

/// The byte strings and their cuts; the build script describes the format.
const O200K_BASE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k_base.bin"));

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
        let (mut tokens, mut cuts) = (Vec::with_capacity(MERGED as usize), Vec::with_capacity(MERGED as usize));
        let mut rest = O200K_BASE;
        while let [length, places, after @ ..] = rest {
            let (token, after) = after.split_at(usize::from(*length));
            let (cuts_of_token, after) = after.split_at(usize::from(*places));
            tokens.push(token.into());
            cuts.push(cuts_of_token);
            rest = after;
        }
        let bpe = Bpe::from_cuts(tokens, |id| cuts[id].iter().map(|&cut| usize::from(cut)));
        bpe.and_then(|bpe| Tokenizer::from_parts(bpe, specials()))
            .expect("o200k_base has every byte, and each string once")
    })
}

fn specials() -> Vec<(String, u32)> {
    let name = |id| {
        let known = SPECIALS.iter().find(|(_, other)| *other == id);
        known.map_or_else(|| format!("<|reserved_{id}|>"), |(name, _)| name.to_string())
    };
    (MERGED..VOCAB).map(|id| (name(id), id)).collect()
}
