//! Runs of models that are so small that they train in a blink.

use ossia::config::ModelConfig;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A directory with a small architecture as `small.json`, and one without experts as `dense.json`.
pub fn workplace() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let small = ModelConfig {
        layers: 2,
        windows: vec![Some(16), None],
        hidden_size: 16,
        heads: 2,
        kv_heads: 1,
        head_dim: 8,
        vocab_size: 300,
        experts: 4,
        intermediate_size: 16,
        context: 48,
        ..ModelConfig::nano()
    };
    let dense = ModelConfig { dense_layers: vec![0, 1], dense_intermediate_size: 16, ..small.clone() };
    for (name, config) in [("small.json", small), ("dense.json", dense)] {
        fs::write(directory.path().join(name), config.to_json()).unwrap();
    }
    directory
}

/// (step, loss, norm, validation loss) of every logged step, as text: equal text is equal bits.
pub fn losses(run: &Path) -> Vec<String> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let numbers = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        format!("{} {} {} {}", value["step"], value["loss"], value["grad_norm"], value["eval_loss"])
    };
    lines.lines().map(numbers).collect()
}
