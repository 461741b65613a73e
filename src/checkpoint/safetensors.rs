//! The safetensors format: a JSON header with names, types, shapes and offsets, then the numbers.
//!
//! A file is mapped instead of read. The `safetensors` crate checks the header (its length against the file's, offsets
//! without holes or overlaps, shapes against offsets) before anything of a size that it names is allocated.
//! <https://github.com/huggingface/safetensors>

use crate::error::{Error, Result};
use crate::files::{check_kind, replace_atomically};
use crate::kernels;
use crate::kernels::memory::little_endian;
use crate::stored::{Bytes, Numbers};
use crate::tensor::{Array, array};
use ::safetensors::tensor::{Dtype, SafeTensorError, View};
use ::safetensors::{SafeTensors, serialize_to_file};
use half::f16;
use serde::Deserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tensor in a file.
#[derive(Clone)]
pub struct Entry {
    /// The number format.
    pub dtype: Dtype,
    /// The length of each dimension.
    pub shape: Vec<usize>,
    /// The bytes of the numbers, in row-major order.
    pub bytes: Bytes,
}

impl Entry {
    /// Returns whether the number format is one that a parameter can have.
    pub fn is_supported(&self) -> bool {
        matches!(self.dtype, Dtype::F32 | Dtype::BF16 | Dtype::F16)
    }

    /// Returns the numbers in their format, or f16 widened to f32; `None` for other formats.
    pub fn widened(&self) -> Option<Numbers> {
        match self.dtype {
            Dtype::F32 => Some(Numbers::F32(self.bytes.clone())),
            Dtype::BF16 => Some(Numbers::Bf16(self.bytes.clone())),
            Dtype::F16 => {
                let widened = |&bytes: &[u8; 2]| f16::from_le_bytes(bytes).to_f32().to_le_bytes();
                let bytes: Vec<u8> = self.bytes.as_chunks::<2>().0.iter().flat_map(widened).collect();
                Some(Numbers::F32(Bytes::new(Arc::new(bytes))))
            }
            _ => None,
        }
    }

    /// Returns the numbers as f32; `None` if they are neither f32, bf16 nor f16.
    pub fn to_array(&self) -> Option<Array> {
        let numbers = match self.dtype {
            Dtype::F32 => self.bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::BF16 => {
                let halves = self.bytes.as_chunks::<2>().0;
                let mut numbers = vec![0.0; halves.len()];
                kernels::expand_bf16(halves, &mut numbers);
                numbers
            }
            Dtype::F16 => {
                self.bytes.as_chunks::<2>().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect()
            }
            _ => return None,
        };
        Some(array(&self.shape, numbers))
    }
}

/// A mapped safetensors file.
pub struct TensorFile {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
}

impl TensorFile {
    /// Maps a file and checks its header.
    ///
    /// # Errors
    /// If it cannot be read, or its header does not describe exactly what follows.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let bytes = contents(path.as_ref(), false).map_err(|e| Error::io(&path, "read", e))?;
        Self::from_bytes(path, Bytes::new(bytes))
    }

    /// Maps a file and checks its header. The program will read few parts of it, which are far from each other.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_scattered(path: impl AsRef<Path>) -> Result<Self> {
        let bytes = contents(path.as_ref(), true).map_err(|e| Error::io(&path, "read", e))?;
        Self::from_bytes(path, Bytes::new(bytes))
    }

    // ANCHOR: header
    /// Checks the header of a file whose bytes are `bytes`. Error messages name the file as `path`.
    ///
    /// # Errors
    /// If the header does not describe exactly what follows.
    pub fn from_bytes(path: impl AsRef<Path>, bytes: Bytes) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        check_kind(&path, &bytes[..bytes.len().min(64)])?;
        let wrong = |e: crate::error::Cause| {
            Error::file(&path, format!("not a whole safetensors file: {e}; was it cut short?")).caused_by(e)
        };
        let (length, header) = SafeTensors::read_metadata(&bytes).map_err(|e| wrong(e.into()))?;
        check_names(&bytes[8..8 + length]).map_err(|e| wrong(e.into()))?;
        let entry = |(name, info): (String, &::safetensors::tensor::TensorInfo)| {
            let start = 8 + length;
            let bytes = bytes.slice(start + info.data_offsets.0..start + info.data_offsets.1);
            (name, Entry { dtype: info.dtype, shape: info.shape.clone(), bytes })
        };
        let entries = header.tensors().into_iter().map(entry).collect();
        Ok(Self { path, entries, metadata: header.metadata().clone().unwrap_or_default() })
    }
    // ANCHOR_END: header

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns the `__metadata__` of the header.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// Returns a tensor.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Returns the numbers of a tensor in f32, bf16 or f16, as f32. If `shape` is given, the tensor must have it.
    ///
    /// # Errors
    /// If there is no such tensor, or its type or shape is different.
    pub fn tensor(&self, name: &str, shape: Option<&[usize]>) -> Result<Array> {
        let wrong = |message: String| Error::file(&self.path, format!("tensor {name}: {message}"));
        let entry = self.entry(name).ok_or_else(|| wrong("missing".into()))?;
        if let Some(shape) = shape.filter(|&shape| shape != entry.shape) {
            return Err(wrong(format!("shape {:?}; config.json makes it {shape:?}", entry.shape)));
        }
        entry.to_array().ok_or_else(|| wrong(format!("type {:?}; expected F32, BF16 or F16", entry.dtype)))
    }
}

/// Returns the bytes of a file: mapped if possible, otherwise read.
fn contents(path: &Path, scattered: bool) -> io::Result<Arc<dyn AsRef<[u8]> + Send + Sync>> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("not a file"));
    }
    #[cfg(feature = "mmap")]
    if about.len() > 0 {
        let map = if scattered { kernels::memory::map_scattered(&file)? } else { kernels::memory::map(&file)? };
        return Ok(Arc::new(map));
    }
    _ = scattered; // a file that is read is read whole
    Ok(Arc::new(std::fs::read(path)?))
}

/// Checks that no two tensors have the same name. The parser of the header would silently keep the second one.
fn check_names(header: &[u8]) -> std::result::Result<(), serde_json::Error> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
            let mut seen = HashSet::new();
            while let Some(name) = map.next_key::<String>()? {
                if let Some(name) = seen.replace(name) {
                    return Err(A::Error::custom(format!("tensor {name} stands there twice")));
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_slice(header).deserialize_map(Names)
}

/// A tensor to be written. Its bytes are computed when they are needed and dropped when they are written, so that a
/// checkpoint larger than the memory can be converted.
pub struct TensorToWrite<'a> {
    /// The number format.
    pub dtype: Dtype,
    /// The length of each dimension.
    pub shape: Vec<usize>,
    /// Computes the bytes; their number follows from type and shape.
    pub bytes: Box<dyn Fn() -> Cow<'a, [u8]> + 'a>,
}

impl<'a> TensorToWrite<'a> {
    /// Describes numbers in memory that are to be written as f32.
    pub fn f32(shape: &[usize], numbers: &'a [f32]) -> Self {
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes: Box::new(|| little_endian(numbers)) }
    }

    /// Appends rows of the same type and length below these.
    pub fn append(&mut self, below: Self) {
        assert_eq!((self.dtype, &self.shape[1..]), (below.dtype, &below.shape[1..]), "rows of one tensor are alike");
        self.shape[0] += below.shape[0];
        let above = std::mem::replace(&mut self.bytes, Box::new(|| Cow::Borrowed(&[])));
        self.bytes = Box::new(move || Cow::Owned([above(), (below.bytes)()].concat()));
    }
}

impl View for TensorToWrite<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        (self.bytes)()
    }
    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Writes tensors and metadata atomically.
///
/// # Errors
/// Those of the operating system.
pub fn write_tensors<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, TensorToWrite<'a>)>,
    metadata: &[(&str, String)],
) -> Result<()> {
    let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    replace_atomically(path, |temporary| {
        serialize_to_file(tensors, Some(metadata), temporary).map_err(|e| match e {
            SafeTensorError::IoError(e) => e,
            e => io::Error::other(e.to_string()),
        })
    })
}
