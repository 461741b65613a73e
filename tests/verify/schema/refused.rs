//! A keyword that the engine cannot enforce is refused when the schema is read, with its path.

use super::{SMALL, refused};
use nix::time::{ClockId, clock_gettime};
use ossia::schema::Guide;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::time::Duration;

#[test]
fn schema_refuses_what_it_cannot_keep() {
    for keyword in [
        "not",
        "if",
        "then",
        "else",
        "contains",
        "uniqueItems",
        "multipleOf",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "unevaluatedItems",
        "$dynamicRef",
        "$anchor",
        "$recursiveRef",
        "dependencies",
    ] {
        refused(
            json!({"properties": {"a": {keyword: 1}}}),
            &format!("/properties/a/{keyword}: this keyword is not supported"),
        );
    }
    refused(json!({"type": "decimal"}), "at /type: \"decimal\" is not a JSON type");
    refused(json!({"items": {"type": ["string", 3]}}), "at /items/type: 3 is not a JSON type");
    refused(json!({"minLength": -1}), "at /minLength: expected a whole number");
    refused(json!({"maximum": "3"}), "at /maximum: expected a number");
    refused(json!({"required": "a"}), "at /required: expected a list of names");
    refused(json!({"enum": []}), "at /enum: expected a list");
    refused(json!({"anyOf": []}), "at /anyOf: expected a list of schemas");
    refused(json!({"properties": []}), "at /properties: expected an object of schemas");
    refused(json!({"items": 3}), "at /items: expected an object, true or false");
    refused(json!(3), "at its root: expected an object");
    refused(json!({"$schema": "http://json-schema.org/draft-03/schema#"}), "at /$schema: ");
    refused(json!({"type": "number", "maximum": 1e300}), "at /maximum: ");
    let listed = json!({"enum": [[1], [2]], "minItems": 1});
    refused(listed, "listed arrays and objects together with other keywords are not supported");
}

#[test]
fn schema_refuses_references_that_lead_nowhere() {
    refused(json!({"$ref": "#/$defs/a"}), "at /$ref: there is nothing at \"/$defs/a\"");
    refused(json!({"$ref": "https://example.org/schema"}), "at /$ref: expected a reference within the schema");
    refused(json!({"$ref": "#"}), "without an end");
    refused(
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}),
        "without an end",
    );
}

#[test]
fn schema_refuses_what_nothing_fits() {
    refused(json!(false), "no value of finite depth");
    refused(json!({"type": "integer", "minimum": 5, "maximum": 4}), "no value");
    refused(json!({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 5}), "no value");
    refused(json!({"type": "string", "minLength": 5, "maxLength": 4}), "no value");
    refused(json!({"type": "string", "pattern": "^a{5}$", "maxLength": 4}), "no value");
    refused(json!({"allOf": [{"type": "string"}, {"type": "integer"}]}), "no value");
    refused(json!({"allOf": [{"enum": [1, 2]}, {"enum": [3]}]}), "no value");
    refused(json!({"type": "array", "minItems": 3, "maxItems": 2}), "no value");
    refused(json!({"type": "array", "items": false, "minItems": 1}), "no value");
    refused(json!({"type": "object", "properties": {"a": false}, "required": ["a"]}), "no value");
    refused(
        json!({"type": "object", "required": ["a"], "properties": {"b": true}, "additionalProperties": false}),
        "no value",
    );
    refused(json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}), "no value");
    let deep =
        (0..70).fold(json!({"type": "null"}), |inner, _| json!({"type": "array", "items": inner, "minItems": 1}));
    refused(deep, "nested too deep");
}

#[test]
fn schema_refuses_branches_that_are_not_exclusive() {
    refused(json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "at /oneOf: a value could fit both 0 and 1");
    refused(
        json!({"properties": {"x": {"oneOf": [{"type": "null"}, {"type": "string"}, {"enum": ["a"]}]}}}),
        "/properties/x/oneOf: a value could fit both 1 and 2",
    );
    refused(
        json!({"oneOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"a": {"const": 2}}}]}),
        "could fit both",
    );
}

/// References that merge with what refers to them come to an end, one way or the other.
#[test]
fn schema_merges_of_references_end() {
    let merged = json!({"$ref": "#/$defs/a", "items": {"$ref": "#"}, "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}});
    Guide::new(&merged, SMALL.1.clone(), 0).unwrap();
    let growing =
        json!({"type": "array", "items": {"allOf": [{"$ref": "#"}, {"maxItems": 3, "items": {"$ref": "#/items"}}]}});
    Guide::new(&growing, SMALL.1.clone(), 0).unwrap();
    let huge = json!({"type": "array", "items": {"type": "string", "minLength": 4_000_000_000u32}, "minItems": 4_000_000_000u32});
    let mut guide = Guide::new(&huge, SMALL.1.clone(), 0).unwrap();
    assert!(!guide.fits(100_000));
}

/// Returns the time that this thread has computed.
fn computed() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Unix has this clock").into()
}

/// Schemas that are small to write and large to compile. Each is compiled or refused in a second of computing, on a slow
/// machine in three. Other programs may run at the same time, so the clock counts only what this thread computes.
#[test]
fn schema_is_compiled_or_refused_in_a_short_time() {
    let doubling = |n: usize| {
        let part = |i: usize| {
            (
                format!("d{i}"),
                json!({"allOf": [{"$ref": format!("#/$defs/d{}", i + 1)}, {"$ref": format!("#/$defs/d{}", i + 1)}]}),
            )
        };
        let mut parts: Map<String, Value> = (0..n).map(part).collect();
        parts.insert(format!("d{n}"), json!({"type": "string", "minLength": 2}));
        json!({"$defs": parts, "$ref": "#/$defs/d0"})
    };
    let words: Vec<String> = (0..20_000).map(|i| format!("the {i}th of many values")).collect();
    let numbers: Vec<usize> = (0..20_000).collect();
    let property = |i: usize| (format!("p{i}"), json!({"type": "number", "minimum": i}));
    let properties: Map<String, Value> = (0..1_000).map(property).collect();
    let slow_pattern = |i: usize| json!({"pattern": format!("x{i}(a|b)*a(a|b){{12}}")});
    let slow_patterns: Map<String, Value> = (0..60).map(|i| (format!("p{i}"), slow_pattern(i))).collect();
    let branch = |i: usize| json!({"type": "object", "properties": {"k": {"const": i}}, "required": ["k"]});
    for (schema, expected) in [
        (doubling(30), None),
        (doubling(200), Some("more than 100 deep")),
        (json!({"type": "string", "pattern": ".*", "minLength": 100_000}), None),
        (json!({"enum": words}), None),
        (json!({"enum": words, "pattern": "^the [0-9]+th", "minLength": 20}), None),
        (json!({"allOf": [{"enum": numbers}, {"enum": numbers}]}), None),
        (json!({"oneOf": (0..300).map(branch).collect::<Vec<_>>()}), None),
        (json!({"properties": properties, "required": ["p7"]}), None),
        (json!({"properties": slow_patterns}), Some("automata with too many states")),
        (json!({"pattern": "(a|b)*a(a|b){18}"}), Some("/pattern")),
        (json!({"pattern": "(((a{1,99}){1,99}){1,99}){1,99}"}), Some("/pattern")),
        (
            json!({"allOf": (0..10).map(|i| json!({"pattern": format!("x{i}.*y{i}")})).collect::<Vec<_>>()}),
            Some("too many states"),
        ),
    ] {
        let start = computed();
        let error = Guide::new(&schema, SMALL.1.clone(), 0).err().map(|error| error.to_string());
        let (time, text) = (computed() - start, schema.to_string());
        let start = &text[..text.len().min(100)];
        assert_eq!(error.is_some(), expected.is_some(), "{start}: {error:?}");
        assert!(error.unwrap_or_default().contains(expected.unwrap_or_default()), "{start}");
        assert!(time < Duration::from_secs(3), "{time:?} for {start}");
    }
}

/// Anything where a schema should be, of the words that schemas have.
fn nonsense() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "type",
        "enum",
        "const",
        "minimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "additionalProperties",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "$defs",
        "title",
        "not",
    ]);
    let leaf = prop_oneof![
        prop::sample::select(vec![
            json!("string"),
            json!("array"),
            json!("object"),
            json!("#"),
            json!("#/$defs/a"),
            json!("^a+$"),
            json!("(("),
            json!("uuid"),
            json!(true),
            json!(false),
            json!(null),
            json!(["a", "b"])
        ]),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        (0u32..9).prop_map(|n| json!(n)),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let key = prop_oneof![4 => words.clone().prop_map(String::from), 1 => Just("a".to_string())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|all| Value::from(all.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    /// A schema is refused in one line, or it works.
    #[test]
    fn schema_survives_nonsense(schema in nonsense()) {
        match Guide::new(&schema, SMALL.1.clone(), 0) {
            Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
            Ok(mut guide) => {
                let closing = if guide.fits(5_000) { guide.closing() } else { return Ok(()) };
                prop_assert!(guide.read(&closing) && guide.is_complete(), "{} {}", schema, String::from_utf8_lossy(&closing));
                // What no rule reads (the examples' place, a definition that is not used) may be wrong; then nobody can judge.
                if jsonschema::draft202012::new(&schema).is_ok() {
                    super::judge(&schema, &String::from_utf8(closing).unwrap());
                }
            }
        }
    }
}
