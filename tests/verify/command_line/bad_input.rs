//! Every kind of bad input: one line, exit code 2, nothing written, nothing lost.

use super::{refuse, succeed, train, workplace};
use crate::common::reference_path;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of a reference checkpoint with a tokenizer, to be damaged.
fn copy_of_plain(at: &Path, name: &str) -> PathBuf {
    let to = at.join(name);
    fs::create_dir(&to).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(reference_path("checkpoints/plain").join(file), to.join(file)).unwrap();
    }
    to
}

fn change_config(directory: &Path, key: &str, value: Value) {
    let path = directory.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn command_line_bad_models_are_refused_in_one_line() {
    let place = workplace();
    let at = place.path();
    type Damage = fn(&Path);
    let weights = |d: &Path| d.join("model.safetensors");
    let table: [(&str, Damage, &str); 13] = [
        ("no_config", |d| fs::remove_file(d.join("config.json")).unwrap(), "no_config: has no config.json"),
        (
            "no_weights",
            |d| fs::remove_file(d.join("model.safetensors")).unwrap(),
            "no_weights: has neither model.safetensors nor",
        ),
        ("config_not_json", |d| fs::write(d.join("config.json"), "{").unwrap(), "config.json: not JSON"),
        (
            "config_binary",
            |d| fs::write(d.join("config.json"), [0xff, 0xfe]).unwrap(),
            "config.json: byte 0 is not UTF-8",
        ),
        ("absurd", |d| change_config(d, "hidden_size", 4_000_000.into()), "model.embed_tokens.weight: shape [64, 32]"),
        ("huge", |d| change_config(d, "vocab_size", (1_u64 << 62).into()), "vocab_size is 4611686018427387904"),
        ("layers", |d| change_config(d, "num_hidden_layers", 1.into()), "layer_types has 2 entries"),
        ("quantized", |d| change_config(d, "quantization_config", 1.into()), "quantization_config"),
        (
            "tied",
            |d| change_config(d, "tie_word_embeddings", true.into()),
            "tensor lm_head.weight: differs from the embedding",
        ),
        ("empty", |d| fs::write(d.join("model.safetensors"), "").unwrap(), "not a whole safetensors file"),
        (
            "truncated",
            |d| {
                let bytes = fs::read(d.join("model.safetensors")).unwrap();
                fs::write(d.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
            },
            "not a whole safetensors file",
        ),
        (
            "oversized",
            |d| {
                let bytes = fs::read(d.join("model.safetensors")).unwrap();
                fs::write(d.join("model.safetensors"), [&bytes[..], &[0; 100]].concat()).unwrap();
            },
            "not a whole safetensors file",
        ),
        (
            "header_beyond_the_file",
            |d| fs::write(d.join("model.safetensors"), u64::MAX.to_le_bytes()).unwrap(),
            "not a whole safetensors file",
        ),
    ];
    for (name, damage, expected) in table {
        let directory = copy_of_plain(at, name);
        assert!(weights(&directory).exists());
        damage(&directory);
        refuse(&["inspect", name], at, expected);
        refuse(&["trace", name, "--tokens", "1,2", "--out", "x.safetensors"], at, expected);
        assert!(!at.join("x.safetensors").exists(), "{name}: nothing was written");
    }
}

#[test]
fn command_line_bad_arguments_are_refused_in_one_line() {
    let place = workplace();
    let at = place.path();
    fs::write(at.join("empty.txt"), "").unwrap();
    fs::write(at.join("short.txt"), "A short story.").unwrap();
    fs::write(at.join("two.jsonl"), "{\"text\": \"One.\"}\n{\"text\": \"Two.\"}\n").unwrap();
    fs::write(at.join("latin.txt"), [b'a', 0xe9]).unwrap();
    fs::create_dir(at.join("taken")).unwrap();
    fs::write(at.join("taken/diary.txt"), "dear diary").unwrap();
    fs::write(at.join("file"), "").unwrap();
    succeed(&train(&["--steps", "2", "--out", "run"]), at);
    let copy = copy_of_plain(at, "plain");
    let long = "word ".repeat(200);
    let config = ["train", "--config", "small.json"];
    let with = |more: &[&'static str]| -> Vec<&str> { [&config[..], more].concat() };
    let table: Vec<(Vec<&str>, &str)> = vec![
        (vec!["train", "--data", "nowhere.txt"], "nowhere.txt"),
        (vec!["train", "--data", "empty.txt"], "empty.txt"),
        (with(&["--data", "short.txt"]), "the training data has 5 tokens, expected at least 49"),
        (with(&["--stories", "1"]), "--stories 1: expected 2 or more"),
        (with(&["--stories", "18446744073709551615"]), "expected at most 10000000"),
        (with(&["--clip", "inf"]), "--clip inf: expected more than 0, and finite"),
        (with(&["--accumulate", "99999999"]), "--accumulate 99999999: expected 1 to 65536"),
        (vec!["train", "--preset", "gpt-oss-120b"], "parameters need 1869 GB to be trained"),
        (vec!["inspect", "plain", "--context", "18446744073709551615"], "expected 1 to the model's context, 64"),
        (vec!["trace", "plain", "--tokens", "1,2", "--compare", "x", "--tolerance", "nan"], "--tolerance NaN"),
        (with(&["--data", "two.jsonl"]), "tokens"),
        (vec!["train", "--data", "latin.txt"], "latin.txt"),
        (vec!["train", "--preset", "mega"], "no preset \"mega\"; there are nano"),
        (vec!["train", "--config", "nowhere.json"], "nowhere.json: cannot read"),
        (with(&["--out", "taken"]), "taken: already holds something; choose another --out"),
        (with(&["--out", "run"]), "run: already holds something; go on with --resume, or choose another --out"),
        (with(&["--out", "file/run", "--stories", "30"]), "file/run: cannot create"),
        (vec!["train", "--resume", "--out", "taken"], "taken: holds no run to --resume"),
        (vec!["train", "--resume", "--out", "run", "--seed", "4"], "--seed cannot change with --resume"),
        (with(&["--steps", "0"]), "--steps 0: expected at least 1"),
        (with(&["--batch-size", "0"]), "--batch-size 0: expected at least 1"),
        (with(&["--context", "0"]), "context"),
        (with(&["--learning-rate", "nan"]), "--learning-rate NaN: expected more than 0"),
        (with(&["--learning-rate", "fast"]), "invalid value 'fast'"),
        (with(&["--clip", "0"]), "--clip 0: expected more than 0"),
        (with(&["--balance", "-1"]), "--balance"),
        (with(&["--validation-fraction", "2"]), "fraction"),
        (with(&["--tokenizer", "run/config.json"]), "run/config.json"),
        (vec!["generate", "nowhere"], "nowhere: no such directory"),
        (vec!["generate", "plain"], "tokenizer.json: cannot read"),
        (vec!["generate", "run", "--prompt", &long], "this model's context is 48"),
        (vec!["generate", "run", "--temperature", "-1"], "--temperature"),
        (vec!["generate", "run", "--top-p", "0"], "--top-p 0: expected more than 0, at most 1"),
        (vec!["generate", "run", "--min-p", "7"], "--min-p 7: expected 0 to 1"),
        (vec!["generate", "run", "--repetition-penalty", "0"], "--repetition-penalty 0: expected more than 0"),
        (vec!["generate", "run", "--threads", "0"], "--threads"),
        (vec!["eval", "run", "--data", "nowhere"], "nowhere"),
        (
            vec!["eval", "run", "--data", "builtin", "--context", "99"],
            "--context 99: expected 1 to the model's context, 48",
        ),
        (
            vec!["trace", "plain", "--tokens", "5,64", "--out", "x"],
            "token 64 at position 1 is not in the vocabulary; ids are below 64",
        ),
        (vec!["trace", "plain", "--tokens", "5", "--out", "x"], "at least 2"),
        (vec!["trace", "plain", "--tokens", "5,-1", "--out", "x"], "--tokens"),
        (vec!["trace", "plain", "--tokens", "5,6", "--out", "no/x"], "no/x: cannot write"),
        (vec!["trace", "plain", "--tokens", "5,6"], "--out"),
        (vec!["tokenizer", "train", "--data", "a.txt", "--out", "t"], "a.txt"),
        (vec!["tokenizer", "train", "--data", "short.txt", "--vocab-size", "3", "--out", "t"], "3"),
        (vec!["paint"], "unrecognized subcommand 'paint'"),
        (vec!["inspect"], "required"),
    ];
    for (arguments, expected) in table {
        refuse(&arguments, at, expected);
    }
    assert!(!at.join("x").exists() && !at.join("t").exists() && !at.join("runs").exists(), "nothing was written");
    assert_eq!(fs::read_dir(at.join("taken")).unwrap().count(), 1);
    fs::write(copy.join("tokenizer.json"), fs::read(at.join("run/tokenizer.json")).unwrap()).unwrap();
    refuse(&["generate", "plain"], at, "tokenizer.json: has ids up to 299; config.json's vocab_size is 64");
}
