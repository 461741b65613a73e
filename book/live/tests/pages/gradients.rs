//! Gradients of expressions.

use super::{ask, number, refused};
use serde_json::{Value, json};

/// Returns the last gradient of a node.
#[track_caller]
fn gradient(answer: &Value, name: &str) -> f32 {
    let nodes = answer["nodes"].as_array().unwrap();
    let at = nodes.iter().position(|node| node["name"] == name).unwrap();
    let last = answer["steps"].as_array().unwrap().last().map_or(&answer["start"], |step| &step["gradients"]);
    number(&last[at])
}

#[test]
fn the_gradients_of_the_chapter_arrive_in_five_steps() {
    let answer = ask("gradients", json!({"expression": "a*b + exp(a)", "values": {"a": 2, "b": 3}}));
    let names: Vec<_> = answer["nodes"].as_array().unwrap().iter().map(|node| &node["text"]).collect();
    assert_eq!(json!(names), json!(["a", "b", "a · b", "exp(a)", "t1 + t2"]));
    let exp = 2_f32.exp();
    assert_eq!(number(&answer["nodes"][4]["value"]), 6.0 + exp);
    assert_eq!(gradient(&answer, "a"), 3.0 + exp);
    assert_eq!(gradient(&answer, "b"), 2.0);
    let steps = answer["steps"].as_array().unwrap();
    let passed: Vec<_> = steps.iter().map(|step| (step["from"].as_u64().unwrap(), number(&step["gradient"]))).collect();
    assert_eq!(passed, [(4, 1.0), (4, 1.0), (3, exp), (2, 3.0), (2, 2.0)]);
    assert_eq!(steps[2]["gradients"][1], Value::Null, "nothing has arrived at b yet");
}

#[test]
fn every_operation_has_the_gradient_of_its_formula() {
    let cases: [(&str, f32); 10] = [
        ("a", 1.0),
        ("-a", -1.0),
        ("a+a", 2.0),
        ("a-3*a", -2.0),
        ("a*a*a", 12.0),
        ("1/a", -0.25),
        ("ln(a)", 0.5),
        ("sqrt(a)", 0.353_553_4),
        ("exp(a)", 7.389_056),
        ("sigmoid(a)", 0.104_993_6),
    ];
    for (expression, expected) in cases {
        let found = gradient(&ask("gradients", json!({"expression": expression, "values": {"a": 2}})), "a");
        assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{expression}: {found}");
    }
}

#[test]
fn infinity_and_nan_are_shown_as_texts() {
    let answer = ask("gradients", json!({"expression": "1/a - ln(b)", "values": {"a": 0, "b": -1}}));
    let values: Vec<_> = answer["nodes"].as_array().unwrap().iter().map(|node| &node["value"]).collect();
    assert_eq!(json!(values), json!([1.0, 0.0, "∞", -1.0, "NaN", "NaN"]));
}

#[test]
fn bad_expressions_are_errors() {
    assert!(refused("gradients", json!({"expression": ""})).starts_with("character 1"));
    assert!(refused("gradients", json!({"expression": "a + (b"})).starts_with("character 7"));
    assert!(refused("gradients", json!({"expression": "1 + 2"})).contains("no variable"));
    assert!(refused("gradients", json!({"expression": "a", "values": {"a": null}})).contains("a: expected a number"));
    assert!(refused("gradients", json!({"expression": "a", "values": {"a": 1e300}})).contains("too large"));
    assert!(refused("gradients", json!({"expression": "(".repeat(100_000)})).contains("at most 200"));
    let deep = format!("{}a{}", "-(".repeat(66), ")".repeat(66));
    assert_eq!(gradient(&ask("gradients", json!({"expression": deep})), "a"), 1.0);
}

#[test]
fn gradients_read_products_before_sums_and_operators_of_one_rank_from_left_to_right() {
    let read = |text: &str| ask("gradients", json!({"expression": text, "values": {"a": 0.5, "b": 3, "c": -2}}));
    let same = |a: &str, b: &str| assert_eq!(read(a), read(b), "{a} and {b}");
    same("a+b*c", "a+(b*c)");
    same("a-b-c", "(a-b)-c");
    same("a/b/c", "(a/b)/c");
    same("-a*b", "(-a)*b");
    same("  exp( a )", "exp(a)");
}

#[test]
fn gradients_of_a_malformed_expression_are_refused_with_the_position() {
    let cases = [
        ("", "character 1: found the end"),
        ("a +", "character 4: found the end"),
        ("(a", "character 3: found the end"),
        ("a b", "character 3: found “b”"),
        ("a)", "character 2: found “)”"),
        ("2 * tan(a)", "character 5: tan is not"),
        ("1.2.3", "character 1: 1.2.3 is not a number"),
        ("é", "character 1: found “é”"),
    ];
    for (text, message) in cases {
        let error = refused("gradients", json!({"expression": text, "values": {"a": 0.5, "b": 3}}));
        assert!(error.contains(message), "{text:?}: {error}");
    }
    let nested = "(".repeat(201);
    assert!(refused("gradients", json!({"expression": nested, "values": {}})).contains("at most 200"));
    refused("gradients", json!({"expression": "9".repeat(100), "values": {}}));
}
