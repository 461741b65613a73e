//! The built-in stories: one derivation each, exact probabilities, and departures found at the right byte.
//!
//! Book: [data](../../book/src/data.md)

use ossia::data::story::{self, Grammar, Story};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

fn stories(n: usize, seed: u64) -> Vec<Story> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| story::sample(&mut rng)).collect()
}

/// A story of the given plot.
fn of_plot(plot: &str) -> String {
    let found = stories(500, 11).into_iter().find(|s| story::parse(&s.text).unwrap().rules.iter().any(|r| r == plot));
    found.unwrap().text
}

/// A small grammar with everything that the notation has.
fn small() -> Grammar {
    let tales = "# A comment\n== story\n{hero:name} and {helper:name} had [<meal>|{a toy:toy}|no [ball|drum] and\n[one|two]\n\n\
                 caps].\n{hero.He} saw {helper.him}. [It rained.|On {day:day}, {helper} left.|Then came <guest>.]\n\
                 == meal\n{food:food} [soup|pie]\n== guest\n{A guest:toy}[ and a friend|.]\n";
    let words = "== name: he, him\nAnn, Zoe: she, her\nBob: he, him\n== toy\napple, kite\n== food\npea, plum\n\
                 == day\nMonday, Friday\n";
    Grammar::new(tales, words).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_story_parses_to_itself_with_the_same_probability() {
    for Story { text, log_probability } in stories(5_000, 1) {
        let derivation = story::parse(&text).unwrap_or_else(|departure| panic!("{departure}\n{text}"));
        assert_eq!(derivation.log_probability.to_bits(), log_probability.to_bits(), "{text}");
        assert_eq!(story::log_probability(&text), Some(log_probability));
        assert!(story::well_formed(&text));
        assert_eq!(derivation.rules[0], "story");
        assert!(derivation.facts.iter().any(|(name, _)| name == "hero"));
        assert!(derivation.facts.iter().all(|(_, word)| text.contains(word.as_str())), "{derivation:?}");
    }
}

#[test]
fn stories_differ_and_a_seed_gives_the_same_ones() {
    let drawn = stories(20_000, 2);
    let distinct: BTreeSet<&str> = drawn.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(distinct.len(), drawn.len());
    assert_eq!(drawn[..1000], stories(1000, 2));
    assert_ne!(drawn[0], stories(1, 3)[0]);
}

#[test]
fn lengths_and_words() {
    let mut words = BTreeSet::new();
    for Story { text, log_probability } in stories(20_000, 4) {
        let length = text.split_whitespace().count();
        assert!((90..=160).contains(&length), "{length} words: {text}");
        assert!((35.0..110.0).contains(&-log_probability), "{log_probability}: {text}");
        assert!((2..=5).contains(&text.lines().count()) && text.is_ascii() && !text.contains("  "), "{text}");
        for line in text.lines() {
            assert_eq!(line.trim(), line);
            assert!(line.ends_with(['.', '!', '"']), "{line}");
            assert_eq!(line.matches('"').count() % 2, 0, "{line}");
        }
        words.extend(text.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase));
    }
    assert!(words.len() >= 600, "{} words", words.len());
}

#[test]
fn grammar_has_no_rare_option() {
    assert!(story::grammar().rarest_option() >= 1.0 / 200.0, "{}", story::grammar().rarest_option());
}

/// The recursion, the enumeration and the definition of entropy agree, and probabilities sum to 1.
#[test]
fn small_grammar_by_enumeration() {
    let grammar = small();
    let all = grammar.every_story(10_000).unwrap();
    assert!(all.len() > 100, "{}", all.len());
    assert!(grammar.every_story(all.len() - 1).is_none());
    let texts: BTreeSet<&str> = all.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(texts.len(), all.len());
    let (mut total, mut entropy) = (0.0, 0.0);
    for Story { text, log_probability } in &all {
        let derivation = grammar.parse(text).unwrap_or_else(|departure| panic!("{departure}\n{text}"));
        assert!((derivation.log_probability - log_probability).abs() < 1e-12, "{text}");
        total += log_probability.exp();
        entropy -= log_probability.exp() * log_probability;
    }
    assert!((total - 1.0).abs() < 1e-12, "{total}");
    assert!((entropy - grammar.entropy()).abs() < 1e-12, "{entropy}, {}", grammar.entropy());
}

/// Each story of the small grammar comes as often as its probability says: Pearson's chi-square.
#[test]
fn small_grammar_by_sampling() {
    let grammar = small();
    let n = 200_000;
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..n {
        *counts.entry(grammar.sample(&mut rng).text).or_default() += 1.0;
    }
    let all = grammar.every_story(10_000).unwrap();
    let mut chi_square = 0.0;
    for Story { text, log_probability } in &all {
        let expected = f64::from(n) * log_probability.exp();
        assert!(expected > 10.0);
        chi_square += (counts.remove(text).unwrap_or(0.0) - expected).powi(2) / expected;
    }
    assert!(counts.is_empty());
    let freedom = all.len() as f64 - 1.0;
    assert!(
        (chi_square - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(),
        "{chi_square} with {freedom} degrees of freedom"
    );
}

/// The entropy of the built-in grammar against the mean of −log p, within four standard errors.
#[test]
fn entropy_is_the_mean_over_stories() {
    let nats: Vec<f64> = stories(20_000, 6).iter().map(|s| -s.log_probability).collect();
    let n = nats.len() as f64;
    let mean = nats.iter().sum::<f64>() / n;
    let error = (nats.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
    let exact = story::entropy();
    assert!((mean - exact).abs() < 4.0 * error, "mean {mean} ± {error}, exact {exact}");
    assert!(error < 0.1);
}

#[test]
fn plots_and_names_are_uniform() {
    let (mut plots, mut heroes) = (BTreeMap::new(), BTreeMap::new());
    let n = 24_000;
    for Story { text, .. } in stories(n, 7) {
        let derivation = story::parse(&text).unwrap();
        *plots.entry(derivation.rules[2].clone()).or_insert(0.0) += 1.0;
        *heroes.entry(derivation.fact("hero").unwrap().to_string()).or_insert(0.0) += 1.0;
    }
    for (counts, kinds) in [(plots, 6), (heroes, 8)] {
        assert_eq!(counts.len(), kinds, "{counts:?}");
        let expected = n as f64 / kinds as f64;
        let chi_square: f64 = counts.values().map(|count: &f64| (count - expected).powi(2) / expected).sum();
        let freedom = kinds as f64 - 1.0;
        assert!(chi_square < freedom + 5.0 * (2.0 * freedom).sqrt(), "{chi_square}: {counts:?}");
    }
}

/// Changes the last `old` of a story and expects the reader to notice at the byte where the two words differ.
fn assert_departs(text: &str, old: &str, new: &str) {
    let at = text.rfind(old).unwrap_or_else(|| panic!("no {old:?} in {text}"));
    let changed = format!("{}{new}{}", &text[..at], &text[at + old.len()..]);
    let same = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let departure = story::parse(&changed).expect_err(&changed);
    assert_eq!(departure.offset, at + same, "{old:?} to {new:?}: {departure}\n{changed}");
    assert!(departure.to_string().lines().count() == 1);
    assert!(!story::well_formed(&changed) && story::log_probability(&changed).is_none());
}

#[test]
fn a_wrong_name_pronoun_object_or_number_is_found() {
    let text = of_plot("lost");
    let facts = story::parse(&text).unwrap();
    let (hero, thing) = (facts.fact("hero").unwrap(), facts.fact("thing").unwrap());
    assert_departs(&text, hero, "Xavier");
    assert_departs(&text, facts.fact("helper").unwrap(), hero);
    assert_departs(&text, &format!("the {thing}"), "the elephant");
    assert_departs(&text, facts.fact("spot").unwrap(), "in the ocean");
    assert_departs(&text, facts.fact("treat").unwrap(), "sand");

    let text = of_plot("broken");
    let (he, she) = if text.contains(", and he could") { ("he", "she") } else { ("she", "he") };
    assert_departs(&text, &format!(", and {he} could"), &format!(", and {she} could"));

    let text = of_plot("sharing");
    let facts = story::parse(&text).unwrap();
    assert_departs(&text, facts.fact("treat").unwrap(), "stones");
    assert_departs(&text, " for me", " for us");
}

#[test]
fn a_story_cut_off_anywhere_is_the_beginning_of_one() {
    let text = of_plot("stuck");
    for end in 0..text.len() {
        let departure = story::parse(&text[..end]).unwrap_err();
        assert_eq!(departure.offset, end);
        assert!(departure.is_cut_off() && departure.to_string().ends_with("found the end of the text"), "{departure}");
        assert!(departure.expected.iter().any(|expected| text[end..].starts_with(expected.as_str())), "{departure}");
    }
}

#[test]
fn text_after_the_end_is_found() {
    let text = of_plot("storm");
    for extra in [" ", "\n", "x", " Once upon a time", "\u{1f98a}"] {
        let departure = story::parse(&format!("{text}{extra}")).unwrap_err();
        assert_eq!((departure.offset, departure.is_cut_off()), (text.len(), false));
        assert_eq!(departure.expected, [""]);
        assert!(departure.to_string().contains("expected the end of the story"), "{departure}");
    }
}

#[test]
fn any_text_gives_one_line() {
    for text in
        ["", "\n", "once upon a time", "Once \u{fffd}", "\u{0}", "Once upon a time, there was a l\u{e9}", "日本語"]
    {
        let departure = story::parse(text).unwrap_err();
        assert_eq!(departure.to_string().lines().count(), 1);
        assert!(text.is_char_boundary(departure.offset));
    }
    let departure = story::parse("Once upon a time, there was a green dog.").unwrap_err();
    assert_eq!(departure.offset, "Once upon a time, there was a g".len());
    assert_eq!(departure.expected, ["entle"]);
    assert_eq!(
        departure.to_string(),
        "byte 31, after \" time, there was a g\": expected \"entle\", found \"reen dog.\""
    );
}

#[test]
fn articles_follow_the_word() {
    let all = small().every_story(10_000).unwrap();
    assert!(all.iter().any(|s| s.text.contains("had an apple.")) && all.iter().any(|s| s.text.contains("had a kite.")));
    assert!(all.iter().all(|s| !s.text.contains("a apple") && !s.text.contains("an kite")));
}

/// Wrong grammars are refused, and the error says why.
#[test]
fn wrong_grammars_are_refused() {
    let words = "== name: he\nAnn, Zoe: she\n== toy\nball, balloon\n== day\nMonday\n";
    let cases = [
        ("", "", "found no rule"),
        ("Once", "", "before the first line"),
        ("== story\nOnce [one|one more] time", "", "is a prefix of"),
        ("== story\n[a|[a|b]] c", "", "is a prefix of"),
        ("== story\n[|very] good", "", "is a prefix of"),
        ("== story\n{one:name}[{one} ran|Ann sat]", words, ""),
        ("== story\n{one:name} [{one} ran|Ann ran home]", words, "is a prefix of"),
        ("== story\n{one:toy}", words, "is a prefix of"),
        ("== story\n[One {one:name}|No] {one}", words, "not every path to the mention draws it"),
        ("== story\n{one} {one:name}", words, "not every path to the mention draws it"),
        ("== story\n{one:name} {one:name}", words, "drawn twice"),
        ("== story\n{one:day} {two:day}", words, "no word left"),
        ("== story\n{one:name} {one.him}", words, "has no column `him`"),
        ("== story\n{one:animal}", words, "is not a list"),
        ("== story\n{one:name} [{one:day}|no]", words, "elsewhere `one` is drawn from `name`"),
        ("== story\n{one}", words, "no rule draws `one`"),
        ("== story\n{the one:name}", words, "expected `a` or `A`"),
        ("== story\n<story>", "", "not a rule further down"),
        ("== story\n<tale>", "", "not a rule further down"),
        ("== story\n[one|two", "", "without `]`"),
        ("== story\none]", "", "outside of brackets"),
        ("== story\n{one", "", "no closing `}`"),
        ("== story\ncaf\u{e9}", "", "ASCII only"),
        ("== story\n{one:name}", "== name: he\nAnn", "found 0 columns, expected 1"),
        ("== story\n{one:name}", "== name\nAnn,,Zoe", "empty word"),
    ];
    for (tales, words, message) in cases {
        match Grammar::new(tales, words) {
            Ok(_) => assert_eq!(message, "", "{tales:?} was accepted"),
            Err(error) => {
                let error = error.to_string();
                assert!(!message.is_empty() && error.contains(message), "{tales:?}: {error}");
                assert_eq!(error.lines().count(), 1, "{error}");
            }
        }
    }
    let deep = format!("== story\n{}x{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Grammar::new(&deep, "").unwrap_err().to_string().contains("nested"));
}
