//! Patches and the files that they change: nothing panics, and what a hunk does not name stays.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::tools::apply_patch::parse::{Change, parse};
use ossia::tools::apply_patch::update::update;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (patch, file) = text.split_once("=====\n").unwrap_or((&text, "a\nb\n"));
    let Ok(changes) = parse(patch) else { return };
    for change in changes {
        if let Change::Update { hunks, .. } = change {
            let fewer: usize = hunks.iter().map(|hunk| hunk.before().len()).sum();
            if let Ok(changed) = update(file, &hunks) {
                assert!(changed.lines().count() + fewer >= file.lines().count());
            }
        }
    }
});
