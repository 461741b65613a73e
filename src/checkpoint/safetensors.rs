//! safetensors: a JSON header with names, types, shapes and offsets, then the numbers.
//!
//! The header is checked by the `safetensors` crate (its length against the file's, offsets without holes or
//! overlaps, shapes against offsets) before anything of the size it names is allocated.
//! <https://github.com/huggingface/safetensors>

use crate::error::{Error, Result};
use crate::files::replace_atomically;
use crate::tensor::{Array, array};
use ::safetensors::tensor::{Dtype, SafeTensorError, TensorView};
use ::safetensors::{SafeTensors, serialize_to_file};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// A safetensors file in memory.
pub struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl TensorFile {
    /// Reads a file and checks its header.
    ///
    /// # Errors
    /// If it cannot be read, or its header does not describe exactly what follows.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, "read", e))?;
        let file = Self { path, bytes };
        file.header()?;
        Ok(file)
    }

    fn header(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes)
            .map_err(|e| Error::file(&self.path, format!("not a whole safetensors file: {e}; was it cut short?")))
    }

    /// The names of all tensors, sorted.
    ///
    /// # Errors
    /// As [`TensorFile::open`].
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = self.header()?.names().into_iter().map(str::to_string).collect();
        names.sort();
        Ok(names)
    }

    /// The `__metadata__` of the header.
    ///
    /// # Errors
    /// As [`TensorFile::open`].
    pub fn metadata(&self) -> Result<HashMap<String, String>> {
        let header = SafeTensors::read_metadata(&self.bytes).map_err(|e| Error::file(&self.path, e.to_string()))?;
        Ok(header.1.metadata().clone().unwrap_or_default())
    }

    /// The numbers of a tensor, which must be f32; `shape` is checked where it is given.
    ///
    /// # Errors
    /// If there is no such tensor, or its type or shape is another.
    pub fn tensor(&self, name: &str, shape: Option<&[usize]>) -> Result<Array> {
        let wrong = |message: String| Error::file(&self.path, format!("tensor {name}: {message}"));
        let header = self.header()?;
        let view = header
            .tensor(name)
            .map_err(|_| wrong("missing; do config.json and the weights belong together?".into()))?;
        if view.dtype() != Dtype::F32 {
            return Err(wrong(format!("type {:?}; expected F32", view.dtype())));
        }
        if let Some(shape) = shape.filter(|&shape| shape != view.shape()) {
            return Err(wrong(format!("shape {:?}; config.json makes it {shape:?}", view.shape())));
        }
        let (numbers, _) = view.data().as_chunks::<4>();
        Ok(array(view.shape(), numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()))
    }
}

/// Writes f32 tensors and metadata, atomically.
///
/// # Errors
/// What the system says.
pub fn write_tensors<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, &'a [usize], &'a [f32])>,
    metadata: &[(&str, String)],
) -> Result<()> {
    let bytes: Vec<(String, &[usize], Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, numbers)| (name, shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("four bytes a number");
        (name.as_str(), view)
    });
    let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    replace_atomically(path, |temporary| {
        serialize_to_file(views, Some(metadata), temporary).map_err(|e| match e {
            SafeTensorError::IoError(e) => e,
            e => io::Error::other(e.to_string()),
        })
    })
}
