//! The vocabulary of gpt-oss: the ids of tiktoken-rs, for every text.

use super::programs::PROGRAMS;
use ossia::tokenizer::{Allowed, Tokenizer, o200k_harmony};
use proptest::prelude::*;
use std::time::Instant;

fn oracle() -> &'static tiktoken_rs::CoreBPE {
    tiktoken_rs::o200k_harmony_singleton()
}

#[track_caller]
fn assert_same(text: &str) {
    let ids = o200k_harmony().encode(text);
    assert_eq!(ids, oracle().encode_ordinary(text), "{text:?}");
    assert_eq!(o200k_harmony().decode_bytes(&ids).unwrap(), text.as_bytes());
}

#[test]
fn tokenizer_o200k_has_every_id_of_harmony() {
    let tokenizer = o200k_harmony();
    assert_eq!(tokenizer.vocab_size(), 201_088);
    for id in 0..201_088 {
        // tiktoken-rs reserves 200018, which OpenAI's own table also calls <|endofprompt|>.
        let expected = if id == 200_018 { b"<|endofprompt|>".to_vec() } else { oracle().decode_bytes(&[id]).unwrap() };
        assert_eq!(tokenizer.token_bytes(id), Some(&expected[..]), "id {id}");
    }
    let ids = [
        ("<|start|>", 200_006),
        ("<|end|>", 200_007),
        ("<|message|>", 200_008),
        ("<|channel|>", 200_005),
        ("<|constrain|>", 200_003),
        ("<|return|>", 200_002),
        ("<|call|>", 200_012),
        ("<|startoftext|>", 199_998),
        ("<|endoftext|>", 199_999),
        ("<|reserved_201087|>", 201_087),
    ];
    for (name, id) in ids {
        assert_eq!(tokenizer.special_id(name), Some(id));
    }
}

/// The build script lists where tokens can be cut; trying every place finds the same merges.
#[test]
fn tokenizer_o200k_has_every_merge() {
    let ranks = (0..199_998).map(|id| (oracle().decode_bytes(&[id]).unwrap(), id)).collect();
    let searched = Tokenizer::from_ranks(ranks, Vec::new()).unwrap();
    assert_eq!(o200k_harmony().merges().len(), 446_189);
    assert!(o200k_harmony().merges() == searched.merges());
}

#[test]
fn tokenizer_o200k_recognises_special_tokens_only_where_asked() {
    let text = "<|start|>user<|message|>Hi <|nothing|> <|endoftext|><|end|>";
    let (tokenizer, oracle) = (o200k_harmony(), oracle());
    assert_eq!(tokenizer.encode_with_special(text, Allowed::All), oracle.encode_with_special_tokens(text));
    assert_same(text);
    assert!(tokenizer.encode(text).iter().all(|&id| id < 199_998));
}

#[test]
fn tokenizer_o200k_equals_tiktoken_on_source_code_in_ten_languages() {
    assert_eq!(PROGRAMS.len(), 10);
    PROGRAMS.iter().for_each(|(_, program)| assert_same(program));
    for file in ["src/kernels/mod.rs", "tests/verify/reference/generate.py", "README.md", "Cargo.toml", ".ci/run"] {
        assert_same(&std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap());
    }
}

#[test]
fn tokenizer_o200k_equals_tiktoken_on_every_character() {
    // Each alone, behind a letter, before a letter: in pieces of a few thousand, so that a failure is small.
    let all: Vec<char> = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
    for some in all.chunks(4_096) {
        let text: String = some.iter().flat_map(|&c| [c, ' ', 'a', c, 'b']).collect();
        assert_same(&text);
    }
}

#[test]
fn tokenizer_o200k_equals_tiktoken_on_a_megabyte_of_one_character() {
    for c in ['a', '\u{301}', '0', '!', 'é', '中', '😀'] {
        let text: String = std::iter::repeat_n(c, 1_000_000 / c.len_utf8()).collect();
        assert_same(&text);
    }
    // Of white space tiktoken-rs takes less: the regex engine below it runs out of stack.
    for c in [' ', '\n', '\t', '\u{3000}'] {
        let text: String = std::iter::repeat_n(c, 30_000 / c.len_utf8()).collect();
        assert_same(&text);
    }
}

/// Megabytes in one piece are encoded at all: what is quadratic would take hours.
#[test]
fn tokenizer_o200k_encodes_ten_megabytes_of_one_character() {
    for (c, bytes) in [('a', 10_000_000), (' ', 1_000_000), ('\n', 1_000_000), ('\u{301}', 1_000_000)] {
        let text: String = std::iter::repeat_n(c, bytes / c.len_utf8()).collect();
        let start = Instant::now();
        let ids = o200k_harmony().encode(&text);
        println!("{c:?}: {} bytes, {} ids in {:.0?}", text.len(), ids.len(), start.elapsed());
        assert_eq!(o200k_harmony().decode_bytes(&ids).unwrap(), text.as_bytes());
    }
}

/// The file is what transformers' conversion of the same ranks makes: the number of merges is that of gpt-oss's own.
#[test]
fn tokenizer_o200k_survives_its_own_file() {
    let tokenizer = o200k_harmony();
    let file = tokenizer.to_json();
    let parsed: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(parsed["model"]["merges"].as_array().unwrap().len(), 446_189);
    assert_eq!(parsed["model"]["ignore_merges"], true);
    let again = Tokenizer::from_json(&file, "tokenizer.json").unwrap();
    for (_, program) in PROGRAMS {
        assert_eq!(again.encode(program), tokenizer.encode(program));
    }
    assert_eq!(again.vocab_size(), tokenizer.vocab_size());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn tokenizer_o200k_equals_tiktoken_on_any_text(text in any::<String>()) {
        assert_same(&text);
    }

    #[test]
    fn tokenizer_o200k_equals_tiktoken_on_words(text in r"([ \t\r\n]{0,3}([A-Za-zÀ-ÿа-яぁ-ん中-龥']{0,9}|[0-9]{0,5}|[!-/:-@]{0,4}|<\|[a-z]{1,8}\|>)){0,40}") {
        assert_same(&text);
    }
}
