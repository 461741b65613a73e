//! `--schema`, as a user gives it.

use super::{refuse, succeed, text, workplace};
use serde_json::{Value, json};
use std::fs;

#[test]
fn command_line_generates_what_a_schema_accepts() {
    let place = workplace();
    let at = place.path();
    succeed(&["train", "--config", "small.json", "--steps", "1", "--stories", "60", "--out", "run"], at);
    let schema = json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}, "age":
        {"type": "integer", "minimum": 3, "maximum": 99}}, "required": ["name", "age"], "additionalProperties": false});
    let judge = jsonschema::draft202012::new(&schema).unwrap();
    fs::write(at.join("child.json"), schema.to_string()).unwrap();
    for seed in ["1", "2", "3", "4"] {
        for most in ["24", "40"] {
            let arguments = [
                "generate",
                "run",
                "--schema",
                "child.json",
                "--temperature",
                "2",
                "--seed",
                seed,
                "--max-new-tokens",
                most,
            ];
            let written = text(&succeed(&arguments, at).stdout);
            let value: Value = serde_json::from_str(&written).unwrap_or_else(|e| panic!("{e}: {written}"));
            assert!(judge.is_valid(&value), "{written}");
        }
    }
    let generate =
        |more: &[&str], expected: &str| refuse(&[&["generate", "run", "--schema"], more].concat(), at, expected);
    generate(&["child.json", "--max-new-tokens", "4"], "the schema needs ");
    generate(&["child.json", "--stop", "x"], "cannot be used with");
    generate(&["nowhere.json"], "nowhere.json: ");
    fs::write(at.join("broken.json"), "{").unwrap();
    generate(&["broken.json"], "expected a JSON Schema");
    fs::write(at.join("strange.json"), r#"{"properties": {"a": {"multipleOf": 3}}}"#).unwrap();
    generate(&["strange.json"], "strange.json: the schema at /properties/a/multipleOf: this keyword is not supported");
}
