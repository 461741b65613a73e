//! The tensors of a model directory, in one file or in several.
//!
//! A single file is `model.safetensors`. Several files have an index, `model.safetensors.index.json`, whose `weight_map` says
//! which file has which tensor. Where the files and the index disagree, transformers follows the files, and so does ossia.

use super::locate::{ADAPTER, MTP_WEIGHTS, WEIGHTS, adapter_message};
use super::names::is_of_mtp;
use super::safetensors::{Entry, TensorFile, TensorToWrite, write_tensors};
use crate::error::{Error, Result};
use crate::files::{read_text, write_atomically};
use crate::stored::Bytes;
use ::safetensors::View;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the index, if there are several files with weights.
pub const INDEX: &str = "model.safetensors.index.json";

/// The tensors of a directory.
pub struct Tensors {
    directory: PathBuf,
    files: Vec<TensorFile>,
    notes: Vec<String>,
}

impl Tensors {
    /// Maps every file, and the one with the module for multi-token prediction if the model has one. If a tensor is in several files, the last one counts, whatever the index says, as in transformers.
    ///
    /// # Errors
    /// One line with the file, and the tensor, that is missing.
    pub fn open(directory: &Path, with_mtp: bool) -> Result<Self> {
        let (single, index) = (directory.join(WEIGHTS), directory.join(INDEX));
        let mut notes = Vec::new();
        let mut files = match (single.exists(), index.exists()) {
            (true, both) => {
                if both {
                    notes.push(format!("there are {WEIGHTS} and {INDEX}: transformers and ossia use {WEIGHTS}"));
                }
                vec![TensorFile::open(single)?]
            }
            (false, true) => shards(&index, &mut notes)?,
            (false, false) => return Err(Error::file(directory, missing_weights(directory))),
        };
        if with_mtp {
            files.push(TensorFile::open(directory.join(MTP_WEIGHTS))?);
        }
        Ok(Self { directory: directory.to_path_buf(), files, notes })
    }

    /// Returns the tensors of a single file whose bytes are in memory.
    ///
    /// # Errors
    /// If its header does not describe exactly what follows.
    pub fn in_memory(bytes: Bytes) -> Result<Self> {
        let files = vec![TensorFile::from_bytes(WEIGHTS, bytes)?];
        Ok(Self { directory: PathBuf::new(), files, notes: Vec::new() })
    }

    /// Returns a line for everything in which the files differ from what their index says.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns a tensor, and the file that has it.
    pub fn get(&self, name: &str) -> Option<(&Entry, &Path)> {
        self.files.iter().rev().find_map(|file| Some((file.entry(name)?, file.path())))
    }

    /// Returns the names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().flat_map(|file| file.names())
    }

    /// Returns an error about a tensor: in the file that has it, or in the directory if no file has it.
    pub fn wrong(&self, name: &str, message: impl std::fmt::Display) -> Error {
        let path = match (self.get(name), self.files.as_slice()) {
            (Some((_, path)), _) => path,
            (None, [file]) => file.path(),
            (None, _) => &self.directory,
        };
        Error::file(path, format!("tensor {name}: {message}"))
    }
}

/// Describes a directory with a `config.json` and without weights.
fn missing_weights(directory: &Path) -> String {
    let has = |name: &str| directory.join(name).exists();
    if has(ADAPTER) {
        return adapter_message(ADAPTER);
    }
    match ["pytorch_model.bin", "pytorch_model.bin.index.json"].into_iter().find(|name| has(name)) {
        Some(name) => format!("has {name} of PyTorch; save the model with save_pretrained, which writes {WEIGHTS}"),
        None => format!("has neither {WEIGHTS} nor {INDEX}; is the download complete?"),
    }
}

/// Opens the files that an index names, in the order of their names.
fn shards(index: &Path, notes: &mut Vec<String>) -> Result<Vec<TensorFile>> {
    let wrong = |message: String| Error::file(index, message);
    let text = read_text(index)?;
    let json: Value = serde_json::from_str(&text).map_err(|e| wrong(format!("not JSON: {e}")).caused_by(e))?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map: &Map<String, Value> = map.ok_or_else(|| wrong("weight_map is missing; expected an object".into()))?;
    let mut files: BTreeMap<&str, TensorFile> = BTreeMap::new();
    for (tensor, file) in map {
        let name = file.as_str().filter(|name| is_plain(name)).ok_or_else(|| {
            wrong(format!("tensor {tensor} is said to be in {file}; expected the name of a file beside this one"))
        })?;
        if !files.contains_key(name) {
            files.insert(name, TensorFile::open(index.with_file_name(name))?);
        }
    }
    let holder =
        |tensor: &str| files.iter().rev().find(|(_, file)| file.entry(tensor).is_some()).map(|(name, _)| *name);
    for (tensor, said) in map {
        let said = said.as_str().unwrap_or_default();
        match holder(tensor) {
            None => return Err(wrong(format!("tensor {tensor} is said to be in {said}, which does not have it"))),
            Some(name) if name != said => notes
                .push(format!("tensor {tensor} is said to be in {said}: transformers and ossia use the one in {name}")),
            Some(_) => {}
        }
    }
    for (name, file) in &files {
        for tensor in file.names().filter(|tensor| !map.contains_key(*tensor)) {
            notes.push(format!("tensor {tensor} of {name} is not in {INDEX}: transformers and ossia use it"));
        }
    }
    Ok(files.into_values().collect())
}

/// Returns whether a name stays in the directory: it is not absolute, and has no `..` and no separator.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(part)), None) if part == name)
        && !name.contains('\\')
}

/// Writes tensors into a single file, or into shards of at most `shard_bytes` bytes of tensor data. A tensor larger than
/// that is alone in its shard. The index is written last, so that an interrupted save is not mistaken for a checkpoint.
/// Returns the size of the tensor data in bytes, without that of the module for multi-token prediction, which has a file of its own.
///
/// # Errors
/// If shards are to be written into a directory with a checkpoint, whose files would be mixed with the new ones; and
/// those of the operating system.
pub fn write(directory: &Path, tensors: Vec<(String, TensorToWrite)>, shard_bytes: Option<u64>) -> Result<u64> {
    let metadata = [("format", "pt".into())];
    let (of_mtp, tensors): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(name, _)| is_of_mtp(name));
    if !of_mtp.is_empty() {
        write_tensors(&directory.join(MTP_WEIGHTS), of_mtp, &metadata)?;
    }
    let mut shards: Vec<(u64, Vec<(String, TensorToWrite)>)> = Vec::new();
    for (name, part) in tensors {
        let bytes = part.data_len() as u64;
        match shards.last_mut() {
            Some((held, shard)) if shard_bytes.is_none_or(|most| *held + bytes <= most) => {
                *held += bytes;
                shard.push((name, part));
            }
            _ => shards.push((bytes, vec![(name, part)])),
        }
    }
    let (count, total): (usize, u64) = (shards.len(), shards.iter().map(|(bytes, _)| bytes).sum());
    if count < 2 {
        let tensors = shards.into_iter().flat_map(|(_, tensors)| tensors);
        write_tensors(&directory.join(WEIGHTS), tensors, &metadata)?;
        return Ok(total);
    }
    for present in [WEIGHTS, INDEX] {
        if directory.join(present).exists() {
            return Err(Error::file(directory, format!("already holds {present}; choose another directory")));
        }
    }
    let mut map = Map::new();
    for (i, (_, tensors)) in shards.into_iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", i + 1);
        map.extend(tensors.iter().map(|(name, _)| (name.clone(), json!(file))));
        write_tensors(&directory.join(file), tensors, &metadata)?;
    }
    map.sort_keys();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    let text = serde_json::to_string_pretty(&index).expect("a JSON value renders") + "\n";
    write_atomically(&directory.join(INDEX), text.as_bytes())?;
    Ok(total)
}
