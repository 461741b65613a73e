//! A temporary directory whose content may be hostile: nested a million levels deep, or without permissions.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt, PermissionsExt};
use std::io::Result;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A temporary directory. It is removed with everything in it when this is dropped.
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes a directory.
    ///
    /// # Errors
    /// If the system cannot make it.
    pub fn new() -> Result<Self> {
        tempfile::tempdir().map(Self)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The directory itself is removed by `TempDir`. What cannot be removed stays, as there is nobody to tell.
        _ = Dir::open_ambient_dir(self.path(), ambient_authority()).and_then(|top| clear(&top));
    }
}

/// Removes everything in a directory. Directories inside move up until none contains another one, so that neither the
/// call stack nor the number of open files grows with the depth.
fn clear(top: &Dir) -> Result<()> {
    let mut moved = 0u64;
    loop {
        let mut empty = true;
        for entry in top.entries()? {
            let entry = entry?;
            empty = false;
            let name = PathBuf::from(entry.file_name());
            if !entry.file_type()?.is_dir() {
                top.remove_file(&name)?;
                continue;
            }
            permit(top, &name)?;
            let inner = top.open_dir(&name)?;
            for child in inner.entries()? {
                let child = child?;
                if child.file_type()?.is_dir() {
                    permit(&inner, Path::new(&child.file_name()))?;
                    let free = loop {
                        moved += 1;
                        let free = PathBuf::from(format!("moved-{moved}"));
                        if top.symlink_metadata(&free).is_err() {
                            break free;
                        }
                    };
                    inner.rename(child.file_name(), top, free)?;
                } else {
                    inner.remove_file(child.file_name())?;
                }
            }
            top.remove_dir(&name)?;
        }
        if empty {
            return Ok(());
        }
    }
}

/// Lets the owner of a directory read and change it.
fn permit(parent: &Dir, name: &Path) -> Result<()> {
    if parent.symlink_metadata(name)?.mode() & 0o700 == 0o700 {
        return Ok(());
    }
    parent.set_permissions(name, cap_std::fs::Permissions::from_mode(0o700))
}
