//! Measures the time of a mask over the vocabulary of gpt-oss, at new states and at states that were seen before.

use crate::wanted;
use ossia::schema::{Guide, Vocabulary};
use ossia::tokenizer::o200k_harmony;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Prints a line for each of some schemas, as it is met by a text that it accepts.
pub fn masks() {
    if !wanted("masks") {
        return;
    }
    let tokenizer = o200k_harmony();
    let start = Instant::now();
    let vocabulary = Arc::new(Vocabulary::new(tokenizer));
    println!("masks: the vocabulary as a tree of bytes in {:.0?}", start.elapsed());
    for (name, schema, text) in examples() {
        let start = Instant::now();
        let mut guide = Guide::new(&schema, vocabulary.clone(), 200_002).expect("a schema that is supported");
        let compiled = start.elapsed();
        let first = follow(&mut guide, &text);
        let again = follow(&mut guide, &text);
        println!(
            "masks: {name:10} compiled in {compiled:7.1?}; first text: mean {:7.1?}, slowest {:7.1?}; \
             again: mean {:7.1?}, slowest {:7.1?} ({} tokens)",
            mean(&first),
            first.iter().max().expect("a text has tokens"),
            mean(&again),
            again.iter().max().expect("a text has tokens"),
            first.len()
        );
    }
}

fn mean(times: &[Duration]) -> Duration {
    times.iter().sum::<Duration>() / times.len() as u32
}

/// Returns the time that each token of a text takes to be masked and read.
fn follow(guide: &mut Guide, text: &str) -> Vec<Duration> {
    let tokenizer = o200k_harmony();
    guide.restart();
    let one = |id: u32| {
        let start = Instant::now();
        assert!(guide.next_tokens().contains(id), "the schema accepts the text");
        assert!(guide.read(tokenizer.token_bytes(id).expect("an id of the text")));
        start.elapsed()
    };
    tokenizer.encode(text).into_iter().map(one).collect()
}

fn examples() -> [(&'static str, Value, String); 5] {
    let tree = json!({"$defs": {"tree": {"type": "object", "properties": {
        "value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
        "required": ["value", "children"]}}, "$ref": "#/$defs/tree"});
    let leaf = r#"{"value": 1, "children": []}"#;
    let letter = json!({"type": "object", "properties": {
        "to": {"type": "string", "format": "email"}, "sent": {"type": "string", "format": "date"},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "parts": {"type": "array", "items": {"type": "string", "maxLength": 200}, "maxItems": 8}},
        "required": ["to", "sent", "stars", "parts"], "additionalProperties": false});
    let sentence = "The quick brown fox jumps over the lazy dog, again and again, until it is tired of it. ";
    let parts = json!([sentence.repeat(2), sentence]);
    [
        ("anything", json!(true), format!(r#"{{"a": [1, 2.5, null, "{sentence}"], "b": {{"c": true}}}}"#)),
        ("string", json!({"type": "string", "maxLength": 1000}), format!("\"{}\"", sentence.repeat(8))),
        (
            "pattern",
            json!({"pattern": "^[A-Z][A-Za-z ,.]*$", "maxLength": 1000}),
            format!("\"{}\"", sentence.repeat(2)),
        ),
        (
            "tree",
            tree,
            format!(r#"{{"value": -20, "children": [{leaf}, {leaf}, {{"value": 3, "children": [{leaf}]}}]}}"#),
        ),
        (
            "letter",
            letter,
            format!(r#"{{"to": "ada@example.org", "sent": "2026-11-24", "stars": 5, "parts": {parts}}}"#),
        ),
    ]
}
