//! `ossia train --lora`, `--adapter` and `ossia merge`.

use super::widen;
use super::{losses, ossia, refuse, succeed, text, train, workplace};
use std::fs;
use std::path::Path;

/// The last validation loss of a run.
fn last_loss(run: &Path) -> f64 {
    losses(run).last().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// What `ossia eval` measures, in nats per token.
fn measured(arguments: &[&str], at: &Path) -> f64 {
    let output = text(
        &succeed(&[&["eval"], arguments, &["--data", "builtin", "--context", "16", "--tell", "1"]].concat(), at).stdout,
    );
    output.lines().nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

const LORA: [&str; 16] = [
    "train",
    "--init",
    "first",
    "--lora",
    "2",
    "--stories",
    "40",
    "--context",
    "16",
    "--batch-size",
    "2",
    "--log-every",
    "1",
    "--learning-rate",
    "0.05",
    "--accumulate",
];

#[test]
fn command_line_lora_trains_an_adapter_beside_its_model() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "3", "--out", "first"]), at);
    let file = |run: &str, name: &str| fs::read(at.join(run).join(name)).unwrap();
    let before = file("first", "model.safetensors");
    let run = |more: &[&str]| succeed(&[&LORA[..], more].concat(), at);
    let said = run(&["2", "--steps", "4", "--save-every", "2", "--eval-data", "builtin", "--out", "whole"]);
    let said = text(&said.stderr);
    assert!(said.contains(" (frozen; ") && said.contains(" of LoRA beside attention, experts)"), "{said}");
    assert!(said.contains("more: ossia generate ") && said.contains("first --adapter whole"), "{said}");
    assert!(before == file("first", "model.safetensors"));
    assert!(!at.join("whole/model.safetensors").exists() && !at.join("whole/best/model.safetensors").exists());
    for name in ["adapter_config.json", "adapter_model.safetensors", "best/adapter_model.safetensors"] {
        assert!(at.join("whole").join(name).exists(), "{name}");
    }
    assert!(text(&file("whole", "README.md")).contains("ossia merge MODEL . merged"));

    // It resumes, and ranks divide it, bit for bit.
    run(&["2", "--steps", "2", "--schedule", "constant", "--out", "parts"]);
    succeed(&["train", "--resume", "--out", "parts", "--steps", "4"], at);
    run(&["2", "--steps", "4", "--schedule", "constant", "--out", "one"]);
    run(&["1", "--ranks", "2", "--steps", "4", "--schedule", "constant", "--out", "ranks"]);
    run(&["1", "--ranks", "2", "--expert-parallel", "2", "--steps", "4", "--schedule", "constant", "--out", "spread"]);
    for other in ["parts", "ranks", "spread"] {
        for name in ["adapter_model.safetensors", "state.safetensors"] {
            assert!(file("one", name) == file(other, name), "{other}/{name}");
        }
    }

    // Beside its model and merged into it, the adapter has the effect that training measured.
    let beside = measured(&["first", "--adapter", "whole"], at);
    assert!((beside - last_loss(&at.join("whole"))).abs() < 2e-3, "{beside} {}", last_loss(&at.join("whole")));
    succeed(&["merge", "first", "whole", "merged"], at);
    succeed(&["merge", "first", "whole", "halved", "--dtype", "bf16"], at);
    let alone = measured(&["first"], at);
    assert!((measured(&["merged"], at) - beside).abs() < 2e-4);
    assert!((measured(&["halved"], at) - beside).abs() < 0.02);
    assert!(beside < alone - 0.1, "{beside} {alone}");
    assert!(file("merged", "tokenizer.json") == file("first", "tokenizer.json"));
    let trace = |name: &str, more: &[&str]| {
        succeed(&[&["trace", name, "--tokens", "1,2,3,4", "--out", "t.safetensors"], more].concat(), at);
    };
    trace("merged", &[]);
    let compare = ["trace", "first", "--tokens", "1,2,3,4", "--compare", "t.safetensors"];
    succeed(&[&compare[..], &["--adapter", "whole"]].concat(), at);
    assert_eq!(ossia(&compare, at).status.code(), Some(2), "without the adapter, the model is another one");
}

#[test]
fn command_line_lora_leaves_mxfp4_in_its_file() {
    let place = workplace();
    let at = place.path();
    widen(at);
    succeed(&train(&["--steps", "3", "--out", "dense"]), at);
    succeed(&["quantize", "dense", "first"], at);
    let said = text(&succeed(&[&LORA[..], &["1", "--steps", "3", "--out", "run"]].concat(), at).stderr);
    assert!(!said.contains("become f32"), "{said}");
    succeed(&["train", "--resume", "--out", "run", "--steps", "4"], at);
    succeed(&["merge", "first", "run", "merged"], at);
    succeed(&["quantize", "merged", "again"], at);
    let [beside, merged] = [measured(&["first", "--adapter", "run"], at), measured(&["merged"], at)];
    assert!((beside - merged).abs() < 2e-4, "{beside} {merged}");
}

#[test]
fn command_line_lora_that_does_not_fit_is_refused() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "1", "--out", "first"]), at);
    succeed(&train(&["--config", "dense.json", "--steps", "1", "--out", "dense"]), at);
    succeed(&[&LORA[..], &["1", "--steps", "1", "--lora-target", "experts", "--out", "run"]].concat(), at);
    let lora = |more: &[&'static str]| [&["train", "--out", "x", "--init", "first", "--lora"], more].concat();
    let cases = [
        (lora(&["2", "--lora-target", "head"]), "error: --lora-target head: this model has none"),
        (lora(&["2", "--lora-target", "bias"]), "expected attention, experts, router or head, not \"bias\""),
        (lora(&["0"]), "0 is not in 1..=65535"),
        (lora(&["2", "--lora-alpha", "0"]), "error: --lora-alpha 0: expected more than 0"),
        (lora(&["2", "--freeze", "norm"]), "cannot be used with"),
        (vec!["train", "--lora", "2"], "--init"),
        (vec!["generate", "dense", "--adapter", "run"], "is it the adapter of another one?"),
        (vec!["generate", "first", "--adapter", "first"], "adapter_config.json: cannot read"),
        (vec!["generate", "run"], "belongs to a LoRA adapter"),
        (vec!["merge", "dense", "run", "merged"], "is it the adapter of another one?"),
        (vec!["merge", "first", "run", "dense"], "dense: already holds something; choose another directory"),
        (
            vec!["trace", "first", "--tokens", "1", "--out", "t", "--gradients", "--adapter", "run"],
            "cannot be used with",
        ),
    ];
    for (arguments, expected) in cases {
        refuse(&arguments, at, expected);
    }
    assert!(!at.join("x").exists() && !at.join("merged").exists());
}
