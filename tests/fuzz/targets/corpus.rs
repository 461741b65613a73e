//! A file with texts: whatever its name says it is, its documents are not empty, and each line is used once at most.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::data::Corpus;
use std::sync::LazyLock;
use tempfile::TempDir;

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fuzz_target!(|bytes: &[u8]| {
    for name in ["text.txt", "lines.jsonl", "items.json"] {
        let path = DIRECTORY.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        match Corpus::read(&[&path], "text") {
            Ok(corpus) => {
                assert!(!corpus.documents.is_empty() && corpus.documents.iter().all(|text| !text.trim().is_empty()));
                assert!(corpus.documents.iter().map(String::len).sum::<usize>() <= bytes.len());
                assert!(corpus.skipped.iter().all(|skipped| skipped.to_string().lines().count() == 1));
                let lines: Vec<usize> = corpus.skipped.iter().map(|skipped| skipped.line).collect();
                assert!(lines.is_sorted(), "{lines:?}");
            }
            Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
        }
    }
});
