//! Training finds the merges that recounting everything finds, the same every time.

use ossia::tokenizer::train::{count_pieces, merges, merges_naive};
use ossia::tokenizer::{Tokenizer, train};
use proptest::prelude::*;

use super::{TOKENIZER, cases};

#[test]
fn training_gives_the_committed_file() {
    let texts: Vec<String> = cases().into_iter().map(|case| case.text).collect();
    let trained = train(&texts, 640, &["<|endoftext|>", "<|start|>"]).unwrap().with_start(None).to_json();
    if let Some(line) = (0..).zip(trained.lines().zip(TOKENIZER.lines())).find(|(_, (ours, file))| ours != file) {
        panic!("tokenizer.json differs from what training gives, first in line {line:?}");
    }
    assert_eq!(trained.len(), TOKENIZER.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Few letters, so that overlaps (`aaa`), ties and pieces that become one token all happen.
    #[test]
    fn fast_equals_naive(texts in proptest::collection::vec("[ab]{0,30}|[abc ]{0,60}|a{0,40}", 0..12), wanted in 0usize..60) {
        let pieces = count_pieces(&texts);
        prop_assert_eq!(merges(&pieces, wanted), merges_naive(&pieces, wanted));
    }

    /// The text of a learned token is encoded as that token, so that whole pieces may be looked up.
    #[test]
    fn every_learned_token_encodes_to_itself(texts in proptest::collection::vec("[ab]{0,30}|[abc]{0,60}", 1..12)) {
        let tokenizer = train(&texts, 320, &[]).unwrap();
        for id in 256..tokenizer.vocab_size() as u32 {
            let text = tokenizer.decode(&[id]).unwrap();
            prop_assert_eq!(tokenizer.encode_naive(&text), vec![id]);
        }
    }
}

#[test]
fn fast_equals_naive_on_the_reference_texts() {
    let pieces = count_pieces(cases().iter().map(|case| &case.text));
    assert_eq!(merges(&pieces, 300), merges_naive(&pieces, 300));
}

#[test]
fn ties_go_to_the_lower_ids() {
    let [a, b, c, space] = [97, 98, 99, 32];
    assert_eq!(merges(&count_pieces(["cb ab"]), 1), [(space, a)], "four pairs once each: (32,97) is the lowest");
    assert_eq!(
        merges(&count_pieces(["cb,ab"]), 9)[..2],
        [(44, a), (c, b)],
        "then what is left: (99,98) before (256,98)"
    );
    assert_eq!(merges(&count_pieces(["ab ab cb"]), 1), [(a, b)], "but the count goes first");
}

#[test]
fn overlapping_pairs_are_joined_from_the_left() {
    assert_eq!(merges(&count_pieces(["aaaaa"]), 9), [(97, 97), (256, 97), (256, 257)]);
}

#[test]
fn counts_are_of_texts_not_of_distinct_pieces() {
    let texts = ["xy", "xy", "xy", "ab", "abab"]; // xy three times in one distinct piece, ab three times in two
    assert_eq!(merges(&count_pieces(texts), 2), [(97, 98), (120, 121)]);
    assert_eq!(count_pieces(texts)[2], (Box::from(*b"xy"), 3));
}

#[test]
fn ids_are_bytes_then_merges_then_special_tokens() {
    let tokenizer = train(["hello hello"], 260, &["<|endoftext|>", "<|pad|>"]).unwrap();
    assert_eq!(tokenizer.vocab_size(), 260);
    assert_eq!(tokenizer.token_bytes(0), Some(&[0][..]));
    assert_eq!(tokenizer.token_bytes(255), Some(&[255][..]));
    assert_eq!(tokenizer.merges().len(), 2);
    assert_eq!(tokenizer.specials(), [("<|endoftext|>".to_owned(), 258), ("<|pad|>".to_owned(), 259)]);
    assert_eq!((tokenizer.end_of_text(), tokenizer.special_id("<|pad|>")), (Some(258), Some(259)));
}

#[test]
fn too_little_text_gives_a_smaller_tokenizer() {
    let tokenizer = train(["ab ab"], 5_000, &["<|endoftext|>"]).unwrap();
    assert_eq!(tokenizer.vocab_size(), 256 + 2 + 1, "ab, then ' ab'");
    assert_eq!(train(std::iter::empty::<&str>(), 5_000, &[]).unwrap().vocab_size(), 256);
}

#[test]
fn a_piece_of_a_million_letters_is_no_trouble() {
    let letters: Vec<u8> =
        (0u64..1_000_000).map(|i| b'a' + (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62) as u8).collect();
    for text in [String::from_utf8(letters).unwrap(), "a".repeat(1_000_000)] {
        let tokenizer = train([&text], 1_000, &[]).unwrap();
        assert_eq!(tokenizer.decode(&tokenizer.encode(&text)).unwrap(), text);
    }
}

#[test]
fn sizes_and_names_that_cannot_be_are_refused() {
    let message = |size, specials: &[&str]| {
        train(["ab"], size, specials).map(|t: Tokenizer| t.vocab_size()).unwrap_err().to_string()
    };
    let sizes = "expected 257 (256 bytes and 1 special tokens) to 1048576";
    assert_eq!(message(256, &["<|end|>"]), format!("vocabulary size: found 256, {sizes}"));
    assert_eq!(message(usize::MAX, &["<|end|>"]), format!("vocabulary size: found {}, {sizes}", usize::MAX));
    assert_eq!(message(300, &[""]), "the special token with id 257 is empty, expected a name");
    assert_eq!(message(300, &["x", "x"]), "the special token \"x\" is listed twice (ids 257 and 258), expected once");
}
