//! `--profile`: the ops that have a timer are in the table, as often as they ran, and with what is between them they make
//! a whole.

use super::{succeed, text, train, workplace};
use crate::common::reference_path;
use ossia::config::ModelConfig;
use ossia::model::Transformer;

/// (name, calls, share) of every row, and the last columns.
fn rows(output: &str) -> Vec<(String, usize, f64)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let time = cells.iter().position(|&cell| cell == "ms")?;
        // name …, calls, time, "ms", share, "%", …
        let calls = cells[time - 2].parse().ok()?;
        Some((cells[..time - 2].join(" "), calls, cells[time + 1].parse().unwrap()))
    };
    output.lines().filter_map(row).collect()
}

fn calls(rows: &[(String, usize, f64)], name: &str) -> usize {
    rows.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("{name} in {rows:?}")).1
}

#[test]
fn command_line_profiles_a_training_run() {
    let place = workplace();
    let steps = ["--steps", "3", "--eval-every", "100", "--out", "run", "--profile"];
    let output = text(&succeed(&train(&steps), place.path()).stderr);
    let rows = rows(&output);
    // Three steps of a model with two layers, each with two grouped products and two norms, and one norm at the end.
    for (name, expected) in [
        ("cross-entropy + ′", 3),
        ("adamw", 3 * 36), // a call for each parameter
        ("gradient norm", 3),
        ("attention ′", 6),
        ("experts ′w", 12),
        ("rms_norm ′", 15),
        ("embedding ′", 3),
    ] {
        assert_eq!(calls(&rows, name), expected, "{name}\n{output}");
    }
    let between = output.lines().find(|line| line.starts_with("between")).unwrap_or_else(|| panic!("{output}"));
    let between: f64 = between.split_whitespace().rev().nth(1).unwrap().parse().unwrap();
    let shares: f64 = between + rows.iter().map(|row| row.2).sum::<f64>();
    // Each is rounded to a tenth.
    assert!((98.0..=102.0).contains(&shares) && between >= 0.0, "{shares} %\n{output}");
    assert!(output.lines().any(|line| line.starts_with("total") && line.contains("100 %")), "{output}");
    let without = text(&succeed(&train(&["--steps", "1", "--out", "other"]), place.path()).stderr);
    assert!(!without.contains("GFLOP/s"), "{without}");
}

/// Each of two ranks takes part in the exchanges of a step: the counts, the gradients, the losses, the squares and the weights;
/// whether to stop, except after the last step; and those of an evaluation and of a save. Before the first step, it gets the
/// weights, and after the last one, the times of all.
#[test]
fn command_line_profiles_exchanges_of_ranks() {
    let place = workplace();
    let steps = ["--steps", "3", "--eval-every", "100", "--save-every", "100", "--ranks", "2"];
    let output = text(&succeed(&train(&[&steps[..], &["--out", "run", "--profile"]].concat()), place.path()).stderr);
    assert_eq!(calls(&rows(&output), "exchange"), 2 * (1 + 3 * 5 + 2 + 1 + 1 + 1), "{output}");
    assert!(output.contains("the times of all 2 ranks together"), "{output}");
}

#[test]
fn command_line_profiles_prompt_and_text_apart() {
    let place = tempfile::tempdir().unwrap();
    let windows = vec![Some(16), None];
    let sizes = ModelConfig { layers: 2, windows, vocab_size: 640, hidden_size: 32, ..ModelConfig::nano() };
    ossia::checkpoint::save_weights(&Transformer::random(&sizes, 0), &place.path().join("f32")).unwrap();
    succeed(&["quantize", "f32", "model"], place.path());
    std::fs::copy(reference_path("tokenizer/tokenizer.json"), place.path().join("model/tokenizer.json")).unwrap();
    // Of the three new tokens, the last is not run.
    let arguments = ["generate", "model", "--prompt", "\"#$", "--max-new-tokens", "3", "--profile"];
    let output = text(&succeed(&arguments, place.path()).stderr);
    let (prompt, new) = output.split_once("the new text, 3 tokens").unwrap_or_else(|| panic!("{output}"));
    // Two layers with four projections and a router; the output projection once a prompt, and once a token.
    assert_eq!(calls(&rows(prompt), "linear bf16"), 2 * 5 + 1, "{output}");
    assert_eq!(calls(&rows(new), "linear bf16"), 2 * (2 * 5 + 1), "{output}");
    assert_eq!(calls(&rows(new), "experts mxfp4"), 2 * 4, "{output}");
}
