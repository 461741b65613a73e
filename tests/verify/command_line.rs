//! The program as a user runs it: every command, runs that are killed and resumed, and every kind of bad input.

use crate::common::reference_path;
use ossia::config::ModelConfig;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

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

/// An architecture that trains in a blink, as `small.json`.
fn workplace() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let config = ModelConfig {
        layers: 2, windows: vec![Some(16), None], hidden_size: 16, heads: 2, kv_heads: 1, head_dim: 8, vocab_size: 300,
        experts: 4, intermediate_size: 16, context: 48, ..ModelConfig::nano()
    };
    fs::write(directory.path().join("small.json"), config.to_json()).unwrap();
    directory
}

const TRAIN: [&str; 13] = [
    "train", "--config", "small.json", "--stories", "40", "--batch-size", "2", "--log-every", "1", "--save-every", "5",
    "--validation-fraction", "0.1",
];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&TRAIN[..], more].concat()
}

/// (step, loss, eval_loss) of every logged step, as text: equal text is equal bits.
fn losses(run: &Path) -> Vec<String> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let numbers = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        format!("{} {} {} {}", value["step"], value["loss"], value["grad_norm"], value["eval_loss"])
    };
    lines.lines().map(numbers).collect()
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
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "metrics.jsonl", "loss.svg",
        "samples.txt", "train.json", "state.safetensors", "best/model.safetensors", "best/tokenizer.json",
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
    let eval = text(&succeed(&["eval", "run", "--data", "builtin", "--tell", "3"], at).stdout);
    assert!(eval.contains("nats/token") && eval.contains("bits/byte") && eval.contains("entropy floor"), "{eval}");
    let inspect = text(&succeed(&["inspect", "run"], at).stdout);
    assert!(inspect.contains("experts") && inspect.contains("active") && inspect.contains("kv cache"), "{inspect}");
    succeed(&["trace", "run", "--tokens", "5,17,3", "--out", "trace.safetensors", "--gradients"], at);
    let same = ["trace", "run", "--tokens", "5,17,3", "--gradients", "--compare", "trace.safetensors"];
    assert!(text(&succeed(&same, at).stdout).starts_with("all "));
    refuse(&["trace", "run", "--tokens", "5,17,4", "--compare", "trace.safetensors"], at, "tensor embed: number");
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
fn command_line_gives_the_same_bits_with_one_thread_and_two() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "8", "--out", "one", "--threads", "1"]), at);
    succeed(&train(&["--steps", "8", "--out", "two", "--threads", "2"]), at);
    assert_eq!(losses(&at.join("one")), losses(&at.join("two")));
    let weights = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("one"), weights("two"));
}

/// Waits until a file is there.
fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn command_line_killed_and_resumed_equals_uninterrupted_with_one_thread_and_two() {
    let place = workplace();
    let at = place.path();
    let steps = ["--steps", "60", "--eval-every", "20"];
    succeed(&train(&[&steps[..], &["--out", "whole"]].concat()), at);
    for threads in ["1", "2"] {
        let run = format!("killed-{threads}");
        let arguments = train(&[&steps[..], &["--out", &run, "--threads", threads]].concat());
        let mut child = Command::new(env!("CARGO_BIN_EXE_ossia"))
            .args(&arguments)
            .current_dir(at)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&at.join(&run).join("state.safetensors"));
        child.kill().unwrap(); // no chance to clean up
        child.wait().unwrap();
        let before = losses_so_far(&at.join(&run));
        assert!(before < 60, "killed before its end, at step {before}");
        succeed(&["train", "--resume", "--out", &run, "--threads", threads], at);
        assert_eq!(losses(&at.join("whole")), losses(&at.join(&run)), "{threads} threads");
        let weights = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
        assert_eq!(weights("whole"), weights(&run));
        refuse(&["train", "--resume", "--out", &run], at, "is finished: 60 steps; give more with --steps");
    }
}

fn losses_so_far(run: &Path) -> usize {
    fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default().lines().count()
}

#[cfg(unix)]
#[test]
fn command_line_ctrl_c_saves_and_leaves() {
    let place = workplace();
    let at = place.path();
    let child = Command::new(env!("CARGO_BIN_EXE_ossia"))
        .args(train(&["--steps", "100000", "--eval-every", "100000", "--out", "run"]))
        .current_dir(at)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&at.join("run/state.safetensors"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let message = text(&output.stderr);
    assert!(message.contains("everything is saved") && message.contains("ossia train --resume --out run"), "{message}");
    let stopped = losses_so_far(&at.join("run"));
    let more = (stopped + 2).to_string();
    let message = text(&succeed(&["train", "--resume", "--out", "run", "--steps", &more], at).stderr);
    assert!(message.contains(&format!("step {more}/{more}")), "it goes on where it stopped: {message}");
    assert_eq!(losses_so_far(&at.join("run")), stopped + 2);
}

#[cfg(unix)]
#[test]
fn command_line_full_disk_while_saving_loses_nothing() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "3", "--out", "run"]), at);
    let state = || fs::read(at.join("run/state.safetensors")).unwrap();
    let before = state();
    // No file may grow beyond 64 × 512 bytes: the same failed write as on a full disk.
    let resume = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} train --resume --out run --steps 4",
        env!("CARGO_BIN_EXE_ossia")
    );
    let output = Command::new("sh").args(["-c", &resume]).current_dir(at).output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    let last = message.lines().last().unwrap();
    assert!(last.starts_with("error: run/") && last.contains("cannot write"), "{message}");
    assert_eq!(state(), before);
    let left: Vec<PathBuf> = fs::read_dir(at.join("run")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.extension().is_none_or(|e| e != "tmp")), "{left:?}");
    succeed(&["train", "--resume", "--out", "run", "--steps", "4"], at);
}

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
        ("no_config", |d| fs::remove_file(d.join("config.json")).unwrap(), "config.json: cannot read"),
        ("no_weights", |d| fs::remove_file(d.join("model.safetensors")).unwrap(), "model.safetensors: cannot read"),
        ("config_not_json", |d| fs::write(d.join("config.json"), "{").unwrap(), "config.json: not JSON"),
        ("config_binary", |d| fs::write(d.join("config.json"), [0xff, 0xfe]).unwrap(), "config.json: cannot read"),
        ("absurd", |d| change_config(d, "hidden_size", 4_000_000.into()), "model.embed_tokens.weight: shape [64, 32]"),
        ("huge", |d| change_config(d, "vocab_size", (1_u64 << 62).into()), "vocab_size is 4611686018427387904"),
        ("layers", |d| change_config(d, "num_hidden_layers", 1.into()), "layer_types has 2 entries"),
        ("quantized", |d| change_config(d, "quantization_config", 1.into()), "quantization_config"),
        ("tied", |d| change_config(d, "tie_word_embeddings", true.into()), "tensor lm_head.weight: no part of the model"),
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
        (with(&["--data", "short.txt"]), "expected"),
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
        (with(&["--batch-size", "0"]), "a batch of 0 windows"),
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
        (vec!["eval", "run", "--data", "builtin", "--context", "99"], "--context 99: expected 1 to the model's context, 48"),
        (vec!["trace", "plain", "--tokens", "5,64", "--out", "x"], "token 64 at position 1 is not in the vocabulary; ids are below 64"),
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

#[test]
fn command_line_help_teaches() {
    let at = tempfile::tempdir().unwrap();
    for (command, words) in [
        (&["--help"][..], &["MODEL", "train", "generate", "eval", "inspect", "trace", "tokenizer"][..]),
        (&["train", "--help"], &["Example", "--preset", "--resume", "loss.svg", "[default: nano]"]),
        (&["generate", "--help"], &["Example", "--temperature", "--top-p", "--min-p", "--repetition-penalty", "--seed"]),
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
    let output = Command::new(env!("CARGO_BIN_EXE_ossia")).args(["inspect", "x"]).env("OSSIA_ISA", "vax").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: OSSIA_ISA=vax: this machine has scalar"));
}
