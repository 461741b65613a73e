//! Files that are either there whole or not at all.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file so that a crash, a full disk or a kill leaves the old one or the new one, never half of either: into
/// a temporary file beside it, flushed to the disk, then renamed, then the directory flushed.
///
/// # Errors
/// What the system says; the old file is untouched and the temporary one removed.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    replace_atomically(path, |temporary| fs::write(temporary, content))
}

// ANCHOR: replace
/// The same for content that `write` puts into the temporary file by itself.
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

/// Makes a rename in the directory of `path` survive a power cut. Elsewhere than on Unix, directories are not files.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Adds a line to a file, creating it if need be.
///
/// # Errors
/// What the system says.
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
/// What the system says.
pub fn create_directory(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path).map_err(|e| Error::io(path, "create", e))?;
    Ok(path.to_path_buf())
}
