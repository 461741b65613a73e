//! Patterns are those of ECMAScript with the flag `u`; Node judged them. `patterns.js` writes the fixture.

use super::{SMALL, accepts, refused};
use ossia::schema::Guide;
use serde_json::{Value, json};

/// The messages of patterns that are right in ECMAScript and that are refused, because they are not regular or match
/// nothing.
const REFUSED: [&str; 3] = ["only groups", "an empty class", "is not regular"];

#[test]
fn schema_patterns_mean_what_ecmascript_says() {
    let fixture = include_str!("patterns.jsonl");
    let mut lines = fixture.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let texts = lines.next().unwrap()["texts"].as_array().unwrap().clone();
    let (mut agreed, mut wrong_syntax, mut refused) = (0, 0, 0);
    for line in lines {
        let (pattern, verdict) = (line[0].as_str().unwrap(), line[1].as_str());
        // The empty string as another type keeps patterns that match nothing from being refused as such.
        let schema = json!({"type": ["string", "null"], "pattern": pattern});
        let guide = Guide::new(&schema, SMALL.1.clone(), 0);
        match (guide, verdict) {
            (Err(error), None) => {
                assert!(error.to_string().starts_with("the schema at /pattern: "), "{pattern}: {error}");
                wrong_syntax += 1;
            }
            (Ok(_), None) => panic!("{pattern} is a syntax error, and was accepted"),
            (Err(error), Some(_)) => {
                let error = error.to_string();
                assert!(REFUSED.iter().any(|known| error.contains(known)), "{pattern}: {error}");
                refused += 1;
            }
            (Ok(mut guide), Some(verdict)) => {
                for (text, expected) in texts.iter().zip(verdict.chars()) {
                    guide.restart();
                    let accepted = guide.read(text.to_string().as_bytes()) && guide.is_complete();
                    assert_eq!(accepted, expected == '1', "{pattern} and {text}");
                }
                agreed += 1;
            }
        }
    }
    // Hundreds of each, and hardly any of the patterns is refused.
    assert!(agreed > 1_400 && wrong_syntax > 1_500 && refused < 30, "{agreed} {wrong_syntax} {refused}");
}

#[test]
fn schema_patterns_count_characters_beyond_the_first_plane() {
    let one = json!({"type": "string", "pattern": "^.$"});
    assert!(accepts(&one, "\"\u{1F600}\"") && accepts(&one, r#""\ud83d\ude00""#));
    assert!(!accepts(&one, r#""\ud83d""#) && !accepts(&one, r#""\ud83da""#) && !accepts(&one, r#""\ude00""#));
    let faces = json!({"type": "string", "pattern": "^[\\u{1F600}-\\u{1F64F}]+$"});
    assert!(accepts(&faces, r#""\uD83D\uDE4f""#) && !accepts(&faces, r#""\ud83d\ude50""#));
}

#[test]
fn schema_refuses_patterns_that_are_not_regular() {
    for (pattern, expected) in [
        ("(?=a)b", "only groups"),
        ("(?<name>a)", "only groups"),
        ("(a)\\1", "\\1 is not regular"),
        ("\\bword", "\\b is not regular"),
        ("\\p{L}", "\\p is not regular"),
        ("a{", "write a plain { as"),
        ("a]", "write a plain ] as"),
        ("a)|(b", "write a plain ) as"),
        ("[", "a class without a closing ]"),
        ("(", "a group without a closing )"),
        ("*", "there is nothing that * could repeat"),
        ("a**", "there is nothing that * could repeat"),
        ("^{2}", "write a plain { as"),
        ("\\", "a backslash at the end"),
        ("[]", "an empty class"),
        ("[\\w-~]", "a range in a class whose ends"),
        ("a{3,2}", "in the wrong order"),
        ("a{99999999999}", "too large"),
        ("\\u12", "without a character's number"),
        ("\\u+061", "without a character's number"),
        ("\\-", "\\- is not an escape of ECMAScript"),
        ("(a{1,500}){1,500}", "/pattern"),
    ] {
        refused(json!({"properties": {"x": {"pattern": pattern}}}), expected);
    }
    refused(json!({"pattern": "(?=a)"}), "at /pattern: ");
    refused(json!({"pattern": "(".repeat(100_000)}), "groups more than 100 deep");
}
