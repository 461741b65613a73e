//! `--schema` and `ossia schema`, as a user gives them.

use super::{refuse, succeed, text, workplace};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

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

/// Runs `ossia schema check` with the schema on standard input. Returns the exit code and what was printed.
fn check(schema: &str, instance: &[&str], at: &Path) -> (i32, String) {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_ossia"))
        .args([&["schema", "check", "-"], instance].concat())
        .current_dir(at)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(schema.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn command_line_checks_schemas_and_instances() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let schema = r#"{"type": "object", "properties": {"age": {"type": "integer", "minimum": 3}}, "required": ["age"],
        "additionalProperties": false}"#;
    assert_eq!(check(schema, &[], at), (0, "supported\n".into()));
    let judged = |instance: &str| {
        fs::write(at.join("instance.json"), instance).unwrap();
        check(schema, &["instance.json"], at)
    };
    assert_eq!(judged("\n{\n\t\"age\": 41\r\n}\n\n"), (0, "accepted\n".into()));
    for (instance, line) in [
        (r#"{"age": 2}"#, "rejected at byte 9: '}', expected '0' to '9'"),
        (r#"{"age": "x"}"#, "rejected at byte 8: '\"', expected white space or '1' to '9'"),
        (r#"{"age": 4, "x": 1}"#, "rejected at byte 9: ',', expected white space or '0' to '9' or '}'"),
        (r#"{"age": 4"#, "rejected at byte 9: the end, expected white space or '0' to '9' or '}'"),
        (r#"{"age": 4} {"#, "rejected at byte 11: '{', expected the end"),
        ("", "rejected at byte 0: the end, expected '{'"),
        ("\u{e9}", "rejected at byte 0: the byte 0xc3, expected '{'"),
    ] {
        assert_eq!(judged(instance), (1, format!("{line}\n")), "{instance}");
    }
    // A note about an unknown format.
    let (code, printed) = check(r#"{"type": "string", "format": "colour"}"#, &[], at);
    assert_eq!((code, printed.lines().count()), (0, 2), "{printed}");
    assert!(printed.starts_with("supported\nnote: ") && printed.contains("colour"), "{printed}");
    // Refusals: exit code 2 and one line.
    for (schema, line) in [
        (r#"{"items": {"not": {}}}"#, "error: -: the schema at /items/not: this keyword is not supported"),
        (r#"{"items": "#, "error: -: EOF while parsing"),
        (r#"{"$ref": "\#"}"#, "error: -: invalid escape"),
        (r##"{"$ref": "#"}"##, "error: -: the schema at /$ref/$ref: references and combinations more than"),
        (&"[".repeat(100_000), "error: -: recursion limit exceeded"),
        (r#"{"const": 1e999}"#, "error: -: number out of range"),
    ] {
        let (code, printed) = check(schema, &[], at);
        assert_eq!((code, printed.lines().count()), (2, 1), "{printed}");
        assert!(printed.starts_with(line), "{printed}");
    }
    fs::write(at.join("schema.json"), schema).unwrap();
    refuse(&["schema", "check", "nowhere.json"], at, "nowhere.json: cannot read");
    refuse(&["schema", "check", "schema.json", "nowhere.json"], at, "nowhere.json: cannot read");
    refuse(&["schema", "check", "schema.json", "."], at, ".: cannot read");
    refuse(&["schema", "check", "-", "-"], at, "only one of");
}

/// An instance of many chunks is judged while it is read, with little memory.
#[test]
fn command_line_checks_a_long_instance() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let item = r#"{"name": "a name with é", "n": [1, 2.5]}"#;
    let mut instance = format!("[{}", format!("{item},\n").repeat(4_000));
    let schema = json!({"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"},
        "n": {"items": {"type": "number"}}}, "additionalProperties": false}, "maxItems": 5_000});
    let end = instance.len();
    instance.push_str(&format!("{}]", item.replace("2.5", "false")));
    fs::write(at.join("long.json"), &instance).unwrap();
    let (code, printed) = check(&schema.to_string(), &["long.json"], at);
    let byte = end + item.find("2.5").unwrap();
    assert_eq!(code, 1);
    assert!(printed.starts_with(&format!("rejected at byte {byte}: 'f', expected ")), "{printed}");
    fs::write(at.join("long.json"), instance.replace("false", "3")).unwrap();
    assert_eq!(check(&schema.to_string(), &["long.json"], at), (0, "accepted\n".into()));
}
