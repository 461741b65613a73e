//! Paths in `train.json`, also those that are not UTF-8.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The name that stands for the built-in stories instead of a path.
pub const BUILTIN: &str = "builtin";

/// A path to data. In JSON it is a string, or a list of its bytes if it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct DataPath(PathBuf);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Saved {
    Text(String),
    Bytes(Vec<u8>),
}

impl DataPath {
    /// Returns the path as an absolute one, so that a run can resume from another directory. The name of the built-in
    /// stories stays as it is.
    ///
    /// # Errors
    /// If the current directory is not known; or if the path is not Unicode and the system is not Unix, which has no bytes to
    /// keep.
    pub fn absolute(&self) -> Result<Self> {
        if self.0 == Path::new(BUILTIN) {
            return Ok(self.clone());
        }
        if !cfg!(unix) && self.0.to_str().is_none() {
            return Err(Error::file(&self.0, "is not Unicode, and train.json cannot hold it"));
        }
        std::path::absolute(&self.0).map(Self).map_err(|e| Error::io(&self.0, "locate", e))
    }
}

impl AsRef<Path> for DataPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl<P: Into<PathBuf>> From<P> for DataPath {
    fn from(path: P) -> Self {
        Self(path.into())
    }
}

impl From<Saved> for DataPath {
    fn from(saved: Saved) -> Self {
        match saved {
            Saved::Text(text) => Self(text.into()),
            Saved::Bytes(bytes) => Self(from_bytes(bytes).into()),
        }
    }
}

impl From<DataPath> for Saved {
    fn from(path: DataPath) -> Self {
        match path.0.into_os_string().into_string() {
            Ok(text) => Self::Text(text),
            Err(name) => Self::Bytes(name.as_encoded_bytes().to_vec()),
        }
    }
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
