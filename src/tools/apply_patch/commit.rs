//! Changes several files completely or not at all.
//!
//! First all new contents are written to new files beside the old ones, with a copy of what they replace. Whatever can
//! fail for lack of space fails here, when nothing has changed. Then the files are renamed one after another, and what
//! is done is undone by renaming if one of them fails. A process that is killed leaves new files with names of their
//! own behind, which are in nobody's way.

use super::error::{FileProblem, PatchError};
use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// A single file operation.
pub enum Step {
    /// Creates or replaces a file.
    Write {
        /// The path of the file.
        path: PathBuf,
        /// The new content.
        text: String,
        /// The owner and the permissions of the file, if not those of any new file.
        attributes: Option<Attributes>,
    },
    /// Removes a file.
    Remove {
        /// The path of the file.
        path: PathBuf,
    },
}

/// The owner and the permissions of a file.
pub struct Attributes {
    user: u32,
    group: u32,
    permissions: Permissions,
}

impl From<Metadata> for Attributes {
    fn from(found: Metadata) -> Self {
        Self { user: found.uid(), group: found.gid(), permissions: found.permissions() }
    }
}

/// A step that is ready to be done.
struct Ready<'s> {
    path: &'s Path,
    /// The file with the new content. The step removes the file if there is none.
    new: Option<PathBuf>,
    /// The file with the old content. A removed file is moved there.
    old: Option<PathBuf>,
    done: bool,
}

/// The changes so far.
struct Commit<'s> {
    root: &'s Dir,
    steps: Vec<Ready<'s>>,
    /// The directories that were made, from the outermost inwards.
    directories: Vec<PathBuf>,
}

// ANCHOR: carry_out
/// Carries out the steps. If one fails, everything is as before.
pub fn carry_out(root: &Dir, steps: &[Step]) -> std::result::Result<(), PatchError> {
    let mut commit = Commit { root, steps: Vec::new(), directories: Vec::new() };
    for step in steps {
        let (Step::Write { path, .. } | Step::Remove { path }) = step;
        if let Err(error) = commit.prepare(step) {
            return Err(commit.undo(path, error));
        }
    }
    for index in 0..commit.steps.len() {
        if let Err(error) = commit.replace(index) {
            let path = commit.steps[index].path;
            return Err(commit.undo(path, error));
        }
    }
    commit.finish();
    Ok(())
}
// ANCHOR_END: carry_out

impl<'s> Commit<'s> {
    /// Writes the new content and a copy of the old content beside the file.
    fn prepare(&mut self, step: &'s Step) -> Result<()> {
        let (Step::Write { path, .. } | Step::Remove { path }) = step;
        // The step is listed before its files are made, so that they are removed if this fails halfway.
        self.steps.push(Ready { path, new: None, old: None, done: false });
        match step {
            Step::Remove { .. } => self.last().old = Some(free_name(self.root, path)?),
            Step::Write { text, attributes, .. } => {
                self.make_parents(path)?;
                if let Some(found) = self.found(path)? {
                    let bytes = self.root.read(path)?;
                    let old = free_name(self.root, path)?;
                    self.last().old = Some(old.clone());
                    write(self.root, &old, &bytes, Some(&found.into()))?; // needed by this process only
                }
                let new = free_name(self.root, path)?;
                self.last().new = Some(new.clone());
                write(self.root, &new, text.as_bytes(), attributes.as_ref())?.sync_all()?;
            }
        }
        Ok(())
    }

    fn last(&mut self) -> &mut Ready<'s> {
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    /// Returns the metadata of a file, or `None` if there is no file.
    fn found(&self, path: &Path) -> Result<Option<Metadata>> {
        match self.root.symlink_metadata(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the directories above a file, and remembers those that did not exist.
    fn make_parents(&mut self, path: &Path) -> Result<()> {
        let mut parents: Vec<&Path> = path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        parents.reverse();
        for parent in parents {
            match self.root.create_dir(parent) {
                Ok(()) => self.directories.push(parent.to_path_buf()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does a step: from now on a reader finds the new content.
    fn replace(&mut self, index: usize) -> Result<()> {
        let step = &mut self.steps[index];
        match (&step.new, &step.old) {
            (Some(new), _) => self.root.rename(new, self.root, step.path)?,
            (None, Some(old)) => self.root.rename(step.path, self.root, old)?,
            (None, None) => {}
        }
        step.done = true;
        Ok(())
    }

    /// Removes the old contents. An error only leaves a file behind, or a change that a power cut may undo.
    fn finish(&self) {
        for step in &self.steps {
            if let Some(old) = &step.old {
                _ = self.root.remove_file(old);
            }
        }
        for step in &self.steps {
            let parent = step.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = self.root.open_dir(parent.unwrap_or(Path::new(".")));
            _ = directory.and_then(|directory| directory.into_std_file().sync_all());
        }
    }

    /// Undoes all that was done because `error` occurred at `path`, and returns the error to report.
    fn undo(&self, path: &Path, error: std::io::Error) -> PatchError {
        let mut report = FileProblem::from(error).at(path.display());
        for step in self.steps.iter().rev() {
            let undone = match (step.done, &step.new, &step.old) {
                (true, _, Some(old)) => self.root.rename(old, self.root, step.path),
                (true, _, None) => self.root.remove_file(step.path),
                (false, new, old) => {
                    // The old content of a step that was not done is a copy, or does not exist.
                    for file in [new, old].into_iter().flatten() {
                        _ = self.root.remove_file(file);
                    }
                    Ok(())
                }
            };
            if let (Err(problem), Some(kept)) = (undone, &step.old) {
                let (path, kept) = (step.path.display().to_string(), kept.display().to_string());
                report = PatchError::NotRestored { path, problem, kept };
            }
        }
        for directory in self.directories.iter().rev() {
            _ = self.root.remove_dir(directory); // unless somebody else has put a file there
        }
        report
    }
}

/// Returns a path beside `path` that does not exist. The name is short, so that it fits wherever the name of the file
/// does.
fn free_name(root: &Dir, path: &Path) -> Result<PathBuf> {
    loop {
        let random = RandomState::new().hash_one(path);
        let free = path.with_file_name(format!(".ossia-{random:016x}"));
        match root.symlink_metadata(&free) {
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(free),
            Err(error) => return Err(error),
        }
    }
}

/// Writes a new file. It must be new, since otherwise this could write through a link that was put in its place.
fn write(root: &Dir, path: &Path, bytes: &[u8], attributes: Option<&Attributes>) -> Result<File> {
    let mut file = root.open_with(path, OpenOptions::new().write(true).create_new(true))?;
    file.write_all(bytes)?;
    if let Some(Attributes { user, group, permissions }) = attributes {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (*user, *group) {
            // Only root may give a file away. Anybody else who may change the directory becomes the owner.
            _ = std::os::unix::fs::fchown(&file, Some(*user), Some(*group));
        }
        file.set_permissions(permissions.clone())?;
    }
    Ok(file)
}
