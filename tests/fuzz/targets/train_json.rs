//! The settings of a run, as someone may have edited them: each is in its range, or the file is refused in one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::train::{RunDirectory, RunSettings};
use std::sync::LazyLock;
use tempfile::TempDir;

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn read(run: &RunDirectory) -> Option<RunSettings> {
    run.read_settings().inspect_err(|error| assert_eq!(error.to_string().lines().count(), 1, "{error}")).ok()
}

fuzz_target!(|text: &[u8]| {
    let run = RunDirectory::new(DIRECTORY.path());
    std::fs::write(run.file("train.json"), text).unwrap();
    let Some(run_settings) = read(&run) else { return };
    let settings = &run_settings.settings;
    for step in [1, settings.warmup, settings.warmup.saturating_add(1), settings.steps / 2, settings.steps, u64::MAX] {
        let rate = settings.learning_rate(step.max(1));
        assert!((0.0..=settings.learning_rate).contains(&rate), "step {step}: {rate}");
    }
    run.write_settings(&run_settings).unwrap();
    assert_eq!(read(&run).as_ref(), Some(&run_settings));
});
