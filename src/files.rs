//! Files: atomic writes, which complete or leave the file unchanged, locks, and files that are not what their name says.

use crate::error::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file atomically: a crash, a full disk or a kill leaves the old file or the new file, never a part of one. The
/// content goes into a temporary file in the same directory, which is flushed to the disk and renamed; then the directory
/// is flushed.
///
/// # Errors
/// If the system refuses to write. Then the old file is unchanged, and the temporary file is removed.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    replace_atomically(path, |temporary| fs::write(temporary, content))
}

// ANCHOR: replace
/// Does the same as [`write_atomically`] for content that the caller's `write` puts into the temporary file. The file gets
/// the permissions of a new file: 0666 without the bits of the process's umask.
///
/// # Errors
/// As [`write_atomically`].
pub fn replace_atomically(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let replace = || {
        let permissions = File::create(&temporary)?.metadata()?.permissions();
        write(&temporary)?;
        // `write` may have replaced the file with a file of its own, which only its owner can read.
        fs::set_permissions(&temporary, permissions)?;
        File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(path)
    };
    replace().map_err(|e| {
        // The temporary file may not exist; the first error is the one that matters.
        _ = fs::remove_file(&temporary);
        Error::io(path, "write", e)
    })
}
// ANCHOR_END: replace

/// Flushes the directory of `path`, so that a rename in it survives a power cut. Only Unix can open a directory as a file.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Appends a line to a file, and creates the file if it does not exist.
///
/// # Errors
/// If the system refuses to write.
pub fn append_line(path: &Path, line: &str) -> Result<()> {
    let append = || {
        let mut file = File::options().create(true).append(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())
    };
    append().map_err(|e| Error::io(path, "write", e))
}

/// Creates a directory and its parents.
///
/// # Errors
/// If the system refuses to create one of them.
pub fn create_directory(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path).map_err(|e| Error::io(path, "create", e))?;
    Ok(path.to_path_buf())
}

/// A file that this process has locked. The lock ends when the value is dropped, or when the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Creates the file at `path` if it does not exist, and locks it. Returns `None` if another process holds the lock.
    ///
    /// # Errors
    /// If the file cannot be created. A file system without locks is not an error: then nothing is locked.
    pub fn acquire(path: &Path) -> Result<Option<Self>> {
        let open = File::options().create(true).truncate(false).write(true).open(path);
        let file = open.map_err(|e| Error::io(path, "create", e))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Self { _file: file })),
        }
    }
}

/// Removes the temporary files that a killed process has left in a directory, `{name}.{process id}.tmp`. The caller holds a
/// lock that keeps other processes from writing there.
///
/// # Errors
/// Those of the operating system.
pub fn remove_left_overs(directory: &Path) -> Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(directory, "read", e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| Error::io(directory, "read", e))?.path();
        if is_left_over(&path) {
            fs::remove_file(&path).map_err(|e| Error::io(&path, "remove", e))?;
        }
    }
    Ok(())
}

/// Returns whether a path has the name of a temporary file of [`replace_atomically`].
pub fn is_left_over(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let id = name.strip_suffix(".tmp").and_then(|rest| Some(rest.rsplit_once('.')?.1));
    id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads a text file of a model or of a run.
///
/// # Errors
/// If the file cannot be read, is not UTF-8, or is something else under its name, such as a web page.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    check_kind(path, &bytes)?;
    String::from_utf8(bytes)
        .map_err(|e| Error::file(path, format!("byte {} is not UTF-8", e.utf8_error().valid_up_to())))
}

/// Refuses a file of a model whose first bytes show that it is something else under its name.
///
/// # Errors
/// Returns an error that says what the file is, and what to do.
pub fn check_kind(path: &Path, start: &[u8]) -> Result<()> {
    const PAGE: &str = "is a web page, not the file; does the download need a login, or another address?";
    match foreign_kind(start).or(is_web_page(start).then_some(PAGE)) {
        Some(kind) => Err(Error::file(path, kind)),
        None => Ok(()),
    }
}

/// Returns what a file is and what to do, if its first bytes show that it is not a file of the expected kind: neither text
/// nor safetensors.
pub fn foreign_kind(start: &[u8]) -> Option<&'static str> {
    const GGUF: &str =
        "is a GGUF file of llama.cpp; expected the model in the safetensors format, as Hugging Face stores it";
    const KINDS: [(&[u8], &str); 9] = [
        (b"version https://git-lfs", "is a Git LFS pointer, not the file; get the file with: git lfs pull"),
        (b"GGUF\x02\0\0\0", GGUF),
        (b"GGUF\x03\0\0\0", GGUF),
        (b"PK\x03\x04", "is a ZIP archive (PyTorch's .pt and .bin files are, too); unpack or convert it first"),
        (b"\x1f\x8b", "is compressed with gzip; decompress it first"),
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd; decompress it first"),
        (b"\xfd7zXZ", "is compressed with xz; decompress it first"),
        (b"PAR1\x15", "is a Parquet file; convert it to JSON Lines first"),
        (b"%PDF-", "is a PDF file; convert it to text first"),
    ];
    KINDS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, kind)| *kind)
}

/// Returns whether a file begins like a web page. A download that fails often saves one under the name of the file.
fn is_web_page(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    [&b"<!doctype"[..], b"<html"].iter().any(|tag| start.get(..tag.len()).is_some_and(|s| s.eq_ignore_ascii_case(tag)))
}
