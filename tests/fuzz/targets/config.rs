//! Any text is a configuration whose numbers can be computed with, or one line. A configuration is written and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::config::ModelConfig;
use ossia::layers::Rotary;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn read(path: &Path, text: &[u8]) -> Option<ModelConfig> {
    std::fs::write(path, text).unwrap();
    ModelConfig::load(path).inspect_err(|error| assert_eq!(error.to_string().lines().count(), 1, "{error}")).ok()
}

fuzz_target!(|text: &[u8]| {
    let path = DIRECTORY.path().join("config.json");
    let Some(config) = read(&path, text) else { return };
    if config.head_dim < 10_000 {
        let rotary = Rotary::new(&config);
        assert!(rotary.concentration().is_finite());
        assert!(rotary.inverse_frequencies().iter().all(|frequency| frequency.is_finite()));
    }
    let again = read(&path, config.to_json().as_bytes()).expect("what is written can be read");
    assert_eq!(again.to_json(), config.to_json());
    if let Ok(text) = config.to_openai_json() {
        read(&path, text.as_bytes()).expect("what is written in OpenAI's layout can be read");
    }
});
