//! Proofs of the tokenizer: against tiktoken, Hugging Face and a regex engine, against its slow twins, at its edges.
//!
//! The reference data is in `reference/tokenizer/`; `generate.py` there says where it comes from.
//!
//! Book: [tokens](../../book/src/tokens.md)

mod split;
mod encode;
mod decode;
mod train;
mod json;
mod malformed_json;
mod o200k;
mod programs;

use ossia::tokenizer::Tokenizer;
use proptest::prelude::*;

const CASES: &str = include_str!("reference/tokenizer/cases.json");
const TOKENIZER: &str = include_str!("reference/tokenizer/tokenizer.json");

/// A text, its pieces as other libraries cut it, and its ids as they encode it with `tokenizer.json`.
#[derive(serde::Deserialize)]
struct Case {
    text: String,
    pieces: Vec<String>,
    ids: Vec<u32>,
    /// The ids, if special tokens in the text make a difference.
    ids_with_special: Option<Vec<u32>>,
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    assert!(cases.len() > 200, "the fixture has only {} cases", cases.len());
    cases
}

/// The committed `tokenizer.json`: 256 bytes, 382 merges, 2 special tokens.
fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(TOKENIZER, "tokenizer.json").unwrap()
}

/// Strings of characters that the pre-tokenizer treats differently, few enough that they often stand side by side.
fn adversarial() -> impl Strategy<Value = String> {
    let characters: Vec<char> = concat!(
        "aAbBsSſtTrReEvVlLdDmM'''      \t\u{b}\u{85}\u{a0}\u{2028}\u{3000}\n\n\r\r//!-._1٣½Ⅷ中ʰªǅ",
        "\u{301}\u{903}\u{20dd}\u{200d}\u{fe0f}😀ßÉ\u{1c}\u{378}\0"
    )
    .chars()
    .collect();
    // Half of the strings use a handful of the characters only, so that runs and repetitions come up.
    let few = proptest::sample::subsequence(characters.clone(), 1..6)
        .prop_flat_map(|few| proptest::collection::vec(proptest::sample::select(few), 0..40));
    let any = proptest::collection::vec(proptest::sample::select(characters), 0..40);
    prop_oneof![few, any].prop_map(|characters| characters.into_iter().collect())
}
