//! Every way in which a checkpoint can be broken: one line that names the file and the tensor, exit code 2.
//!
//! Book: [weights](../../book/src/weights.md)

mod directories;
mod files;
mod tensors;
mod wild;

use crate::common::reference_path;
use ossia::checkpoint;
use ossia::generate::trace::trace;
use ossia::generate::{Generator, Sampling};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A copy of a reference checkpoint, to be damaged.
struct Broken {
    directory: tempfile::TempDir,
}

impl Broken {
    fn copy(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(reference_path(&format!("checkpoints/{name}"))).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("reference.safetensors") {
                fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        Self { directory }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Changes the bytes of a file.
    fn bytes(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(file)).unwrap();
        change(&mut bytes);
        fs::write(self.path(file), bytes).unwrap();
    }

    /// Changes a JSON file.
    fn json(&self, file: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut json: Value = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        change(json.as_object_mut().unwrap());
        fs::write(self.path(file), json.to_string()).unwrap();
    }

    /// Replaces the text of the header of a safetensors file; the data behind it stays.
    fn header_text(&self, file: &str, change: impl FnOnce(String) -> String) {
        self.bytes(file, |bytes| {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let header = change(String::from_utf8(bytes[8..8 + length].to_vec()).unwrap());
            let data = bytes.split_off(8 + length);
            *bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        });
    }

    /// Changes the header of a safetensors file.
    fn header(&self, file: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        self.header_text(file, |text| {
            let mut header: Value = serde_json::from_str(&text).unwrap();
            change(header.as_object_mut().unwrap());
            header.to_string()
        });
    }

    /// Writes a file anew with a changed set of tensors: offsets are right again.
    fn tensors(&self, file: &str, change: impl FnOnce(&mut Vec<Tensor>)) {
        let bytes = fs::read(self.path(file)).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let mut tensors: Vec<Tensor> = header
            .iter()
            .filter(|(name, _)| *name != "__metadata__")
            .map(|(name, info)| {
                let at = |i: usize| 8 + length + info["data_offsets"][i].as_u64().unwrap() as usize;
                (name.clone(), info["dtype"].clone(), info["shape"].clone(), bytes[at(0)..at(1)].to_vec())
            })
            .collect();
        change(&mut tensors);
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, dtype, shape, bytes) in tensors {
            let end = data.len() + bytes.len();
            header.insert(name, json!({ "dtype": dtype, "shape": shape, "data_offsets": [data.len(), end] }));
            data.extend(bytes);
        }
        let header = Value::Object(header).to_string();
        let file = self.path(file);
        fs::write(file, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()).unwrap();
    }
}

/// Name, type, shape, bytes.
type Tensor = (String, Value, Value, Vec<u8>);

fn find<'t>(tensors: &'t mut [Tensor], name: &str) -> &'t mut Tensor {
    tensors.iter_mut().find(|(found, ..)| found == name).unwrap_or_else(|| panic!("no {name}"))
}

const ONE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const SHARD: &str = "model-00001-of-00003.safetensors";
const NORM: &str = "model.norm.weight";
const CODES: &str = "model.layers.0.mlp.experts.gate_up_proj_blocks";
const SCALES: &str = "model.layers.1.mlp.experts.down_proj_scales";

/// A description, the checkpoint to start from, the damage, and the words that the message must contain.
type Case = (&'static str, &'static str, fn(&Broken), &'static [&'static str]);

/// One case.
macro_rules! case {
    ($name:literal, $from:literal, |$broken:ident| $change:expr, $($expected:expr),+) => {
        ($name, $from, |$broken: &Broken| { $change; }, &[$($expected),+])
    };
}
use case;

fn cases() -> Vec<Case> {
    let files = [files::files(), files::headers()];
    let tensors = [tensors::tensors(), tensors::quantized()];
    let directories = [directories::sharded(), directories::configured(), directories::original()];
    [files.concat(), tensors.concat(), directories.concat()].concat()
}

#[test]
fn malformed_checkpoints_are_refused_in_one_line() {
    let all = cases();
    assert!(all.len() >= 60, "{} cases", all.len());
    let names: std::collections::BTreeSet<_> = all.iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), all.len(), "a name stands there twice");
    let mut wrong = Vec::new();
    for (name, from, damage, expected) in all {
        let broken = Broken::copy(from);
        damage(&broken);
        if let Err(message) = refused(broken.directory.path(), expected) {
            wrong.push(format!("{name}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn refused(directory: &Path, expected: &[&str]) -> Result<(), String> {
    let run = Command::new(env!("CARGO_BIN_EXE_ossia")).arg("inspect").arg(directory).output().unwrap();
    let message = String::from_utf8(run.stderr).unwrap();
    let all = expected.iter().all(|part| message.contains(part));
    match run.status.code() == Some(2) && message.trim_end().lines().count() == 1 && run.stdout.is_empty() && all {
        true => Ok(()),
        false => Err(format!("exit {:?}, expected {expected:?}, found {message}", run.status.code())),
    }
}

/// Opening reads headers only, so a scale that is not a number is found when the weight is used.
#[test]
fn malformed_scales_are_found_when_they_are_used() {
    for (from_the_end, expected) in [(false, "scale 17 is 255"), (true, "is 255, which is not a number")] {
        let broken = Broken::copy("mxfp4");
        broken.tensors(ONE, |tensors| {
            let scales = &mut find(tensors, SCALES).3;
            let at = if from_the_end { scales.len() - 1 } else { 17 };
            scales[at] = 255;
        });
        let directory = broken.directory.path();
        let model = checkpoint::load(directory).unwrap();
        let found = |error: ossia::error::Error| {
            let message = error.to_string();
            assert!([ONE, SCALES, expected].iter().all(|part| message.contains(part)), "{message}");
        };
        found(checkpoint::check(&model).unwrap_err());
        found(trace(&model, &[1, 2, 3], false).unwrap_err());
        // Some tokens visit the damaged expert, and NaN reaches their logits. The others do not need it.
        let failed: Vec<_> =
            (0..64).filter_map(|token| Generator::new(&model, &[token], Sampling::default()).err()).collect();
        assert!((1..64).contains(&failed.len()), "{} of 64 tokens fail", failed.len());
        failed.into_iter().for_each(found);
        found(checkpoint::save_weights(&model, &directory.join("copy")).unwrap_err());
    }
}

/// The undamaged ones open: what is refused above is the damage.
#[test]
fn malformed_checkpoints_start_from_good_ones() {
    for name in ["bf16", "bf16_sharded", "mxfp4", "original", "plain"] {
        let copy = Broken::copy(name);
        copy.tensors(if name == "bf16_sharded" { SHARD } else { ONE }, |_| {});
        let run = Command::new(env!("CARGO_BIN_EXE_ossia")).arg("inspect").arg(copy.directory.path()).output().unwrap();
        assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

/// An error keeps the error that caused it, for programs that print the chain.
#[test]
fn malformed_files_give_errors_that_keep_their_source() {
    let broken = Broken::copy("plain");
    broken.header_text(ONE, |header| header.replacen('{', "[", 1));
    let error = checkpoint::load(broken.directory.path()).err().unwrap();
    let source = std::error::Error::source(&error).expect("the error of the safetensors crate");
    assert!(error.to_string().contains(&source.to_string()), "{error}: {source}");
}
