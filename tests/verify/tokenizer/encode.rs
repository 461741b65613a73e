//! Texts become the ids that the definition of BPE, tiktoken and Hugging Face give.

use ossia::tokenizer::{Allowed, Tokenizer};
use proptest::prelude::*;

use super::{adversarial, cases, tokenizer};

#[test]
fn ids_equal_tiktoken_and_hugging_face() {
    let tokenizer = tokenizer();
    for case in cases() {
        assert_eq!(tokenizer.encode(&case.text), case.ids, "text {:?}", case.text);
        let with_special = case.ids_with_special.as_ref().unwrap_or(&case.ids);
        assert_eq!(&tokenizer.encode_with_special(&case.text, Allowed::All), with_special, "text {:?}", case.text);
    }
    assert!(cases().iter().any(|case| case.ids_with_special.is_some()), "no case has a special token");
}

/// A vocabulary over the letters a, b and c as tiktoken has them: any byte strings, in any order of rank.
pub fn ranks() -> impl Strategy<Value = Vec<(Vec<u8>, u32)>> {
    proptest::collection::btree_set("[abc]{2,5}", 1..40).prop_flat_map(|words| {
        let words: Vec<Vec<u8>> = words.into_iter().map(String::into_bytes).collect();
        Just(words).prop_shuffle().prop_map(|words| {
            let bytes = (0..=255).map(|byte| vec![byte]);
            bytes.chain(words).zip(0..).collect()
        })
    })
}

/// Merges over the letters a, b and c: pairs of what exists so far, no two making the same bytes.
fn merges() -> impl Strategy<Value = Vec<(u32, u32)>> {
    proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..30).prop_map(|picks| {
        let mut tokens: Vec<(u32, Vec<u8>)> = (b'a'..=b'c').map(|byte| (byte.into(), vec![byte])).collect();
        let mut merges = Vec::new();
        for (left, right) in picks {
            let (left, right) = (left.get(&tokens).clone(), right.get(&tokens).clone());
            let bytes = [left.1, right.1].concat();
            if bytes.len() <= 12 && tokens.iter().all(|(_, token)| *token != bytes) {
                tokens.push((256 + merges.len() as u32, bytes));
                merges.push((left.0, right.0));
            }
        }
        merges
    })
}

/// These are more words than a thread keeps, so they replace one another. Most of them are several tokens.
#[test]
fn tokenizer_gives_more_words_than_it_keeps_the_tokens_that_each_has() {
    let tokenizer = tokenizer();
    let letter = |n: u32, place: u32| char::from(b'a' + (n / 26_u32.pow(place) % 26) as u8);
    let words: Vec<String> =
        (0..100_000).map(|n| (0..4).map(|place| letter(n, place)).chain([' ']).collect()).collect();
    let alone: Vec<u32> = tokenizer.encode_naive(&words.concat());
    for _ in 0..2 {
        assert!(tokenizer.encode(&words.concat()) == alone, "the tokens of 100,000 words");
    }
}

/// Pieces shorter and longer than the length at which the encoder changes from a scan to a heap.
pub const PIECES: &str = "[abc]{0,200}|[ab]{60,70}|a{0,150}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn fast_equals_naive_on_merges(merges in merges(), text in PIECES) {
        let tokenizer = Tokenizer::from_merges(&merges, &[]).unwrap();
        prop_assert_eq!(tokenizer.encode(&text), tokenizer.encode_naive(&text));
    }

    /// A thread keeps the words of all its vocabularies together.
    #[test]
    fn two_vocabularies_in_turn_give_their_own_tokens(
        merges in merges(),
        ranks in ranks(),
        texts in proptest::collection::vec(PIECES, 1..8),
    ) {
        let tokenizers = [Tokenizer::from_merges(&merges, &[]).unwrap(), Tokenizer::from_ranks(ranks, vec![]).unwrap()];
        for text in &texts {
            for tokenizer in &tokenizers {
                prop_assert_eq!(tokenizer.encode(text), tokenizer.encode_naive(text));
            }
        }
    }

    #[test]
    fn fast_equals_naive_on_ranks(ranks in ranks(), text in PIECES) {
        let tokenizer = Tokenizer::from_ranks(ranks, Vec::new()).unwrap();
        prop_assert_eq!(tokenizer.encode(&text), tokenizer.encode_naive(&text));
    }
}

proptest! {
    #[test]
    fn fast_equals_naive_on_adversarial_text(text in adversarial()) {
        let tokenizer = tokenizer();
        prop_assert_eq!(tokenizer.encode(&text), tokenizer.encode_naive(&text));
    }
}

#[test]
fn equal_ranks_merge_from_the_left() {
    let tokenizer = Tokenizer::from_merges(&[(97, 97)], &[]).unwrap();
    assert_eq!(tokenizer.encode("aaaaa"), [256, 256, 97]);
    assert_eq!(tokenizer.encode(&"a".repeat(101))[48..], [256, 256, 97]);
}

#[test]
fn a_piece_of_a_million_bytes_is_no_trouble() {
    let tokenizer = tokenizer();
    for text in ["a".repeat(1_000_000), "the".repeat(333_333), "\u{301}".repeat(500_000)] {
        let ids = tokenizer.encode(&text);
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
}

#[test]
fn special_tokens_in_plain_text_stay_text() {
    let tokenizer = Tokenizer::from_merges(&[], &["<|endoftext|>"]).unwrap();
    assert_eq!(tokenizer.encode("<|endoftext|>"), b"<|endoftext|>".map(u32::from));
    assert_eq!(tokenizer.encode_with_special("a<|endoftext|>", Allowed::Only(&[])).len(), 14);
}

#[test]
fn allowed_special_tokens_are_taken_longest_first() {
    let tokenizer = Tokenizer::from_merges(&[], &["<x", "<x>", "y", "<x>y"]).unwrap();
    let encode = |text, allowed| tokenizer.encode_with_special(text, allowed);
    assert_eq!(encode("<x><x>yy<xé", Allowed::All), [257, 259, 258, 256, 0xc3, 0xa9]);
    assert_eq!(encode("<x>y", Allowed::Only(&["<x", "y"])), [256, 62, 258]);
    assert_eq!(encode("<x>", Allowed::Only(&["no such token"])), [60, 120, 62]);
}

#[test]
fn two_special_tokens_may_share_an_id() {
    let ranks = (0..=255).map(|byte| (vec![byte], u32::from(byte))).collect();
    let specials = vec![("<|endofprompt|>".to_owned(), 300), ("<|reserved_300|>".to_owned(), 300)];
    let tokenizer = Tokenizer::from_ranks(ranks, specials).unwrap();
    assert_eq!(tokenizer.encode_with_special("<|reserved_300|><|endofprompt|>", Allowed::All), [300, 300]);
    assert_eq!(tokenizer.decode(&[300]).unwrap(), "<|endofprompt|>");
    assert_eq!((tokenizer.vocab_size(), tokenizer.token_bytes(299)), (301, None));
}

#[test]
fn vocabularies_that_contradict_themselves_are_refused() {
    let bytes = || (0..=255).map(|byte| (vec![byte], u32::from(byte)));
    let ranks = |more: &[(&[u8], u32)]| {
        let all = bytes().chain(more.iter().map(|&(bytes, id)| (bytes.to_vec(), id)));
        Tokenizer::from_ranks(all.collect(), Vec::new()).unwrap_err().to_string()
    };
    assert_eq!(ranks(&[(b"ab", 7)]), "id 7 is used twice, expected each id once");
    assert_eq!(ranks(&[(b"", 256)]), "id 256 has no bytes, expected at least one");
    assert_eq!(ranks(&[(b"ab", u32::MAX)]), "found id 4294967295, expected an id below 1048576");
    assert_eq!(
        ranks(&[(b"ab", 256), (b"ab", 300)]),
        "ids 256 and 300 are the same bytes \"ab\", expected each token once"
    );

    let special = |name: &str, id| {
        let specials = vec![("<|end|>".to_owned(), 256), (name.to_owned(), id)];
        Tokenizer::from_ranks(bytes().collect(), specials).unwrap_err().to_string()
    };
    assert_eq!(special("", 300), "the special token with id 300 is empty, expected a name");
    assert_eq!(
        special("<|end|>", 300),
        "the special token \"<|end|>\" is listed twice (ids 256 and 300), expected once"
    );
    assert_eq!(special("x", 65), "the special token \"x\" has id 65, which is a token already");
    assert_eq!(special("x", 1 << 20), "the special token \"x\" has id 1048576, expected an id below 1048576");

    let merges = |merges: &[(u32, u32)]| Tokenizer::from_merges(merges, &[]).unwrap_err().to_string();
    assert_eq!(merges(&[(97, 256)]), "merge 0: found ids 97 and 256, expected ids < 256");
    let twice = "ids 256 and 257 are the same bytes \"ab\", expected each token once";
    assert_eq!(merges(&[(97, 98), (97, 98)]), twice);
}
