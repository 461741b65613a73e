//! Structured output: whatever is drawn, the text is JSON that the schema accepts. The crate jsonschema is the judge.
//!
//! Book: [structured_output](../../book/src/structured_output.md)

mod exact;
mod patterns;
mod refused;

use ossia::generate::{Guided, Next, StopReason};
use ossia::schema::{Guide, Vocabulary};
use ossia::tasks::arithmetic;
use ossia::tokenizer::{TokenSet, Tokenizer, o200k_harmony};
use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

static SMALL: LazyLock<(Tokenizer, Arc<Vocabulary>)> = LazyLock::new(|| {
    let tokenizer = arithmetic::tokenizer(600).unwrap();
    let vocabulary = Arc::new(Vocabulary::new(&tokenizer));
    (tokenizer, vocabulary)
});

static LARGE: LazyLock<Arc<Vocabulary>> = LazyLock::new(|| Arc::new(Vocabulary::new(o200k_harmony())));

/// One of the ids below `size`, all alike.
fn any(set: &TokenSet, size: usize, rng: &mut ChaCha8Rng) -> Option<u32> {
    let ids: Vec<u32> = (0..size as u32).filter(|&id| set.contains(id)).collect();
    (!ids.is_empty()).then(|| ids[rng.random_range(0..ids.len())])
}

/// A text drawn at random, of at most so many tokens with its end.
fn write(guide: &mut Guide, tokenizer: &Tokenizer, budget: usize, rng: &mut ChaCha8Rng) -> String {
    guide.restart();
    let mut guided = Guided::unchecked(guide, tokenizer, usize::MAX);
    let mut ids = Vec::new();
    loop {
        assert!(ids.len() < budget, "no end within {budget} tokens: {:?}", tokenizer.decode(&ids));
        match guided.choose(budget - ids.len(), &mut |allowed| Ok(any(allowed, tokenizer.vocab_size(), rng))).unwrap() {
            Next::Chosen(id) => ids.push(id),
            Next::Stop(StopReason::End) => return String::from_utf8(tokenizer.decode_bytes(&ids).unwrap()).unwrap(),
            other => panic!("{other:?} behind {:?}", tokenizer.decode(&ids)),
        }
    }
}

#[track_caller]
fn judge(schema: &Value, text: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let judge = jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap();
    if let Err(error) = judge.validate(&value) {
        panic!("{error}\n{text}\n{schema}");
    }
}

/// Returns whether a schema accepts a JSON text.
fn accepts(schema: &Value, text: &str) -> bool {
    let mut guide = Guide::new(schema, SMALL.1.clone(), 0).unwrap_or_else(|e| panic!("{e}: {schema}"));
    guide.read(text.as_bytes()) && guide.is_complete()
}

/// Checks that a schema is refused in one line.
#[track_caller]
fn refused(schema: Value, expected: &str) {
    let error = Guide::new(&schema, SMALL.1.clone(), 0).err().unwrap_or_else(|| panic!("{schema} was accepted"));
    let error = error.to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(expected), "{error}\nexpected: {expected}");
}

/// Schemas of every keyword, alone and together.
fn schemas() -> Vec<Value> {
    vec![
        json!(true),
        json!({}),
        json!({"type": "null"}),
        json!({"type": "boolean"}),
        json!({"type": "integer"}),
        json!({"type": "number"}),
        json!({"type": "string"}),
        json!({"type": "array"}),
        json!({"type": "object"}),
        json!({"type": ["string", "null"]}),
        json!({"enum": ["red", "green", 3, 3.5, null, true, [1, "x"], {"a": {"b": "\u{e9}\"\n"}}]}),
        json!({"const": "one\u{1F600}two"}),
        json!({"type": "integer", "minimum": -17, "maximum": 234}),
        json!({"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7}),
        json!({"type": "integer", "minimum": 0.5, "maximum": 1e3}),
        json!({"type": "integer", "maximum": -1}),
        json!({"type": "number", "minimum": 0.25, "maximum": 0.75}),
        json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        json!({"type": "number", "exclusiveMinimum": -1.5, "exclusiveMaximum": -1.25}),
        json!({"type": "number", "minimum": -99.5}),
        json!({"minimum": 100}),
        json!({"enum": [1, 2, 3, 40, "x"], "minimum": 2, "maxLength": 0}),
        json!({"type": "string", "minLength": 3, "maxLength": 5}),
        json!({"type": "string", "minLength": 200}),
        json!({"type": "string", "maxLength": 300}),
        json!({"type": "string", "maxLength": 0}),
        json!({"type": "string", "pattern": "^[a-z]{2,4}-\\d+$", "maxLength": 9}),
        json!({"type": "string", "pattern": "b\\w\\s\\S"}),
        json!({"type": "string", "pattern": "^(?:\"|\\\\|\\u00e9|\\x41|[^a-z\\D])+$", "minLength": 2}),
        json!({"type": "string", "pattern": "^.*\\.(png|jpe?g)$", "minLength": 6}),
        json!({"type": "string", "pattern": "^(ab|cde)*d$", "minLength": 3, "maxLength": 120}),
        json!({"type": "string", "format": "date"}),
        json!({"type": "string", "format": "date-time"}),
        json!({"type": "string", "format": "time"}),
        json!({"type": "string", "format": "uuid"}),
        json!({"type": "string", "format": "email"}),
        json!({"type": "string", "format": "hostname"}),
        json!({"type": "string", "format": "ipv4"}),
        json!({"type": "string", "format": "ipv6"}),
        json!({"type": "string", "format": "uri"}),
        json!({"type": "string", "format": "uri-reference"}),
        json!({"type": "string", "format": "duration"}),
        json!({"type": "string", "format": "json-pointer"}),
        json!({"type": "integer", "format": "int32"}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4}),
        json!({"type": "array", "items": {"type": "boolean"}, "minItems": 150, "maxItems": 160}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}]}),
        json!({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}, "minItems": 3}),
        json!({"prefixItems": [{"const": 1}, {"const": 2}], "items": false, "minItems": 1}),
        json!({"type": "array", "items": false}),
        json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": true},
               "required": ["b"], "additionalProperties": false}),
        json!({"properties": {"name": {"type": "string", "minLength": 1}, "tags": {"items": {"enum": ["x", "y"]}}},
               "required": ["tags", "name", "other"], "additionalProperties": {"type": "number"}}),
        json!({"type": "object", "additionalProperties": {"type": "integer"}}),
        json!({"type": "object", "properties": {"a\"b": {"const": "\\"}, "\u{e9}": false}, "required": ["a\"b"],
               "additionalProperties": false}),
        json!({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}, {"const": null}]}),
        json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"],
               "anyOf": [{"properties": {"y": {"const": 1}}, "required": ["y"]}, {"properties": {"x": {"maximum": 3}}}]}),
        json!({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "null"}}]}),
        json!({"oneOf": [
            {"properties": {"kind": {"const": "circle"}, "r": {"type": "number"}}, "required": ["kind", "r"]},
            {"properties": {"kind": {"const": "square"}, "a": {"type": "number"}}, "required": ["kind", "a"]}]}),
        json!({"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                         {"properties": {"a": {"minimum": 3}, "b": {"type": "boolean"}}, "required": ["b"]}]}),
        json!({"allOf": [{"type": "string", "minLength": 2}, {"maxLength": 4}, {"pattern": "^a"}, {"pattern": "z$"}]}),
        json!({"type": "object", "allOf": [{"properties": {"a": {"type": "null"}}, "additionalProperties": false},
                         {"properties": {"a": true, "b": true}, "required": ["a"]}]}),
        json!({"allOf": [{"prefixItems": [true, {"type": "integer"}]}, {"items": {"enum": [1, 2, "x"]}, "minItems": 2}]}),
        json!({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object",
               "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
               "required": ["value", "children"], "additionalProperties": false}}}),
        json!({"$defs": {"a/b~c d": {"type": "integer", "description": "spelled with escapes"}},
               "type": "array", "items": {"$ref": "#/$defs/a~1b~0c%20d"}, "maxItems": 3}),
        json!({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"],
               "additionalProperties": false}]}),
        json!({"type": "object", "title": "A letter", "properties": {
                 "to": {"type": "string", "format": "email"}, "sent": {"type": "string", "format": "date"},
                 "urgent": {"type": "boolean", "default": false},
                 "stars": {"type": "integer", "minimum": 1, "maximum": 5},
                 "parts": {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 8}},
               "required": ["to", "sent", "stars", "parts"], "additionalProperties": false}),
    ]
}

/// Random tokens of a small vocabulary, with little time and with much: always valid, and always in time.
#[test]
fn schema_texts_are_valid_whatever_is_drawn() {
    let (tokenizer, vocabulary) = &*SMALL;
    let end = tokenizer.end_of_text().unwrap();
    for (number, schema) in schemas().iter().enumerate() {
        let mut guide = Guide::new(schema, vocabulary.clone(), end).unwrap_or_else(|e| panic!("{e}: {schema}"));
        let budgets: Vec<usize> = (0..2_000).collect();
        let least = budgets.partition_point(|&budget| !guide.fits(budget));
        let mut values = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let budget = least + [0, 1, 10, 60, 400][seed as usize % 5];
            let text = write(&mut guide, tokenizer, budget, &mut rng);
            judge(schema, &text);
            values.insert(serde_json::from_str::<Value>(&text).unwrap().to_string());
        }
        let only_one = values.len() == 1;
        assert_eq!(only_one, [2, 11, 13, 25, 49, 53, 60].contains(&number), "{number}: {schema}: {values:?}");
    }
}

/// The same with the 201,088 tokens of gpt-oss, many of which hold several characters, halves of them, and marks.
#[test]
fn schema_texts_are_valid_with_the_vocabulary_of_gpt_oss() {
    let tokenizer = o200k_harmony();
    for schema in &schemas() {
        let mut guide = Guide::new(schema, LARGE.clone(), 200_002).unwrap();
        for seed in 0..3 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            guide.restart();
            let budget = 40 + guide.shortest();
            judge(schema, &write(&mut guide, tokenizer, budget, &mut rng));
        }
    }
}

/// A set of tokens is that of all tokens that can be read, one by one.
#[test]
fn schema_masks_are_what_can_be_read() {
    let (tokenizer, vocabulary) = &*SMALL;
    let end = tokenizer.end_of_text().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for schema in &schemas() {
        let mut guide = Guide::new(schema, vocabulary.clone(), end).unwrap();
        let mut plain = Guide::new(schema, vocabulary.clone(), end).unwrap();
        let mut read: Vec<u8> = Vec::new();
        for _ in 0..12 {
            let allowed = guide.next_tokens().clone();
            for id in 0..tokenizer.vocab_size() as u32 {
                plain.restart();
                assert!(plain.read(&read));
                let is_text = !tokenizer.specials().iter().any(|(_, special)| *special == id);
                let expected = if is_text {
                    plain.read(tokenizer.token_bytes(id).unwrap())
                } else {
                    id == end && plain.is_complete()
                };
                assert_eq!(allowed.contains(id), expected, "{id} behind {:?}", String::from_utf8_lossy(&read));
            }
            match any(&allowed, tokenizer.vocab_size(), &mut rng) {
                Some(id) if id != end => {
                    let bytes = tokenizer.token_bytes(id).unwrap();
                    assert!(guide.read(bytes));
                    read.extend(bytes);
                }
                _ => break,
            }
        }
    }
}

/// Texts as a person would write them are accepted; so the guide does not narrow more than it says.
#[test]
fn schema_accepts_what_one_would_write() {
    let letter = json!({"type": "object", "properties": {"a": {"type": "number"}, "b": {"items": {"type": "string"}}},
        "required": ["a"]});
    for text in [
        r#"{"a":1}"#,
        r#"{"a": -1.5e-7, "b": []}"#,
        "{\t\"a\"\t: 1 ,\r\n\t\"b\":[ ],  \"c\": 2 }",
        "{\n  \"a\": 0.1,\n  \"b\": [\n    \"x\",\n    \"\\u00e9\\ud83d\"\n  ]\n}",
    ] {
        let broken = text.contains("d83d"); // half a surrogate pair is no character
        assert_eq!(accepts(&letter, text), !broken, "{text}");
        assert_eq!(serde_json::from_str::<Value>(text).is_ok(), !broken);
    }
    for text in
        [r#"{"b":[],"a":1}"#, r#"{"a":01}"#, r#"{"a":1,}"#, r#"{}"#, r#"{"a":1} "#, "{\"a\":\x0c1}", r#"{"a":1,"a":2}"#]
    {
        assert!(!accepts(&letter, text), "{text}");
    }
    let anything = json!(true);
    for text in ["null", "-0.5", "\"\u{1F600} \\\"q\\\" \\n\"", r#"[{"x": [[], {}], "y": "z"}, 1e9, false]"#] {
        assert!(accepts(&anything, text), "{text}");
    }
    for text in ["nul", "\"\u{1}\"", "[1 2]", "\"a", "{a:1}", "1e999"] {
        assert!(!accepts(&anything, text), "{text}");
    }
}

proptest! {
    /// Decimal bounds: what is drawn lies within, and what lies within can be written.
    #[test]
    fn schema_number_ranges(a in -5000i64..5000, b in -5000i64..5000, scale in 0u32..4, seed: u64, probe in -6000i64..6000,
                            exclusive: bool) {
        let decimal = |n: i64| serde_json::from_str::<Value>(&format!("{}e-{scale}", n)).unwrap().as_f64().unwrap();
        let (low, high) = (a.min(b), a.max(b));
        let [least, most] = if exclusive { ["exclusiveMinimum", "exclusiveMaximum"] } else { ["minimum", "maximum"] };
        let inside = |n: i64| if exclusive { low < n && n < high } else { low <= n && n <= high };
        let (tokenizer, vocabulary) = &*SMALL;
        for kind in ["number", "integer"] {
            let schema = json!({"type": kind, least: decimal(low), most: decimal(high)});
            let guide = Guide::new(&schema, vocabulary.clone(), tokenizer.end_of_text().unwrap());
            let judge_ = jsonschema::draft202012::new(&schema).unwrap();
            let Ok(mut guide) = guide else {
                // Nothing lies between: then the judge finds nothing either.
                prop_assert!(!(-6000..6000).any(|n| judge_.is_valid(&json!(n)) || kind == "number" && judge_.is_valid(&json!(decimal(n)))));
                continue;
            };
            let text = write(&mut guide, tokenizer, 40, &mut ChaCha8Rng::seed_from_u64(seed));
            judge(&schema, &text);
            let exact = 10i64.pow(scale);
            let written = if probe % exact == 0 { (probe / exact).to_string() } else { format!("{}", decimal(probe)) };
            guide.restart();
            let accepted = guide.read(written.as_bytes()) && guide.is_complete();
            prop_assert_eq!(accepted, inside(probe) && (kind == "number" || probe % exact == 0), "{} in {}", written, schema);
        }
    }
}
