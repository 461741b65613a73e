//! The pages that open a model.

use live::Live;
use ndarray::ArrayView2;
use ossia::checkpoint;
use ossia::generate::Sampling;
use ossia::model::Transformer;
use ossia::ops::cross_entropy::IGNORE;
use ossia::tokenizer::Tokenizer;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn directory(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model)
}

/// The models of the pages, opened from bytes as in a browser.
fn live() -> Live {
    let mut live = Live::default();
    for model in ["stories", "sums"] {
        let text = |file: &str| fs::read_to_string(directory(model).join(file)).unwrap();
        let weights = fs::read(directory(model).join("model.safetensors")).unwrap();
        live.open_vocabulary(model, &text("tokenizer.json")).unwrap();
        live.open(model, &text("config.json"), &text("tokenizer.json"), weights).unwrap();
    }
    live
}

/// A model, opened from its directory.
fn model(name: &str) -> (Transformer, Tokenizer) {
    checkpoint::open(directory(name)).unwrap()
}

fn ask(page: &str, question: &Value) -> Value {
    serde_json::from_str(&live().ask(page, &question.to_string()).unwrap()).unwrap()
}

/// Asks a question that is refused, and returns the message, which is one line.
fn refused(page: &str, question: &Value) -> String {
    let message = live().ask(page, &question.to_string()).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

const TEXT: &str = "Once upon a time, there was a brave girl named Anna.";

#[test]
fn pages_that_do_not_exist_and_malformed_questions_are_refused() {
    assert!(refused("nothing", &json!({})).contains("no page nothing"));
    for page in
        ["attention", "effort", "harmony", "kv_cache", "routing", "sampling", "story", "structured_output", "tokens"]
    {
        assert!(refused(page, &json!({})).contains("not a question of this page"), "{page}");
        assert!(live().ask(page, "{").is_err(), "{page}");
    }
    assert!(refused("tokens", &json!({"vocabulary": "none", "text": ""})).contains("vocabulary none is not open"));
}

#[test]
fn pages_do_not_open_damaged_models() {
    let text = |file: &str| fs::read_to_string(directory("sums").join(file)).unwrap();
    let weights = fs::read(directory("sums").join("model.safetensors")).unwrap();
    let (config, tokenizer) = (text("config.json"), text("tokenizer.json"));
    let mut live = Live::default();
    for (config, tokenizer, weights) in [
        ("{", &*tokenizer, weights.clone()),
        (&*config, "{", weights.clone()),
        (&*config, &*tokenizer, weights[..weights.len() - 1].to_vec()),
        (&*config, &*tokenizer, Vec::new()),
    ] {
        let message = live.open("sums", config, tokenizer, weights).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn pages_show_the_tokens_of_the_tokenizer() {
    let (_, tokenizer) = model("stories");
    for text in ["", TEXT, "Zwölf 🦊\n\n  tokenizers", "\u{0}"] {
        let answer = ask("tokens", &json!({"vocabulary": "stories", "text": text}));
        let pieces = answer["pieces"].as_array().unwrap();
        let last = |piece: &Value| piece["steps"].as_array().unwrap().last().unwrap()["tokens"].clone();
        let ids = pieces.iter().flat_map(|piece| last(piece).as_array().unwrap().clone());
        let ids: Vec<u32> = ids.map(|token| token["id"].as_u64().unwrap() as u32).collect();
        assert_eq!(ids, tokenizer.encode(text), "{text:?}");
        assert_eq!(answer["bytes"], text.len());
    }
}

#[test]
fn pages_tell_the_story_that_the_generator_tells() {
    let (transformer, tokenizer) = model("stories");
    let answer = ask("story", &json!({"model": "stories", "temperature": 0.7, "seed": 5}));
    let pieces = answer["pieces"].as_array().unwrap();
    let told: String = pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect();
    let sampling = Sampling { temperature: 0.7, seed: 5, ..Sampling::default() };
    assert_eq!(told, transformer.continue_text(&tokenizer, "", 255, sampling).unwrap());
}

#[test]
fn pages_refuse_temperatures_that_are_no_temperatures() {
    for temperature in [-1.0, 1e30] {
        let story = json!({"model": "stories", "temperature": temperature, "seed": 0});
        let effort = json!({"model": "sums", "text": "What is 1 + 1?", "temperature": temperature, "seed": 0});
        for (page, question) in [("story", story), ("effort", effort)] {
            assert!(refused(page, &question).contains("temperature"), "{page}");
        }
    }
}

#[test]
fn pages_refuse_pieces_with_too_many_merges_to_show() {
    let text = "a".repeat(100_000);
    assert!(refused("tokens", &json!({"vocabulary": "stories", "text": text})).contains("100000 bytes"));
}

#[test]
fn pages_show_distributions_that_sum_to_one_and_draw_as_often_as_asked() {
    let question = |draws: usize| {
        json!({"model": "stories", "text": "Once there was a", "temperature": 0.8, "top_k": 5,
        "top_p": 1.0, "min_p": 0.0, "seed": 1, "draws": draws})
    };
    let answer = ask("sampling", &question(100));
    let tokens = answer["tokens"].as_array().unwrap();
    let sum = |key: &str| tokens.iter().map(|token| token[key].as_f64().unwrap()).sum::<f64>();
    assert_eq!(answer["kept"], 5);
    assert!((sum("after") - 1.0).abs() < 1e-6 && sum("before") < 1.0);
    assert_eq!(sum("drawn"), 100.0);
    assert!(refused("sampling", &question(1_000_000)).contains("1000000 draws"));
    let mut cold = question(1);
    cold["temperature"] = json!(-1.0);
    assert!(refused("sampling", &cold).contains("temperature -1"));
}

#[test]
fn pages_show_attention_that_sums_to_one_within_the_window() {
    let question = |layer: usize| json!({"model": "stories", "text": TEXT, "layer": layer, "head": 1, "window": 3});
    for layer in 0..4 {
        let answer = ask("attention", &question(layer));
        for (t, row) in answer["rows"].as_array().unwrap().iter().enumerate() {
            let row = numbers(row);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-5);
            let hidden = |j: usize| j > t || layer % 2 == 0 && j + 3 <= t;
            assert!((0..row.len() - 1).filter(|&j| hidden(j)).all(|j| row[j] == 0.0), "layer {layer}, token {t}");
        }
    }
    assert!(refused("attention", &question(4)).contains("layer 4"));
    let long = json!({"model": "stories", "text": TEXT.repeat(20), "layer": 0, "head": 0, "window": 1});
    assert!(refused("attention", &long).contains("at most 64"));
}

#[test]
fn pages_show_the_routing_and_the_loss_of_the_model() {
    let (transformer, tokenizer) = model("stories");
    let answer = ask("routing", &json!({"model": "stories", "text": TEXT, "active": 2}));
    let ids = tokenizer.prompt(TEXT);
    let output = transformer.forward(ArrayView2::from_shape((1, ids.len()), &ids).unwrap(), None);
    let targets: Vec<u32> = ids[1..].iter().copied().chain([IGNORE]).collect();
    let loss = f64::from(transformer.loss(&output, &targets).cross_entropy);
    assert!((answer["loss"].as_f64().unwrap() - loss).abs() < 1e-6);
    for (layer, routing) in answer["layers"].as_array().unwrap().iter().zip(&output.routing) {
        let load: Vec<f64> = routing.dispatch.offsets.windows(2).map(|range| (range[1] - range[0]) as f64).collect();
        assert_eq!(numbers(&layer["load"]), load);
    }
    assert!(refused("routing", &json!({"model": "stories", "text": TEXT, "active": 9})).contains("8 experts"));
}

#[test]
fn pages_write_the_same_text_with_and_without_a_cache() {
    let question =
        |tokens: usize, cached: bool| json!({"model": "stories", "text": TEXT, "tokens": tokens, "cached": cached});
    let (with, without) = (ask("kv_cache", &question(12, true)), ask("kv_cache", &question(12, false)));
    assert_eq!(with["text"], without["text"]);
    let prompt = numbers(&without["computed"])[0];
    assert_eq!(numbers(&with["computed"]).iter().sum::<f64>(), prompt + 11.0);
    assert_eq!(numbers(&without["computed"]).iter().sum::<f64>(), 12.0 * prompt + 66.0);
    for tokens in [1_000, u32::MAX as usize, usize::MAX] {
        assert!(refused("kv_cache", &question(tokens, true)).contains("context"));
    }
}

#[test]
fn pages_reply_at_three_efforts() {
    let answer =
        ask("effort", &json!({"model": "sums", "text": "What is 347 + 285 - 120?", "temperature": 0.0, "seed": 0}));
    let replies = answer["replies"].as_array().unwrap();
    let analysis: Vec<u64> = replies.iter().map(|reply| reply["analysis"].as_u64().unwrap()).collect();
    assert!(analysis[0] == 0 && analysis[0] < analysis[1] && analysis[1] < analysis[2], "{analysis:?}");
    let high = replies[2]["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(high["content"][0]["text"], "512");
}

#[test]
fn pages_parse_what_they_have_rendered() {
    let messages = json!([{"role": "user", "content": "What is 2 + 2?"}]);
    let rendered = ask("harmony", &json!({"do": "render", "vocabulary": "sums", "messages": messages}));
    let text = rendered["text"].as_str().unwrap().strip_suffix("<|start|>assistant").unwrap().to_string();
    let parse =
        |text: &str, lenient: bool| json!({"do": "parse", "vocabulary": "sums", "text": text, "lenient": lenient});
    let parsed = ask("harmony", &parse(&text, false));
    assert_eq!(parsed["messages"][0]["content"][0]["text"], "What is 2 + 2?");
    let parts: Vec<&str> = parsed["tokens"].as_array().unwrap().iter().map(|t| t["part"].as_str().unwrap()).collect();
    assert_eq!(
        (parts[0], parts[1], parts[parts.len() - 2], parts[parts.len() - 1]),
        ("special", "header", "content", "special")
    );
    let broken = "<|channel|>final<|message|>4<|start|>";
    refused("harmony", &parse(broken, false));
    assert!(!ask("harmony", &parse(broken, true))["flags"].as_array().unwrap().is_empty());
}

#[test]
fn pages_allow_what_the_schema_allows() {
    let schema = r#"{"enum": ["sun", "snow"]}"#;
    let question = |schema: &str, text: &str| json!({"vocabulary": "stories", "schema": schema, "text": text});
    let answer = ask("structured_output", &question(schema, "\"s"));
    let allowed: Vec<&str> =
        answer["allowed"].as_array().unwrap().iter().map(|token| token["text"].as_str().unwrap()).collect();
    assert!(allowed.contains(&"u") && allowed.contains(&"n") && !allowed.contains(&"s"), "{allowed:?}");
    assert_eq!(ask("structured_output", &question(schema, "\"sx"))["read"], 2);
    assert_eq!(ask("structured_output", &question(schema, "\"sun\""))["complete"], true);
    assert!(refused("structured_output", &question("{", "")).contains("not JSON"));
    refused("structured_output", &question(r#"{"type": "animal"}"#, ""));
}
