//! A history of measurements: `cargo bench --bench engine -- --history=FILE` appends one line of JSON, and compares it with the
//! line before it from the same kind of machine.

use crate::machine::Machine;
use serde_json::{Map, Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A rate that differs from the one before by more than this is worth a look. Machines are noisy.
const NOTABLE: f64 = 0.1;

/// The rates that this run has measured, and the file that they will be appended to.
pub struct History {
    path: PathBuf,
    rates: Map<String, Value>,
}

impl History {
    /// Creates an empty line for the history in `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, rates: Map::new() }
    }

    /// Adds a rate; more is better.
    pub fn add(&mut self, name: &str, rate: f64) {
        self.rates.insert(name.to_string(), json!((rate * 1e3).round() / 1e3));
    }

    /// Prints the rates that have changed since the line before, and appends this line.
    pub fn write(self, machine: &Machine) -> std::io::Result<()> {
        let same = |line: &Value| line["processor"] == *machine.processor && line["isa"] == *machine.isa;
        if let Some(before) = lines(&self.path)?.into_iter().rev().find(same) {
            self.compare(&before);
        }
        let line = json!({
            "processor": machine.processor, "isa": machine.isa, "load": machine.load, "commit": machine.commit,
            "rates": self.rates,
        });
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        writeln!(file, "{line}")
    }

    fn compare(&self, before: &Value) {
        let ratio =
            |(name, now): (&String, &Value)| Some((name.clone(), now.as_f64()? / before["rates"][name].as_f64()?));
        let ratios: Vec<(String, f64)> = self.rates.iter().filter_map(ratio).collect();
        println!("\nsince commit {}, load {}:", before["commit"], before["load"]);
        let changed: Vec<_> = ratios.iter().filter(|(_, ratio)| (ratio - 1.0).abs() > NOTABLE).collect();
        changed.iter().for_each(|(name, ratio)| println!("{name:<44} {ratio:>6.2}×"));
        println!("{} of {} rates changed by more than {:.0} %", changed.len(), ratios.len(), 100.0 * NOTABLE);
    }
}

/// The lines of a history that does not have to exist.
fn lines(path: &Path) -> std::io::Result<Vec<Value>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(std::fs::read_to_string(path)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
