//! What is known about a step; one line of `metrics.jsonl`.

use crate::error::{Error, Result};
use crate::files::{append_line, write_atomically};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One logged step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// From 1.
    pub step: u64,
    /// Tokens seen so far.
    pub tokens: u64,
    /// Cross-entropy of this step's batch, nats per token, before the step.
    pub loss: f32,
    /// The learning rate of this step.
    pub lr: f64,
    /// Length of the gradient before clipping.
    pub grad_norm: f64,
    /// Since the last logged step.
    pub tokens_per_second: f64,
    /// The load-balancing loss: A if the load is even.
    pub load_balancing: f32,
    /// Share of all visits that each expert had in this step, of all layers together.
    pub expert_load: Vec<f32>,
    /// Nats per token on the validation text, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_loss: Option<f64>,
    /// What no model can be better than, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy_floor: Option<f64>,
}

impl Metrics {
    /// How uneven the experts' load is: the largest share over an even one. 1 is even, E is all to one.
    pub fn imbalance(&self) -> f32 {
        self.expert_load.iter().copied().fold(0.0, f32::max) * self.expert_load.len() as f32
    }

    /// Adds a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(&self, path: &Path) -> Result<()> {
        append_line(path, &serde_json::to_string(self).expect("plain numbers"))
    }
}

/// The lines of a `metrics.jsonl`, up to and including step `last`.
///
/// # Errors
/// If it cannot be read, or a line is not one of ours.
pub fn read(path: &Path, last: u64) -> Result<Vec<Metrics>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(path, "read", e)),
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        match serde_json::from_str::<Metrics>(line) {
            Ok(metrics) if metrics.step <= last => all.push(metrics),
            Ok(_) => {}
            // A run that was killed may have left half a line at the end.
            Err(_) if number + 1 == lines.len() => {}
            Err(e) => return Err(Error::file(path, format!("line {}: {e}", number + 1))),
        }
    }
    Ok(all)
}

/// Drops what was logged after step `last`: a resumed run logs it again.
///
/// # Errors
/// As [`read`], and what the system says.
pub fn truncate(path: &Path, last: u64) -> Result<()> {
    let lines =
        read(path, last)?.iter().map(|m| serde_json::to_string(m).expect("plain numbers") + "\n").collect::<String>();
    write_atomically(path, lines.as_bytes())
}
