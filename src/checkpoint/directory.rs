//! The tensors of a model directory, in one file or in several.
//!
//! A single file is `model.safetensors`. Several files have an index, `model.safetensors.index.json`, whose
//! `weight_map` says which file has which tensor.

use super::safetensors::{Entry, TensorFile, TensorToWrite, write_tensors};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use ::safetensors::View;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the file with the weights, if there is only one.
pub const WEIGHTS: &str = "model.safetensors";
/// The name of the index, if there are several files with weights.
pub const INDEX: &str = "model.safetensors.index.json";

/// The tensors of a directory.
pub struct Tensors {
    directory: PathBuf,
    files: Vec<TensorFile>,
}

impl Tensors {
    /// Maps every file and checks that each tensor is in the file that the index names, and only there.
    ///
    /// # Errors
    /// One line with the file, and the tensor, that is missing, there twice, or in the wrong file.
    pub fn open(directory: &Path) -> Result<Self> {
        let (single, index) = (directory.join(WEIGHTS), directory.join(INDEX));
        // If there are both, transformers takes the single file.
        let files = if single.exists() || !index.exists() { vec![TensorFile::open(single)?] } else { shards(&index)? };
        Ok(Self { directory: directory.to_path_buf(), files })
    }

    /// Returns a tensor, and the file that has it.
    pub fn get(&self, name: &str) -> Option<(&Entry, &Path)> {
        self.files.iter().find_map(|file| Some((file.entry(name)?, file.path())))
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

/// Opens the files that an index names.
fn shards(index: &Path) -> Result<Vec<TensorFile>> {
    let wrong = |message: String| Error::file(index, message);
    let text = std::fs::read_to_string(index).map_err(|e| Error::io(index, "read", e))?;
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
        if files[name].entry(tensor).is_none() {
            return Err(wrong(format!("tensor {tensor} is said to be in {name}, which does not have it")));
        }
    }
    for (name, file) in &files {
        if let Some(tensor) = file.names().find(|tensor| map.get(*tensor).and_then(Value::as_str) != Some(name)) {
            return Err(Error::file(file.path(), format!("tensor {tensor} is not said to be here by {INDEX}")));
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
/// Returns the size of the tensor data in bytes.
///
/// # Errors
/// If shards are to be written into a directory with a checkpoint, whose files would be mixed with the new ones; and
/// those of the operating system.
pub fn write(directory: &Path, tensors: Vec<(String, TensorToWrite)>, shard_bytes: Option<u64>) -> Result<u64> {
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
    let metadata = [("format", "pt".into())];
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
