//! The machine on which a benchmark runs, and the commit that it measures.

use ossia::kernels;
use std::process::Command;

/// The processor, the instruction set, what else runs, and the commit.
pub struct Machine {
    pub processor: String,
    pub isa: &'static str,
    pub load: String,
    pub commit: String,
}

impl Machine {
    /// Asks the system. What it does not say is `unknown`.
    pub fn here() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let git = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
        let commit = git.ok().filter(|git| git.status.success()).and_then(|git| String::from_utf8(git.stdout).ok());
        Self {
            processor: model.unwrap_or(std::env::consts::ARCH).to_string(),
            isa: kernels::selected().map_or("no instruction set", |isa| isa.name()),
            load: load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_string(),
            commit: commit.map_or("unknown".into(), |commit| commit.trim().to_string()),
        }
    }
}
