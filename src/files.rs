//! Atomic file writes: a file is either complete or not there at all.

use crate::error::{Error, Result};
use std::fs::{self, File};
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
/// Does the same as [`write_atomically`] for content that the caller's `write` puts into the temporary file.
///
/// # Errors
/// As [`write_atomically`].
pub fn replace_atomically(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let replace = || {
        write(&temporary)?;
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
