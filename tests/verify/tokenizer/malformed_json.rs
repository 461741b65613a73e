//! Files that are not what they have to be give one line each: the file, the field, what is there, what should be.

use ossia::tokenizer::Tokenizer;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::TOKENIZER;

fn message(text: &str) -> String {
    Tokenizer::from_json(text, "t.json").unwrap_err().to_string()
}

/// The message after the field at `pointer` of the good file has been set to `value`.
fn with(pointer: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(TOKENIZER).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match file.pointer_mut(parent).unwrap() {
        Value::Object(object) => _ = object.insert(name.to_owned(), value),
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        other => panic!("{pointer}: {other} has no fields"),
    }
    message(&file.to_string())
}

#[test]
fn text_that_is_not_json() {
    assert_eq!(message(""), "t.json: not JSON: EOF while parsing a value at line 1 column 0; is the file complete?");
    assert!(message(&TOKENIZER[..TOKENIZER.len() / 2]).starts_with("t.json: not JSON: EOF while parsing"));
    assert!(message(&"[".repeat(100_000)).starts_with("t.json: not JSON: recursion limit exceeded"));
    assert_eq!(message("[1]"), "t.json: the file: found [1], expected the object of a tokenizer.json");
    assert_eq!(
        message("{}"),
        "t.json: model.type: found nothing, expected \"BPE\" (only o200k's byte-level BPE is supported)"
    );
}

#[test]
fn pipelines_that_give_other_ids() {
    let pattern = format!("{:?}", ossia::tokenizer::PATTERN);
    let step = "pre_tokenizer.pretokenizers";
    for (pointer, value, expected) in [
        ("/model/type", json!("WordPiece"), "model.type: found \"WordPiece\", expected \"BPE\""),
        ("/model/dropout", json!(0.1), "model.dropout: found 0.1, expected null"),
        (
            "/model/continuing_subword_prefix",
            json!("##"),
            "model.continuing_subword_prefix: found \"##\", expected null",
        ),
        ("/model/end_of_word_suffix", json!("</w>"), "model.end_of_word_suffix: found \"</w>\", expected null"),
        ("/normalizer", json!({"type": "NFC"}), "normalizer: found {\"type\":\"NFC\"}, expected null"),
        (
            "/pre_tokenizer",
            json!({"type": "Whitespace"}),
            "pre_tokenizer.type: found \"Whitespace\", expected \"Sequence\"",
        ),
        ("/pre_tokenizer/pretokenizers", json!([]), &format!("{step}.0.type: found nothing, expected \"Split\"")),
        (
            "/pre_tokenizer/pretokenizers/0/pattern/Regex",
            json!("\\w+"),
            &format!("{step}.0.pattern.Regex: found \"\\\\w+\", expected {pattern}"),
        ),
        (
            "/pre_tokenizer/pretokenizers/0/behavior",
            json!("Removed"),
            &format!("{step}.0.behavior: found \"Removed\", expected \"Isolated\""),
        ),
        ("/pre_tokenizer/pretokenizers/0/invert", json!(true), &format!("{step}.0.invert: found true, expected false")),
        (
            "/pre_tokenizer/pretokenizers/1/add_prefix_space",
            json!(true),
            &format!("{step}.1.add_prefix_space: found true, expected false"),
        ),
        (
            "/pre_tokenizer/pretokenizers/1/use_regex",
            json!(true),
            &format!("{step}.1.use_regex: found true, expected false"),
        ),
        ("/decoder", json!(null), "decoder.type: found nothing, expected \"ByteLevel\""),
    ] {
        assert_eq!(
            with(pointer, value),
            format!("t.json: {expected} (only o200k's byte-level BPE is supported)"),
            "{pointer}"
        );
    }
}

/// A template that ossia does not follow would give other prompts, without a word.
#[test]
fn templates_that_put_more_than_a_start_token() {
    let special = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let template = |single: Value, id: u32| {
        let tokens = json!({"<|start|>": {"id": "<|start|>", "ids": [id], "tokens": ["<|start|>"]}});
        json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": tokens})
    };
    for (processor, expected) in [
        (json!({"type": "BertProcessing"}), "post_processor.type: found \"BertProcessing\""),
        (json!({"type": "TemplateProcessing"}), "post_processor.single: found nothing"),
        (template(json!([text, special("<|start|>")]), 639), "puts at most one token before a text"),
        (template(json!([special("<|start|>"), special("<|start|>"), text]), 639), "at most one token"),
        (template(json!([special("[CLS]"), text]), 639), "post_processor.single: found \"[CLS]\", expected a token of"),
        (template(json!([special("<|start|>"), text]), 5), "post_processor.special_tokens.<|start|>.ids: found [5]"),
    ] {
        let message = with("/post_processor", processor);
        assert!(message.starts_with("t.json: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn vocabularies_and_merges_that_do_not_fit() {
    let long = "x".repeat(500);
    for (pointer, value, expected) in [
        ("/model/vocab", json!([["a", 0.5]]), "model.vocab: found [[\"a\",0.5]], expected an object"),
        ("/model/vocab/new", json!(-1), "model.vocab.\"new\": found -1, expected an id"),
        ("/model/vocab/new", json!("7"), "model.vocab.\"new\": found \"7\", expected an id"),
        ("/model/vocab/new", json!(1e300), "model.vocab.\"new\": found 1e+300, expected an id"),
        ("/model/vocab/new", json!(u32::MAX), "model.vocab: found id 4294967295, expected an id below 1048576"),
        ("/model/vocab/new", json!(7), "model.vocab: id 7 is used twice, expected each id once"),
        ("/model/vocab/", json!(700), "model.vocab: id 700 has no bytes, expected at least one"),
        ("/model/vocab/a b", json!(700), "model.vocab.\"a b\": found ' ', expected characters that stand for a byte"),
        ("/model/vocab/a", json!(600), "model.vocab: id 600 is used twice, expected each id once"),
        (
            "/model/vocab/<|endoftext|>",
            json!(5),
            "model.vocab.\"<|endoftext|>\": found 5, expected 638, its id in added_tokens",
        ),
        ("/model/merges", json!("a b"), "model.merges: found \"a b\", expected a list"),
        (
            "/model/merges/3",
            json!(["a"]),
            "model.merges.3: found [\"a\"], expected two tokens, as [\"a\", \"b\"] or \"a b\"",
        ),
        (
            "/model/merges/3",
            json!("a b c"),
            "model.merges.3: found \"a b c\", expected two tokens, as [\"a\", \"b\"] or \"a b\"",
        ),
        (
            "/model/merges/3",
            json!(["qq", "a"]),
            "model.merges.3: found [\"qq\",\"a\"], expected \"qq\" to be in model.vocab",
        ),
        (
            "/model/merges/3",
            json!(["q", "!"]),
            "model.merges.3: found [\"q\",\"!\"], expected \"q!\" to be in model.vocab",
        ),
        (
            "/model/merges/3",
            json!([long, "a"]),
            &format!("model.merges.3: found [\"{}…, expected \"{long}\" to be in model.vocab", &long[..78]),
        ),
        ("/model/ignore_merges", json!("yes"), "model.ignore_merges: found \"yes\", expected true or false"),
        ("/added_tokens", json!({}), "added_tokens: found {}, expected a list"),
        ("/added_tokens/0", json!(5), "added_tokens.0.content: found nothing, expected a string"),
        ("/added_tokens/0/id", json!(-5), "added_tokens.0.id: found -5, expected an id"),
        (
            "/added_tokens/0/id",
            json!(1 << 20),
            "added_tokens: the special token \"<|endoftext|>\" has id 1048576, expected an id below 1048576",
        ),
        (
            "/added_tokens/0/id",
            json!(97),
            "added_tokens: the special token \"<|endoftext|>\" has id 97, which is a token already",
        ),
        (
            "/added_tokens/1/id",
            json!(638),
            "added_tokens.1.id: found 638, expected an id that no other added token has",
        ),
        (
            "/added_tokens/1/content",
            json!("<|endoftext|>"),
            "added_tokens: the special token \"<|endoftext|>\" is listed twice (ids 638 and 639), expected once",
        ),
        ("/added_tokens/1/content", json!(""), "added_tokens: the special token with id 639 is empty, expected a name"),
        ("/added_tokens/0/special", json!(false), "added_tokens.0.special: found false, expected true"),
        ("/added_tokens/0/lstrip", json!(true), "added_tokens.0.lstrip: found true, expected false"),
    ] {
        assert_eq!(with(pointer, value), format!("t.json: {expected}"), "{pointer}");
    }
}

#[test]
fn merges_twice_and_bytes_without_a_token() {
    let file: Value = serde_json::from_str(TOKENIZER).unwrap();
    let [first, second] = [0, 1].map(|line| file["model"]["merges"][line].clone());
    assert_ne!(first, second);
    let twice = with("/model/merges/1", first);
    assert!(
        twice.starts_with("t.json: model: merge 1 of ids ")
            && twice.ends_with(" is listed twice, expected each pair once"),
        "{twice}"
    );

    let mut file = file;
    file["model"]["vocab"].as_object_mut().unwrap().shift_remove("Ġ");
    file["model"]["merges"] = json!([]);
    assert_eq!(message(&file.to_string()), "t.json: model: there is no token for the byte 0x20");
}

proptest! {
    /// Whatever value a field has, the result is a tokenizer or an error of one line.
    #[test]
    fn a_wrong_value_anywhere_is_a_tokenizer_or_one_line(place in any::<prop::sample::Index>(), value in 0usize..9) {
        let mut file: Value = serde_json::from_str(TOKENIZER).unwrap();
        let values = [json!(null), json!(true), json!(-1), json!(1e99), json!("\n"), json!(""), json!([]), json!({}), json!([[1, "\n"]])];
        let mut pointers = Vec::new();
        places(&file, String::new(), &mut pointers);
        let pointer = place.get(&pointers);
        *file.pointer_mut(pointer).unwrap() = values[value].clone();
        if let Err(error) = Tokenizer::from_json(&file.to_string(), "t.json") {
            let line = error.to_string();
            prop_assert!(line.starts_with("t.json: ") && !line.contains('\n'), "{} {}", pointer, line);
        }
    }
}

/// The pointers to everything in `value`, at most five of each list or object.
fn places(value: &Value, at: String, out: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(object) => {
            object.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(list) => (0..).zip(list).map(|(at, value): (usize, _)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let few = if below.len() > 20 { 5 } else { below.len() };
    for (name, value) in below.into_iter().take(few) {
        places(value, format!("{at}/{name}"), out);
    }
    out.push(at);
}
