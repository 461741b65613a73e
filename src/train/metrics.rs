//! The metrics of a step, one line of `metrics.jsonl`.

use crate::error::{Error, Result};
use crate::files::{append_line, write_atomically};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A line of `metrics.jsonl`.
pub trait Logged: Serialize + DeserializeOwned {
    /// Returns the step of the line, counted from 1.
    fn step(&self) -> u64;

    /// Appends the line to `metrics.jsonl`.
    ///
    /// # Errors
    /// Those of the operating system.
    fn append(&self, path: &Path) -> Result<()> {
        append_line(path, &serde_json::to_string(self).expect("plain numbers"))
    }
}

impl Logged for Metrics {
    fn step(&self) -> u64 {
        self.step
    }
}

/// One logged step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The step, counted from 1.
    pub step: u64,
    /// The number of tokens trained on so far.
    pub tokens: u64,
    /// The cross-entropy of this step's batch in nats per token, before the step.
    pub loss: f32,
    /// The learning rate of this step.
    pub lr: f64,
    /// The norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens per second since the last logged step.
    pub tokens_per_second: f64,
    /// The load-balancing loss: A if the load is even.
    pub load_balancing: f32,
    /// The cross-entropy of the drafts of this step's batch in nats per token, if the model has a module for multi-token prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_loss: Option<f32>,
    /// The share of all visits that each expert had in this step, over all layers.
    pub expert_load: Vec<f32>,
    /// The validation loss in nats per token, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_loss: Option<f64>,
    /// The lowest loss that any model can reach, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy_floor: Option<f64>,
}

impl Metrics {
    /// Returns how uneven the load of the experts is: the largest share divided by an even share. 1 is even; E means
    /// that one expert gets everything.
    pub fn imbalance(&self) -> f32 {
        self.expert_load.iter().copied().fold(0.0, f32::max) * self.expert_load.len() as f32
    }
}

/// Returns the lines of a `metrics.jsonl`, up to and including step `last`.
///
/// # Errors
/// If the file cannot be read, or a line is malformed.
pub fn read(path: &Path, last: u64) -> Result<Vec<Metrics>> {
    read_logged(path, last)
}

/// Like [`read`], for lines of any kind.
///
/// # Errors
/// Those of [`read`].
pub fn read_logged<M: Logged>(path: &Path, last: u64) -> Result<Vec<M>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(path, "read", e)),
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        match serde_json::from_str::<M>(line) {
            Ok(metrics) if metrics.step() <= last => all.push(metrics),
            Ok(_) => {}
            // A run that was killed may have left half a line at the end.
            Err(_) if number + 1 == lines.len() => {}
            Err(e) => return Err(Error::file(path, format!("line {}: {e}", number + 1)).caused_by(e)),
        }
    }
    Ok(all)
}

/// Drops the lines after step `last`, which a resumed run logs again.
///
/// # Errors
/// Those of [`read`] and of the operating system.
pub fn truncate<M: Logged>(path: &Path, last: u64) -> Result<()> {
    let lines = read_logged::<M>(path, last)?
        .iter()
        .map(|m| serde_json::to_string(m).expect("plain numbers") + "\n")
        .collect::<String>();
    write_atomically(path, lines.as_bytes())
}
