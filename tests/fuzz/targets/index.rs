//! The index of a checkpoint, beside a model in two files: it is read, or refused in one line, and every note is a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::checkpoint::{self, Form, INDEX, Layout, SaveOptions};
use ossia::config::ModelConfig;
use ossia::model::Transformer;
use std::sync::LazyLock;
use tempfile::TempDir;

/// A model of one layer in files of at most 2 kB.
static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| {
    let nano = ModelConfig::nano();
    let config = ModelConfig {
        layers: 1,
        windows: vec![None],
        vocab_size: 8,
        hidden_size: 8,
        head_dim: 4,
        heads: 2,
        kv_heads: 1,
        experts: 2,
        intermediate_size: 8,
        ..nano
    };
    let directory = tempfile::tempdir().unwrap();
    let options = SaveOptions { form: Form::AsItIs, layout: Layout::HuggingFace, shard_bytes: Some(2_048) };
    checkpoint::save_as(&Transformer::random(&config, 0), directory.path(), options).unwrap();
    assert!(directory.path().join("model-00002-of-00002.safetensors").exists());
    directory
});

fuzz_target!(|index: &[u8]| {
    let directory = DIRECTORY.path();
    std::fs::write(directory.join(INDEX), index).unwrap();
    match (checkpoint::load(directory), checkpoint::notes(directory)) {
        (Ok(_), Ok(notes)) => assert!(notes.iter().all(|note| note.lines().count() == 1), "{notes:?}"),
        (Ok(_), Err(error)) => panic!("a model that can be loaded: {error}"),
        (Err(error), _) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
});
