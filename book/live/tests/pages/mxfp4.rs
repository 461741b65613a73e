//! MXFP4.

use super::{ask, number, numbers, refused};
use ossia::mxfp4::{BLOCK, encode, round};
use serde_json::{Value, json};

#[test]
fn mxfp4_shows_the_bytes_and_values_of_the_library() {
    for preset in ["normal", "outlier", "small"] {
        let answer = ask("mxfp4", json!({"preset": preset}));
        let block: [f32; BLOCK] = numbers(&answer["numbers"]).try_into().unwrap();
        let (bytes, scale) = encode(&block);
        assert_eq!(answer["bytes"], json!(bytes));
        assert_eq!(answer["scale_byte"], json!(scale));
        assert_eq!(numbers(&answer["numbers_decoded"]), round(&block));
        assert_eq!(ask("mxfp4", json!({"numbers": block})), answer, "the same numbers, moved by hand");
    }
}

#[test]
fn an_outlier_makes_the_other_numbers_less_exact() {
    let largest = |preset: &str| {
        let answer = ask("mxfp4", json!({"preset": preset}));
        let scale = number(&answer["scale"]);
        (scale, number(&answer["largest_error"]))
    };
    assert!(largest("outlier").0 >= 4.0 * largest("normal").0);
    assert!(largest("outlier").1 > largest("normal").1);
}

#[test]
fn a_block_that_overflows_or_has_another_length_is_no_panic() {
    let block = |number: Value| json!({"numbers": vec![number; BLOCK]});
    assert_eq!(ask("mxfp4", block(json!(0)))["scale_byte"], json!(0));
    ask("mxfp4", block(json!(3.4e38)));
    ask("mxfp4", block(json!(1e-45)));
    assert!(refused("mxfp4", block(json!(1e300))).contains("too large"));
    assert!(refused("mxfp4", block(Value::Null)).contains("expected a number"));
    assert!(refused("mxfp4", json!({"numbers": [1, 2]})).contains("a block has 32"));
    refused("mxfp4", json!({"preset": "nonsense"}));
}
