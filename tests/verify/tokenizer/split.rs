//! The pieces are those of o200k's regular expression.

use std::sync::LazyLock;

use fancy_regex::Regex;
use ossia::tokenizer::{PATTERN, split};
use proptest::prelude::*;

use super::{adversarial, cases};

/// The pieces as tiktoken finds them: with the engine that it uses.
fn by_regex(text: &str) -> Vec<&str> {
    static REGEX: LazyLock<Regex> = LazyLock::new(|| Regex::new(PATTERN).unwrap());
    REGEX.find_iter(text).map(|found| found.unwrap().as_str()).collect()
}

fn by_scan(text: &str) -> Vec<&str> {
    split(text).collect()
}

#[test]
fn pieces_equal_the_reference() {
    for case in cases() {
        assert_eq!(by_scan(&case.text), case.pieces, "text {:?}", case.text);
    }
}

#[test]
fn every_character_is_classified_as_the_regex_engine_does() {
    for c in '\0'..=char::MAX {
        // As a leading character, in and after both parts of a word, as a number, symbol, line break, space.
        let text = format!("a{c}B{c}c {c} {c}{c}1{c}!{c}\n{c}");
        assert_eq!(by_scan(&text), by_regex(&text), "U+{:04X}", c as u32);
    }
}

/// Lower-case letters are read eight at a time: whatever stands among them has to be noticed at every place.
#[test]
fn every_character_at_every_place_among_letters_is_noticed() {
    for c in ('\0'..='\u{17f}').chain(['中', '😀', '\u{301}', 'ª']) {
        for place in 0..=20 {
            let (before, after) = "abcdefghijklmnopqrsz".split_at(place);
            let text = format!(" {before}{c}{after}");
            assert_eq!(by_scan(&text), by_regex(&text), "{text:?}");
        }
    }
}

/// Most words are found by their first two bytes and by the byte after their lower-case letters.
#[test]
fn every_two_characters_before_and_one_after_a_word_are_noticed() {
    let classes = ['A', 'b', '3', '\n', '\r', ' ', '\t', '.', '\'', '/', 'é', 'ª', '中', '\u{301}', '\u{a0}'];
    for first in classes {
        for second in classes {
            for letters in [0, 1, 2, 12, 13, 14, 15, 16, 17].map(|n| "x".repeat(n)) {
                let texts = classes.map(|after| format!("{first}{second}{letters}{after}s and more"));
                texts.iter().for_each(|text| assert_eq!(by_scan(text), by_regex(text), "{text:?}"));
            }
        }
    }
}

#[test]
fn every_character_after_an_apostrophe_folds_as_in_the_regex_engine() {
    for c in '\0'..=char::MAX {
        let text = format!("x'{c}x'r{c}x'l{c}");
        assert_eq!(by_scan(&text), by_regex(&text), "U+{:04X}", c as u32);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]

    #[test]
    fn pieces_equal_the_regex_on_adversarial_text(text in adversarial()) {
        prop_assert_eq!(by_scan(&text), by_regex(&text));
    }

    #[test]
    fn pieces_equal_the_regex_on_any_text(text in any::<String>()) {
        prop_assert_eq!(by_scan(&text), by_regex(&text));
    }

    #[test]
    fn pieces_join_to_the_text_and_none_is_empty(text in adversarial()) {
        prop_assert_eq!(split(&text).collect::<String>(), text.as_str());
        prop_assert!(split(&text).all(|piece| !piece.is_empty()));
    }
}

/// A quadratic scan of any of these would take hours: each is a million characters.
#[test]
fn a_million_characters_of_one_kind_are_no_trouble() {
    let million = 1_000_000;
    for (text, pieces) in [
        ("a".repeat(million), 1),
        ("A".repeat(million), 1),
        ("中".repeat(million), 1),
        ("\u{301}".repeat(million), 1),
        (" ".repeat(million), 1),
        ("\n".repeat(million), 1),
        ("!".repeat(million), 1),
        (" ".repeat(million) + "x", 2),
        ("\n".to_owned() + &" ".repeat(million) + "1", 4),
        ("中".to_owned() + &"A".repeat(million), 2),
        ("中A".repeat(million), 2),
        (" \n".repeat(million), 1),
        (" \n!".repeat(million), 2 * million),
        ("'s".repeat(million), million / 2),
        ("1".repeat(million), million.div_ceil(3)),
    ] {
        let start: String = text.chars().take(4).collect();
        assert_eq!(split(&text).count(), pieces, "text starting {start:?}");
    }
}
