//! `ossia tokenizer prepare`, and runs on what it writes.

use super::{ossia, refuse, succeed, text, workplace};
use ossia::checkpoint::{TensorFile, TensorToWrite, write_tensors};
use std::borrow::Cow;
use std::fs;

const RUN: [&str; 10] =
    ["train", "--config", "small.json", "--steps", "4", "--context", "16", "--batch-size", "2", "--accumulate"];

#[test]
fn command_line_prepared_text_trains_as_its_text_does() {
    let place = workplace();
    let at = place.path();
    let said = succeed(
        &["tokenizer", "prepare", "--data", "builtin", "--stories", "60", "--vocab-size", "300", "--out", "p"],
        at,
    );
    assert!(text(&said.stderr).ends_with("train with: ossia train --data p\n"));
    succeed(&[&RUN[..], &["2", "--data", "p", "--out", "prepared"]].concat(), at);
    succeed(&[&RUN[..], &["2", "--stories", "60", "--out", "text"]].concat(), at);
    succeed(&[&RUN[..], &["1", "--ranks", "2", "--data", "p", "--out", "ranks"]].concat(), at);
    for run in ["text", "ranks"] {
        for file in ["model.safetensors", "state.safetensors", "samples.txt"] {
            let [a, b] = ["prepared", run].map(|run| fs::read(at.join(run).join(file)).unwrap());
            assert!(a == b, "{run}/{file}");
        }
    }
    succeed(&["train", "--resume", "--out", "prepared", "--steps", "5"], at);

    for (flag, value) in [("--stories", "9"), ("--validation-fraction", "0.5")] {
        let arguments = [&RUN[..], &["1", "--data", "p", "--out", "x", flag, value]].concat();
        refuse(&arguments, at, &format!("error: p: is prepared text: {flag} has no effect on it"));
    }
    refuse(
        &["tokenizer", "prepare", "--data", "builtin", "--out", "p"],
        at,
        "p: already holds something; choose another",
    );
    fs::remove_dir_all(at.join("p")).unwrap();
    refuse(&["train", "--resume", "--out", "prepared", "--steps", "9"], at, "p: cannot read");
}

/// An id without a row is noticed when its window is read.
#[test]
fn command_line_prepared_text_with_an_id_beyond_the_model() {
    let place = workplace();
    let at = place.path();
    succeed(&["tokenizer", "prepare", "--data", "builtin", "--stories", "60", "--vocab-size", "300", "--out", "p"], at);
    let path = at.join("p/tokens.safetensors");
    let file = TensorFile::open(&path).unwrap();
    let tensor = |name: &str, bytes: Vec<u8>| {
        let entry = file.entry(name).unwrap();
        let write = TensorToWrite {
            dtype: entry.dtype,
            shape: entry.shape.clone(),
            bytes: Box::new(move || Cow::Owned(bytes.clone())),
        };
        (name.to_string(), write)
    };
    let ids = [1, 255].repeat(file.entry("ids").unwrap().shape[0]);
    let index = file.entry("beginnings").unwrap().bytes.to_vec();
    let metadata: Vec<(&str, String)> =
        file.metadata().iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    write_tensors(&path, [tensor("ids", ids), tensor("beginnings", index)], &metadata).unwrap();
    for ranks in ["1", "2"] {
        let run = format!("run{ranks}");
        let output = ossia(&[&RUN[..], &["1", "--ranks", ranks, "--data", "p", "--out", &run]].concat(), at);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        let last = message.lines().last().unwrap();
        assert_eq!(last, "error: the training text has id 65281, but the model has only 300 rows");
    }
}
