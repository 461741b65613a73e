//! Rotary positions.

use super::{ask, number, numbers, refused};
use serde_json::{Value, json};

fn gpt_oss() -> Value {
    json!({"factor": 32, "beta_fast": 32, "beta_slow": 1, "original_context": 4096})
}

#[test]
fn rotary_has_the_wavelengths_of_gpt_oss_in_the_chapter() {
    let answer = ask("rotary", gpt_oss());
    let pairs = answer["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 32);
    assert_eq!(number(&pairs[31]["plain"]).round(), 649_409.0);
    assert!((number(&pairs[31]["slower"]) - 32.0).abs() < 1e-4);
    assert_eq!(pairs[8]["plain"], pairs[8]["yarn"]);
    let ramp = numbers(&answer["ramp"]);
    assert!((ramp[0] - 8.0928).abs() < 1e-4 && (ramp[1] - 17.3980).abs() < 1e-4, "{ramp:?}");
    assert!((number(&answer["concentration"]) - 1.346_574).abs() < 1e-5);
}

#[test]
fn rotary_with_factor_one_is_plain_rope() {
    let mut question = gpt_oss();
    question["factor"] = json!(1);
    let answer = ask("rotary", question);
    assert!(answer["pairs"].as_array().unwrap().iter().all(|pair| pair["plain"] == pair["yarn"]));
    assert_eq!(number(&answer["concentration"]), 1.0);
}

#[test]
fn rotary_refuses_what_is_not_a_number_or_out_of_range() {
    for (field, value) in [
        ("factor", json!(65)),
        ("factor", Value::Null),
        ("beta_fast", json!(0)),
        ("beta_slow", json!(-1)),
        ("original_context", json!(1e300)),
    ] {
        let mut question = gpt_oss();
        question[field] = value;
        assert!(refused("rotary", question).contains("expected a number"));
    }
    refused("rotary", json!({}));
}
