//! `ossia train --mtp` and `--draft`.

use super::{losses, refuse, succeed, text, train, workplace};
use std::fs;
use std::path::Path;

fn greedy(arguments: &[&str], at: &Path) -> String {
    let usual = ["--prompt", "Once upon", "-n", "30", "--temperature", "0"];
    text(&succeed(&[&["generate"][..], arguments, &usual].concat(), at).stdout)
}

#[test]
fn command_line_drafts_leave_greedy_texts_as_they_are() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "4", "--mtp", "1", "--out", "a"]), at);
    succeed(&train(&["--steps", "4", "--mtp", "1", "--mtp-weight", "0", "--out", "b"]), at);
    assert!(losses(&at.join("a")) != losses(&at.join("b")), "the weight has an effect");
    let metrics = fs::read_to_string(at.join("a/metrics.jsonl")).unwrap();
    assert!(metrics.lines().all(|line| line.contains("\"draft_loss\":")), "{metrics}");
    let plain = greedy(&["a"], at);
    assert!(plain.len() > 20, "{plain}");
    for drafter in [&["--draft", "mtp"][..], &["--draft", "b", "--draft-tokens", "5"], &["--draft", "a"]] {
        assert_eq!(greedy(&[&["a"], drafter].concat(), at), plain, "{drafter:?}");
    }
    let told = succeed(&["generate", "a", "--draft", "a", "-n", "9", "--prompt", "Once"], at).stderr;
    assert!(text(&told).contains("tokens per pass, "), "{}", text(&told));
}

/// A run with the module resumes and continues from a model without one, and `ossia quantize` keeps it.
#[test]
fn command_line_drafts_module_goes_where_the_model_goes() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "4", "--mtp", "1", "--out", "whole"]), at);
    succeed(&train(&["--steps", "2", "--mtp", "1", "--schedule", "constant", "--out", "stopped"]), at);
    succeed(&["train", "--resume", "--out", "stopped", "--steps", "4"], at);
    succeed(
        &train(&["--steps", "4", "--mtp", "1", "--schedule", "constant", "--warmup", "1", "--out", "constant"]),
        at,
    );
    assert_eq!(losses(&at.join("stopped")).len(), 4);
    for file in ["model.safetensors", "mtp.safetensors"] {
        assert!(
            fs::read(at.join("stopped").join(file)).unwrap() == fs::read(at.join("constant").join(file)).unwrap(),
            "{file} of a resumed run"
        );
    }
    succeed(&train(&["--steps", "2", "--out", "without"]), at);
    succeed(
        &[
            "train",
            "--init",
            "without",
            "--mtp",
            "1",
            "--stories",
            "40",
            "--context",
            "16",
            "--steps",
            "2",
            "--out",
            "with",
        ],
        at,
    );
    for model in ["whole", "with"] {
        let out = format!("{model}-copy");
        succeed(&["quantize", model, &out, "--to", "bf16"], at);
        let told = text(&succeed(&["inspect", &out], at).stdout);
        assert!(told.contains("multi-token prediction"), "{told}");
        assert_eq!(greedy(&[&out, "--draft", "mtp"], at), greedy(&[&out], at));
    }
}

#[test]
fn command_line_drafts_refuse_what_does_not_fit() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "1", "--out", "a"]), at);
    succeed(&train(&["--steps", "1", "--stories", "60", "--out", "other"]), at);
    let generate = |more: &[&'static str]| [&["generate", "a", "--prompt", "x", "-n", "3"][..], more].concat();
    refuse(&generate(&["--draft", "mtp"]), at, "--draft mtp: this model has no multi-token prediction");
    refuse(&generate(&["--draft", "other"]), at, "other: has another tokenizer than the model");
    refuse(&generate(&["--draft", "nowhere"]), at, "nowhere: no such directory");
    refuse(&generate(&["--draft", "a", "--samples", "2"]), at, "--draft: expected one text");
    refuse(&generate(&["--draft", "a", "--draft-tokens", "0"]), at, "0 is not in 1..=16");
    refuse(&train(&["--mtp", "2", "--out", "b"]), at, "2 is not in 1..=1");
    refuse(
        &train(&["--mtp-weight", "0.1", "--out", "b"]),
        at,
        "--mtp-weight: this model has no multi-token prediction",
    );
    refuse(&train(&["--mtp", "1", "--mtp-weight", "-1", "--out", "b"]), at, "--mtp-weight -1: expected 0 or more");
    refuse(
        &train(&["--mtp", "1", "--accumulate", "2", "--ranks", "2", "--expert-parallel", "2", "--out", "b"]),
        at,
        "--expert-parallel 2: multi-token prediction works without expert parallelism only",
    );
    assert!(!at.join("b").exists());
}
