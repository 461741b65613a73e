//! The program as a user runs it: every command, runs that are killed and resumed, and every kind of bad input.
//!
//! Book: [training](../../book/src/training.md)

mod adapters;
mod bad_input;
mod continued;
mod drafts;
mod chat;
mod chats;
mod harmony;
mod prepared;
mod profile;
mod qat;
mod ranks;
mod resume;
mod rl;
mod small;
mod usage;
mod schema;
mod speedrun;
#[cfg(feature = "tools")]
mod tool;

use crate::common::reference_path;
use ossia::config::ModelConfig;
use small::{losses, workplace};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn ossia(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ossia")).args(arguments).current_dir(directory).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn succeed(arguments: &[&str], directory: &Path) -> Output {
    let output = ossia(arguments, directory);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output
}

/// Exit code 2, and one line on standard error that contains `expected`.
#[track_caller]
fn refuse(arguments: &[&str], directory: &Path, expected: &str) {
    let output = ossia(arguments, directory);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{arguments:?}: one line, not\n{message}");
    assert!(message.contains(expected), "{arguments:?}: {message}\nexpected: {expected}");
    assert!(!message.contains("panicked"), "{message}");
}

const TRAIN: [[&str; 2]; 6] = [
    ["--config", "small.json"],
    ["--stories", "40"],
    ["--batch-size", "2"],
    ["--log-every", "1"],
    ["--save-every", "5"],
    ["--validation-fraction", "0.1"],
];

/// The arguments of a short run. An argument in `more` replaces one of the same name.
fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let usual = TRAIN.iter().filter(|[name, _]| !more.contains(name)).flatten().copied();
    ["train"].into_iter().chain(usual).chain(more.iter().copied()).collect()
}

#[test]
fn command_line_trains_and_uses_what_it_trained() {
    let place = workplace();
    let at = place.path();
    let output = succeed(&train(&["--steps", "6", "--out", "run"]), at);
    assert!(text(&output.stderr).contains("entropy floor"), "the floor stands beside the validation loss");
    assert!(text(&output.stderr).contains("well-formed and consistent"));
    assert!(!text(&output.stdout).trim().is_empty(), "a story");
    for name in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "metrics.jsonl",
        "loss.svg",
        "samples.txt",
        "train.json",
        "state.safetensors",
        "best/model.safetensors",
        "best/tokenizer.json",
    ] {
        assert!(at.join("run").join(name).exists(), "{name}");
    }
    assert!(fs::read_to_string(at.join("run/loss.svg")).unwrap().contains("entropy floor"));
    let metrics: Vec<String> = losses(&at.join("run"));
    assert_eq!(metrics.len(), 6);

    let generate = ["generate", "run", "--prompt", "Once upon", "--max-new-tokens", "8", "--seed", "3"];
    let (first, second) = (succeed(&generate, at), succeed(&generate, at));
    assert_eq!(first.stdout, second.stdout, "the same seed, the same text");
    assert!(text(&first.stderr).contains("8 tokens at"));
    command_line_generates_several_texts(at);
    let eval = text(&succeed(&["eval", "run", "--data", "builtin", "--tell", "3"], at).stdout);
    assert!(eval.contains("nats/token") && eval.contains("bits/byte") && eval.contains("entropy floor"), "{eval}");
    let inspect = text(&succeed(&["inspect", "run"], at).stdout);
    assert!(inspect.contains("experts") && inspect.contains("active") && inspect.contains("kv cache"), "{inspect}");
    succeed(&["trace", "run", "--tokens", "5,17,3", "--out", "trace.safetensors", "--gradients"], at);
    let same = ["trace", "run", "--tokens", "5,17,3", "--gradients", "--compare", "trace.safetensors"];
    assert!(text(&succeed(&same, at).stdout).starts_with("all "));
    refuse(&["trace", "run", "--tokens", "5,17,4", "--compare", "trace.safetensors"], at, "tensor embed: number");
}

/// The texts of `--samples` are those of the seeds, one after the other.
fn command_line_generates_several_texts(at: &Path) {
    let generate = ["generate", "run", "--prompt", "Once upon", "--max-new-tokens", "8", "--temperature", "0.3"];
    let with = |more: &[&str]| succeed(&[&generate[..], more].concat(), at);
    let alone: Vec<String> = (3..6).map(|seed| text(&with(&["--seed", &seed.to_string()]).stdout)).collect();
    let together = with(&["--seed", "3", "--samples", "3"]);
    assert_eq!(text(&together.stdout), alone.join("\n"));
    assert!(text(&together.stderr).contains("3 texts, 24 tokens at"), "{}", text(&together.stderr));
    let lines = text(&with(&["--seed", "3", "-s", "3", "--json"]).stdout);
    for (line, alone) in lines.lines().zip(&alone) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["text"].as_str().unwrap().to_string() + "\n", *alone);
        assert_eq!((&line["tokens"], &line["end"]), (&8.into(), &"--max-new-tokens reached".into()));
    }
    assert_eq!(lines.lines().count(), 3);
    fs::write(at.join("digits.json"), r#"{"type": "integer", "minimum": 100, "maximum": 999}"#).unwrap();
    for number in text(&with(&["--schema", "digits.json", "--samples", "4", "--json"]).stdout).lines() {
        let line: serde_json::Value = serde_json::from_str(number).unwrap();
        assert!((100..1000).contains(&line["text"].as_str().unwrap().parse::<i32>().unwrap()), "{number}");
    }
    refuse(&["generate", "run", "--samples", "0"], at, "0 is not in 1..=1024");
}

#[test]
fn command_line_computes_fast_and_says_what_it_costs() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "2", "--eval-every", "100", "--out", "run"]), at);
    fs::write(at.join("text.txt"), "the cat sat on the mat. ".repeat(20)).unwrap();
    let eval = ["eval", "run", "--data", "text.txt", "--tell", "0"];
    assert!(!text(&succeed(&eval, at).stdout).contains("divergence"));
    let output = text(&succeed(&[&eval[..], &["--precision", "fast"]].concat(), at).stdout);
    assert!(output.contains("nats/token when computed exactly: +0.00000; 0.00e0"), "nothing is MXFP4 here: {output}");
    let blocks = "rows of 16 are not whole blocks of 32";
    refuse(&[&eval[..], &["--dense", "int8"]].concat(), at, blocks);
    refuse(&["generate", "run", "--dense", "int8"], at, blocks);
    refuse(&["generate", "run", "--precision", "faster"], at, "possible values: exact, fast");
    let output = text(&succeed(&[&eval[..], &["--kv-cache", "bf16"]].concat(), at).stdout);
    assert!(output.contains("nats/token when computed exactly") && !output.contains("0.00e0"), "{output}");
    refuse(&["generate", "run", "--kv-cache", "int8"], at, "blocks of 32 numbers, and a head has 8; use bf16");
    let trace = ["trace", "run", "--tokens", "1,2", "--out", "t.safetensors", "--gradients", "--precision", "fast"];
    refuse(&trace, at, "--gradients: is computed exactly");
    assert!(!at.join("t.safetensors").exists());
}

#[test]
fn command_line_tokenizer_trains_encodes_and_decodes() {
    let place = workplace();
    let at = place.path();
    fs::write(at.join("a.txt"), "the cat and the hat and the bat ".repeat(20)).unwrap();
    succeed(&["tokenizer", "train", "--data", "a.txt", "--vocab-size", "270", "--out", "tok"], at);
    let ids = text(&succeed(&["tokenizer", "encode", "tok", "--text", "the bat, née €"], at).stdout);
    let decoded = succeed(&["tokenizer", "decode", "tok", ids.trim()], at);
    assert_eq!(text(&decoded.stdout), "the bat, née €");
    let shown = text(&succeed(&["tokenizer", "encode", "tok", "--text", "the", "--show"], at).stdout);
    assert_eq!(shown, "\"the\"\n");
    refuse(&["tokenizer", "decode", "tok", "12 x"], at, "\"x\" is not a token id");
    refuse(&["tokenizer", "decode", "tok", "270"], at, "270");
    refuse(&["tokenizer", "encode", "nowhere", "--text", "a"], at, "nowhere");
}

#[test]
fn command_line_tokenizer_learns_the_words_of_a_task() {
    let place = tempfile::tempdir().unwrap();
    let train = ["tokenizer", "train", "--data", "builtin", "--harmony", "--vocab-size", "2048", "--task"];
    succeed(&[&train[..], &["arithmetic", "--out", "tok"]].concat(), place.path());
    let encode = ["tokenizer", "encode", "tok", "--show", "--text", "What is 347 + 285? How many coins?"];
    let shown = text(&succeed(&encode, place.path()).stdout);
    let expected = r#""What" " is" " " "3" "4" "7" " +" " " "2" "8" "5" "?" " How" " many" " coins" "?""#;
    assert_eq!(shown.trim(), expected, "words are tokens, and so is each digit");
    for word in ["system", "user", "assistant", "analysis", "final", "python", "print"] {
        let shown = text(&succeed(&["tokenizer", "encode", "tok", "--show", "--text", word], place.path()).stdout);
        assert_eq!(shown.trim(), format!("{word:?}"), "a word of a header is one token");
    }
    refuse(&[&train[..], &["chess", "--out", "x"]].concat(), place.path(), "[possible values: arithmetic]");
}

/// A corpus of few words fills few entries; the model's other rows are never drawn, and the run says how many.
#[test]
fn command_line_trains_with_more_rows_than_tokens() {
    let place = workplace();
    fs::write(place.path().join("text.txt"), "the cat sat on the mat. ".repeat(100)).unwrap();
    let wide = fs::read_to_string(place.path().join("small.json")).unwrap().replace("300", "5000");
    fs::write(place.path().join("small.json"), wide).unwrap();
    let data = ["--data", "text.txt", "--eval-data", "text.txt", "--steps", "2", "--eval-every", "1", "--out", "run"];
    let output = succeed(&train(&data), place.path());
    assert!(text(&output.stderr).contains("the model room for 5,000: the rest stays unused"), "{output:?}");
    succeed(&["generate", "run", "--temperature", "9", "--max-new-tokens", "20"], place.path());
}

/// Quantizing to MXFP4 and back, from every layout.
#[test]
fn command_line_quantizes_and_quantizing_again_changes_no_byte() {
    let place = tempfile::tempdir().unwrap();
    for name in ["plain_of_blocks", "bf16", "bf16_sharded", "mxfp4", "mxfp4_yarn", "original"] {
        let from = match name {
            "plain_of_blocks" => f32_model(place.path()),
            _ => reference_path(&format!("checkpoints/{name}")).display().to_string(),
        };
        let out = |step: &str| format!("{name}-{step}");
        succeed(&["quantize", &from, &out("once")], place.path());
        succeed(&["quantize", &out("once"), &out("twice")], place.path());
        succeed(&["quantize", &out("once"), &out("wide"), "--to", "bf16"], place.path());
        succeed(&["quantize", &out("wide"), &out("again")], place.path());
        for step in ["twice", "again"] {
            for file in ["model.safetensors", "config.json"] {
                let read = |step: &str| fs::read(place.path().join(out(step)).join(file)).unwrap();
                assert!(read("once") == read(step), "{name}: {file} is another after {step}");
            }
        }
        // The same numbers in both forms: the same trace.
        let trace = |step: &str, more: &[&str]| {
            let model = out(step);
            succeed(&[&["trace", &model, "--tokens", "5,17,3,60"], more].concat(), place.path())
        };
        trace("once", &["--out", "once.safetensors"]);
        trace("wide", &["--compare", "once.safetensors", "--tolerance", "1e-5"]);
        // What was quantized already is the same model.
        if ["mxfp4", "mxfp4_yarn", "original"].contains(&name) {
            succeed(
                &["trace", &from, "--tokens", "5,17,3,60", "--compare", "once.safetensors", "--tolerance", "1e-6"],
                place.path(),
            );
        }
    }
    refuse(&["quantize", "bf16-once", "mxfp4-once"], place.path(), "already holds something");
    // In OpenAI's layout and in shards, from a tied model too: the same trace.
    succeed(&["quantize", "f32", "shards", "--layout", "openai", "--max-shard-size", "50kB"], place.path());
    assert!(place.path().join("shards/model.safetensors.index.json").exists());
    succeed(&["quantize", "f32", "whole"], place.path());
    succeed(&["trace", "whole", "--tokens", "5,17,3,60", "--out", "whole.safetensors"], place.path());
    let compared =
        ["trace", "shards", "--tokens", "5,17,3,60", "--compare", "whole.safetensors", "--tolerance", "1e-5"];
    succeed(&compared, place.path());
    refuse(&["quantize", "f32", "out", "--max-shard-size", "5 apples"], place.path(), "as in 5GB");
    let narrow = reference_path("checkpoints/plain").display().to_string();
    refuse(&["quantize", &narrow, "out"], place.path(), "rows of 16 numbers are not whole blocks of 32");
    let windows = reference_path("checkpoints/wide_window").display().to_string();
    let openai = ["quantize", &windows, "out", "--to", "bf16", "--layout", "openai"];
    refuse(&openai, place.path(), "which a config.json in OpenAI's layout cannot express");
    assert!(!place.path().join("out").exists(), "nothing is written");
}

/// A trained model whose rows are whole blocks.
fn f32_model(place: &Path) -> String {
    let config = ModelConfig {
        layers: 2,
        windows: vec![Some(16), None],
        hidden_size: 64,
        intermediate_size: 32,
        ..ModelConfig::nano()
    };
    let model = ossia::model::Transformer::random(&config, 3);
    ossia::checkpoint::save_weights(&model, &place.join("f32")).unwrap();
    "f32".into()
}

#[test]
fn command_line_inspects_models_and_presets() {
    let place = tempfile::tempdir().unwrap();
    let shown = |model: &str| text(&succeed(&["inspect", model, "--context", "64"], place.path()).stdout);
    let large = shown("gpt-oss-20b");
    // OpenAI's model card: 20.91 B parameters, 3.61 B active, 19.12 B in the MLPs, 0.64 B in attention, 12.8 GiB.
    for figure in ["20,914,757,184", "3.61 B per token", "19,116,933,120", "637,203,456", "12.82 GiB", "73.4 %"] {
        assert!(large.contains(figure), "{figure} in\n{large}");
    }
    let larger = shown("gpt-oss-120b");
    for figure in ["116,829,156,672", "5.13 B per token", "114,701,598,720", "955,805,184", "60.77 GiB", "73.4 %"] {
        assert!(larger.contains(figure), "{figure} in\n{larger}");
    }
    let quantized = shown(reference_path("checkpoints/mxfp4").to_str().unwrap());
    assert!(quantized.lines().any(|line| line.starts_with("experts") && line.contains(" %")), "{quantized}");
    refuse(&["inspect", "gpt-oss-7b"], place.path(), "no such directory");
}

#[test]
fn command_line_gives_the_same_bits_with_one_thread_and_two() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "8", "--out", "one", "--threads", "1"]), at);
    succeed(&train(&["--steps", "8", "--out", "two", "--threads", "2"]), at);
    assert_eq!(losses(&at.join("one")), losses(&at.join("two")));
    let weights = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("one"), weights("two"));
}

#[test]
fn command_line_help_teaches() {
    let at = tempfile::tempdir().unwrap();
    for (command, words) in [
        (&["--help"][..], &["MODEL", "train", "generate", "eval", "inspect", "trace", "tokenizer"][..]),
        (&["train", "--help"], &["Example", "--preset", "--resume", "loss.svg", "[default: nano]"]),
        (
            &["generate", "--help"],
            &["Example", "--temperature", "--top-p", "--min-p", "--repetition-penalty", "--seed"],
        ),
        (&["trace", "--help"], &["Example", "router_logits", "--gradients"]),
    ] {
        let help = text(&succeed(command, at.path()).stdout);
        words.iter().for_each(|word| assert!(help.contains(word), "{command:?} explains {word}\n{help}"));
    }
    let output = ossia(&[], at.path());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn command_line_isa_that_is_not_there_is_one_line() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ossia")).args(["inspect", "x"]).env("OSSIA_ISA", "vax").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: OSSIA_ISA=vax: this machine has scalar"));
}

/// Makes `small.json` describe a model whose experts have rows of whole blocks of MXFP4.
fn widen(at: &Path) {
    let config = fs::read_to_string(at.join("small.json")).unwrap();
    let wide = ["\"hidden_size\": ", "\"intermediate_size\": "]
        .into_iter()
        .fold(config, |config, key| config.replace(&format!("{key}16"), &format!("{key}32")));
    fs::write(at.join("small.json"), wide).unwrap();
}
