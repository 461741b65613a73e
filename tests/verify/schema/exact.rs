//! A guide accepts exactly the values that the schema allows.

use super::{SMALL, accepts, refused};
use ossia::schema::Guide;
use proptest::prelude::*;
use serde_json::{Value, json};

#[track_caller]
fn judges(schema: Value, valid: &[&str], invalid: &[&str]) {
    for text in valid {
        assert!(accepts(&schema, text), "{text} was rejected by {schema}");
    }
    for text in invalid {
        assert!(!accepts(&schema, text), "{text} was accepted by {schema}");
    }
}

/// A constraint concerns the values of its kind only: `minimum` allows every string.
#[test]
fn schema_keywords_imply_no_type() {
    judges(json!({"minimum": 5}), &["5", "\"x\"", "null", "[]"], &["4"]);
    judges(json!({"properties": {"a": {"type": "null"}}}), &["1", r#"{"a": null, "b": 1}"#], &[r#"{"a": 1}"#]);
    judges(json!({"prefixItems": [{"const": 1}]}), &["[]", "[1, 2]", "{}"], &["[2]"]);
    // Two branches accept every value of a kind that neither constrains, so no such value fits exactly one.
    judges(json!({"oneOf": [{"type": "null"}, {"minimum": 5}]}), &["7", "\"x\""], &["null", "4"]);
    judges(json!({"oneOf": [{"items": {"type": "string"}}, {"type": "null"}]}), &["[\"a\"]", "1"], &["null", "[1]"]);
    judges(json!({"oneOf": [{"type": "string"}, {"minimum": 5}]}), &["5", "[]"], &["\"x\"", "4"]);
    judges(
        json!({"oneOf": [{"properties": {"k": {"const": 1}}, "required": ["k"]},
                         {"properties": {"k": {"const": 2}}, "required": ["k"]}]}),
        &[r#"{"k": 1}"#, r#"{"k": 2}"#],
        &["1", "\"x\"", "[]", "{}", r#"{"k": 3}"#],
    );
    refused(json!({"oneOf": [{"type": "string", "maxLength": 3}, {"minimum": 5}]}), "could fit both 0 and 1");
    refused(json!({"oneOf": [{"type": "integer"}, {"minimum": 5}]}), "could fit both 0 and 1");
}

#[test]
fn schema_numbers_are_compared_exactly() {
    refused(json!({"allOf": [{"const": 9007199254740993i64}, {"const": 9007199254740992i64}]}), "no value");
    judges(json!({"const": 9007199254740993i64}), &["9007199254740993"], &["9007199254740992"]);
    judges(
        json!({"type": "integer", "minimum": 9007199254740993i64, "maximum": u64::MAX}),
        &["9007199254740993", "18446744073709551615"],
        &["9007199254740992", "18446744073709551616", "-9007199254740993"],
    );
    judges(json!({"enum": [1, 2.5], "maximum": 1.0}), &["1"], &["2.5"]);
    judges(
        json!({"allOf": [{"enum": [1, {"a": [2.0]}]}, {"enum": [{"a": [2]}, 1.0]}]}),
        &["1", r#"{"a":[2]}"#],
        &["2"],
    );
    for number in ["100000000000000000001", "-1e300", "18446744073709551617"] {
        let value: Value = serde_json::from_str(number).unwrap();
        refused(json!({"const": value}), "is not read exactly");
        refused(json!({"enum": [{"a": [value]}]}), "is not read exactly");
        refused(json!({"exclusiveMinimum": value}), "is not read exactly");
    }
}

#[test]
fn schema_bound_on_one_side_leaves_the_other_free() {
    judges(
        json!({"type": "integer", "minimum": 0}),
        &["0", "100", "2024", "123456789012345678901234567890", "-0"],
        &["-1", "1.5", "00", "01", "-100"],
    );
    judges(
        json!({"type": "number", "exclusiveMinimum": 0}),
        &["150.5", "1e30", "0.0000000000000000000001", "1.5E-7", "12345678901234567890.123456789012345678901"],
        &["0", "-0.0", "0e5", "-1", "-1e-5", "1e999"],
    );
    judges(
        json!({"type": "number", "maximum": -5}),
        &["-5", "-5.0", "-100000000000", "-5.00001"],
        &["-4.99", "0", "5"],
    );
    judges(json!({"type": "number", "minimum": 0.1234567}), &["0.1234567", "0.12345670", "7"], &["0.1234566999"]);
    judges(
        json!({"type": "number", "exclusiveMaximum": 1}),
        &["0.9999999999999999", "-7"],
        &["1", "1.0", "0.99999999999999999"],
    );
    judges(json!({"enum": [0.1, 100], "minimum": 0}), &["0.1", "100", "100.0"], &["1"]);
    judges(
        json!({"type": "number"}),
        &["1.7976931348623157e299", "-0.1e-299", "123456789012345678901"],
        &["1e400", ".5"],
    );
}

#[test]
fn schema_values_may_be_written_in_any_way_that_json_has() {
    judges(json!({"const": -2.0}), &["-2.0", "-2"], &["2", "-2.5"]);
    judges(json!({"enum": [1e2, 1e-3]}), &["100", "100.0", "0.001"], &["1", "0.01"]);
    judges(
        json!({"const": {"é": [1, "a/b"], "b": {}}}),
        &[r#"{"é":[1,"a/b"],"b":{}}"#, "{ \"\\u00e9\" : [ 1 , \"a\\/b\" ],\r\n\t\"b\": { } }"],
        &[r#"{"é":[1,"a/b"],"b":{"c":1}}"#, r#"{"é":[1]}"#],
    );
    judges(
        json!({"enum": ["\u{1F600}", "x\n"]}),
        &[r#""\uD83D\ude00""#, r#""x\n""#, r#""x\u000A""#],
        &["\"x\n\"", r#""\u0078\n""#],
    );
    judges(
        json!({"type": "object", "properties": {"ab": {"type": "string", "pattern": "^é+$"}}, "additionalProperties": false}),
        &["{\n\t\"ab\"\t:\t\"\\u00e9é\"\n}", r#"{"ab":"é\u00E9"}"#, "{ }"],
        &[r#"{"ab":"\u00e8"}"#, r#"{"\u0062b":"é"}"#],
    );
    // A name that is written with an escape is still the same name. In names, letters are written as they are.
    judges(
        json!({"properties": {"a": {"type": "null"}, "é": {"type": "null"}}}),
        &[r#"{"\u00e9": null, "\u00e8": 1}"#],
        &[r#"{"\u00e9": 1}"#, r#"{"\u0061": 1}"#, r#"{"\u0061": null}"#],
    );
    judges(json!({"type": "string", "pattern": "^a$"}), &[r#""\u0061""#], &[r#""\u0062""#]);
}

#[test]
fn schema_identifiers_below_the_root_change_references() {
    let embedded = |inner: Value| json!({"$defs": {"a": {"type": "string"}}, "properties": {"x": inner}});
    let problem = "an identifier below the root changes what references mean";
    refused(embedded(json!({"$id": "http://e/x", "$defs": {"a": {"type": "integer"}}, "$ref": "#/$defs/a"})), problem);
    refused(embedded(json!({"$id": "x", "items": {"allOf": [{"$ref": "#/$defs/a"}]}})), problem);
    let through = json!({"$defs": {"x": {"$id": "x", "$defs": {"b": {"$ref": "#/$defs/a"}, "a": {"type": "null"}}}, "a": true},
        "$ref": "#/$defs/x/$defs/b"});
    refused(through, problem);
    // Without references, and with a name of a place only, nothing changes. A property may have the name `$id`.
    judges(embedded(json!({"$id": "http://e/x", "type": "integer"})), &[r#"{"x": 1}"#], &[r#"{"x": "s"}"#]);
    judges(embedded(json!({"$id": "#x", "$ref": "#/$defs/a"})), &[r#"{"x": "s"}"#], &[r#"{"x": 1}"#]);
    judges(
        embedded(json!({"properties": {"$id": {"$ref": "#/$defs/a"}}})),
        &[r#"{"x": {"$id": "s"}}"#],
        &[r#"{"x": {"$id": 1}}"#],
    );
    let named = json!({"$id": "http://e/root", "$defs": {"a": {"type": "null"}}, "$ref": "http://e/root#/$defs/a"});
    judges(named, &["null"], &["1"]);
    refused(json!({"$ref": "#/$defs/%+1", "$defs": {"\u{1}": true}}), "there is nothing at");
}

#[test]
fn schema_drafts_differ_where_they_do() {
    let draft = |name: &str, mut schema: Value| {
        schema["$schema"] = json!(format!("http://json-schema.org/{name}/schema#"));
        schema
    };
    judges(draft("draft-04", json!({"minimum": 3, "exclusiveMinimum": true})), &["4", "3.5"], &["3", "2"]);
    judges(draft("draft-04", json!({"minimum": 3, "exclusiveMinimum": false, "const": 1})), &["3", "4"], &["2"]);
    refused(
        draft("draft-06", json!({"minimum": 3, "exclusiveMinimum": true})),
        "at /exclusiveMinimum: expected a number",
    );
    let list = json!({"items": [{"type": "null"}], "additionalItems": {"type": "integer"}});
    judges(draft("draft-07", list.clone()), &["[]", "[null]", "[null, 1]"], &["[1]", "[null, null]"]);
    refused(list, "at /items: expected an object");
    judges(
        draft("draft-07", json!({"items": {"type": "null"}, "additionalItems": false})),
        &["[null, null]"],
        &["[1]"],
    );
    let beside = json!({"definitions": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/definitions/a", "maxLength": 1}}});
    judges(draft("draft-07", beside.clone()), &[r#"{"x": "abc"}"#], &[r#"{"x": 1}"#]);
    judges(draft("draft/2019-09", beside), &[r#"{"x": "a"}"#], &[r#"{"x": "abc"}"#, r#"{"x": 1}"#]);
    refused(
        draft("draft-07", json!({"contentEncoding": "base64"})),
        "at /contentEncoding: this keyword is not supported",
    );
    refused(draft("draft-03", json!({})), "at /$schema: ");
    refused(json!({"$schema": 7}), "at /$schema: ");
}

#[test]
fn schema_unknown_keywords_are_annotations_and_unknown_formats_are_told() {
    let schema = json!({"type": "string", "colour": {"minimum": 3}, "x-nullable": true, "format": "colour",
        "$comment": "", "contentEncoding": "base64", "uniqueItems": false, "minProperties": 0});
    let guide = Guide::new(&schema, SMALL.1.clone(), 0).unwrap();
    assert_eq!(guide.unknown_formats(), ["colour"]);
    judges(schema, &["\"red\""], &["1"]);
    refused(json!({"format": "regex"}), "at /format: the format \"regex\" is not supported");
}

proptest! {
    /// Every accepted value is valid. Random schemas of small parts, and random values of the same parts.
    #[test]
    fn schema_never_accepts_an_invalid_value((schema, values) in (schemas(3), prop::collection::vec(values(), 30))) {
        let Ok(mut guide) = Guide::new(&schema, SMALL.1.clone(), 0) else { return Ok(()) };
        let judge = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
        for value in values {
            guide.restart();
            let accepted = guide.read(value.to_string().as_bytes()) && guide.is_complete();
            let has_order = value.to_string().matches(':').count() > 1;
            prop_assert!(!accepted || judge.is_valid(&value), "{} accepts {}", schema, value);
            // What is valid is accepted, except for integers with a fraction, and members in another order.
            let other_form = value.to_string().contains(".0");
            prop_assert!(accepted || !judge.is_valid(&value) || has_order || other_form, "{} rejects {}", schema, value);
        }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let numbers = [0, 1, -1, 2, 5, 10, 99, 100, 101].map(|n| json!(n));
    let others = [
        json!(0.5),
        json!(1.0),
        json!(-0.25),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("é\n"),
        json!(null),
        json!(true),
    ];
    let leaf = prop::sample::select([&numbers[..], &others].concat());
    leaf.prop_recursive(2, 8, 3, |inner| {
        let name = prop::sample::select(vec!["a", "b", "c"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..3).prop_map(|members| json!(members)),
        ]
    })
}

fn schemas(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "boolean", "integer", "number", "string", "array", "object"])
            .prop_map(|name| json!({"type": name})),
        values().prop_map(|value| json!({"const": value})),
        prop::collection::vec(values(), 1..4).prop_map(|values| json!({"enum": values})),
        (prop::sample::select(vec!["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]), -200i32..200)
            .prop_map(|(keyword, n)| json!({keyword: f64::from(n) / 2.0})),
        (0..3, 0..3).prop_map(|(least, more)| json!({"minLength": least, "maxLength": least + more})),
        prop::sample::select(vec!["^a", "b$", "^[^a]*$", "é|a{2}"]).prop_map(|pattern| json!({"pattern": pattern})),
        (0..2, 0..3).prop_map(|(least, more)| json!({"minItems": least, "maxItems": least + more})),
        prop::sample::subsequence(vec!["a", "b", "c"], 1..3).prop_map(|names| json!({"required": names})),
        Just(json!(true)),
    ];
    leaf.prop_recursive(depth, 12, 3, |inner| {
        prop_oneof![
            (prop::sample::select(vec!["anyOf", "allOf", "oneOf"]), prop::collection::vec(inner.clone(), 1..3))
                .prop_map(|(keyword, branches)| json!({keyword: branches})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|items| json!({"prefixItems": items})),
            inner.clone().prop_map(|items| json!({"items": items})),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"properties": {"a": a, "b": b}})),
            inner.clone().prop_map(|more| json!({"properties": {"a": true}, "additionalProperties": more})),
            (inner.clone(), inner).prop_map(|(a, b)| {
                let mut both = a;
                if let (Value::Object(both), Value::Object(b)) = (&mut both, b) {
                    both.extend(b);
                }
                both
            }),
        ]
    })
}
