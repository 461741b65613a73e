//! `apply_patch`: files of one directory, changed by a model.
//!
//! Every path is looked up below the directory and nowhere else (cap-std; on Linux `openat2` with `RESOLVE_BENEATH`). What
//! is not a plain file of this directory is refused: links of either kind, pipes, devices, anything in `.git`. A patch
//! is applied whole or not at all: everything is computed first, and what was written is taken back if the rest fails.

pub mod parse;
pub mod update;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt, Permissions};
use parse::{Change, parse};
use std::path::{Component, Path, PathBuf};

/// Bytes of a file, and of a patch.
const LARGEST: u64 = 16 << 20;

/// How a model is told of it.
pub const INSTRUCTIONS: &str = include_str!("instructions.md");

/// A directory whose files may be changed.
pub struct Workspace {
    root: Dir,
}

/// What a file holds, and its mode.
type Contents = (Vec<u8>, Permissions);

/// A step of applying.
enum Step {
    Write { path: PathBuf, text: String, mode: Option<Permissions> },
    Remove { path: PathBuf },
}

impl Workspace {
    /// # Errors
    /// What the system says.
    pub fn open(root: &Path) -> crate::error::Result<Self> {
        let root_ = Dir::open_ambient_dir(root, ambient_authority());
        Ok(Self { root: root_.map_err(|e| crate::error::Error::io(root, "open", e))? })
    }

    /// Applies a patch, which may stand in JSON as `{"patch": …}`. What was done, or why nothing was, in words for the
    /// model.
    pub fn answer(&self, call: &str) -> String {
        let json = serde_json::from_str::<serde_json::Value>(call).ok();
        let patch = json.as_ref().and_then(|json| json.get("patch")?.as_str()).unwrap_or(call);
        match self.apply(patch) {
            Ok(done) => done,
            Err(error) => format!("error: {error}; nothing was changed"),
        }
    }

    // ANCHOR: apply
    /// Applies a patch: all of it, or nothing.
    ///
    /// # Errors
    /// Why not, in a line.
    pub fn apply(&self, patch: &str) -> Result<String, String> {
        if patch.len() as u64 > LARGEST {
            return Err(format!("the patch has {} bytes, expected at most {LARGEST}", patch.len()));
        }
        let changes = parse(patch)?;
        let (mut steps, mut done, mut touched) = (Vec::new(), String::new(), Vec::new());
        for change in &changes {
            self.plan(change, &mut steps, &mut done, &mut touched)?;
        }
        self.carry_out(&steps)?;
        Ok(done)
    }
    // ANCHOR_END: apply

    fn plan(
        &self,
        change: &Change,
        steps: &mut Vec<Step>,
        done: &mut String,
        touched: &mut Vec<PathBuf>,
    ) -> Result<(), String> {
        let mut touch = |path: &str| {
            let clean = self.check(path)?;
            match touched.contains(&clean) {
                true => Err(format!("{path}: the patch speaks of it twice")),
                false => {
                    touched.push(clean.clone());
                    Ok(clean)
                }
            }
        };
        match change {
            Change::Add { path, text } => {
                let new = touch(path)?;
                self.must_be_free(&new)?;
                steps.push(Step::Write { path: new, text: text.clone(), mode: None });
                *done += &format!("A {path}\n");
            }
            Change::Delete { path } => {
                let old = touch(path)?;
                self.read(&old)?;
                steps.push(Step::Remove { path: old });
                *done += &format!("D {path}\n");
            }
            Change::Update { path, to, hunks } => {
                let old = touch(path)?;
                let (text, mode) = self.read(&old)?;
                let text = String::from_utf8(text).map_err(|_| format!("{path}: not UTF-8"))?;
                let text = update::update(&text, hunks).map_err(|what| format!("{path}: {what}"))?;
                match to {
                    None => {
                        steps.push(Step::Write { path: old, text, mode: Some(mode) });
                        *done += &format!("M {path}\n");
                    }
                    Some(to) => {
                        let new = touch(to)?;
                        self.must_be_free(&new)?;
                        steps.push(Step::Write { path: new, text, mode: Some(mode) });
                        steps.push(Step::Remove { path: old });
                        *done += &format!("R {path} → {to}\n");
                    }
                }
            }
        }
        Ok(())
    }

    // ANCHOR: check
    /// A path as it may be: names below the root, none of which is a link.
    fn check(&self, path: &str) -> Result<PathBuf, String> {
        let wrong = |what: &str| Err(format!("{path:?}: {what}"));
        if path.is_empty() || path.chars().any(char::is_control) {
            return wrong("is no path");
        }
        let mut clean = PathBuf::new();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name) if name.eq_ignore_ascii_case(".git") => return wrong("is in .git"),
                Component::Normal(name) => clean.push(name),
                Component::CurDir => continue,
                _ => return wrong("leads out of the workspace"),
            }
            match self.root.symlink_metadata(&clean) {
                Ok(found) if found.is_symlink() => return wrong("a link is on the way"),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return wrong(&error.to_string()),
            }
        }
        if clean.as_os_str().is_empty() { wrong("is no file") } else { Ok(clean) }
    }
    // ANCHOR_END: check

    fn must_be_free(&self, path: &Path) -> Result<(), String> {
        match self.root.symlink_metadata(path) {
            Ok(_) => Err(format!("{}: is there already", path.display())),
            Err(_) => Ok(()),
        }
    }

    /// The bytes of a plain file that has one name, and its mode.
    fn read(&self, path: &Path) -> Result<Contents, String> {
        let wrong = |what: String| format!("{}: {what}", path.display());
        let found = self.root.symlink_metadata(path).map_err(|e| wrong(e.to_string()))?;
        if !found.is_file() {
            return Err(wrong("is not a file".into()));
        }
        if found.nlink() > 1 {
            return Err(wrong("has another name, maybe outside of the workspace".into()));
        }
        if found.len() > LARGEST {
            return Err(wrong(format!("has {} bytes, expected at most {LARGEST}", found.len())));
        }
        let bytes = self.root.read(path).map_err(|e| wrong(e.to_string()))?;
        Ok((bytes, found.permissions()))
    }

    /// Takes the steps; if one fails, takes back those before it.
    fn carry_out(&self, steps: &[Step]) -> Result<(), String> {
        let mut taken: Vec<(&Path, Option<Contents>)> = Vec::new();
        for step in steps {
            let (Step::Write { path, .. } | Step::Remove { path }) = step;
            let before = self.read(path).ok();
            let result = match step {
                Step::Write { path, text, mode } => self.write(path, text.as_bytes(), mode.as_ref()),
                Step::Remove { path } => self.root.remove_file(path),
            };
            if let Err(error) = result {
                for (path, before) in taken.into_iter().rev() {
                    _ = match before {
                        Some((bytes, mode)) => self.write(path, &bytes, Some(&mode)),
                        None => self.root.remove_file(path),
                    };
                }
                return Err(format!("{}: {error}", path.display()));
            }
            taken.push((path, before));
        }
        Ok(())
    }

    /// Replaces a file in one go: whoever reads it finds the old or the new.
    fn write(&self, path: &Path, bytes: &[u8], mode: Option<&Permissions>) -> std::io::Result<()> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.root.create_dir_all(parent)?;
        }
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".ossia-new");
        let new = path.with_file_name(name);
        let written = (|| {
            // It must not be there: otherwise something that was put in its place would be written through.
            let mut file = self.root.open_with(&new, cap_std::fs::OpenOptions::new().write(true).create_new(true))?;
            std::io::Write::write_all(&mut file, bytes)?;
            if let Some(mode) = mode {
                file.set_permissions(mode.clone())?;
            }
            file.sync_all()?;
            self.root.rename(&new, &self.root, path)
        })();
        if written.as_ref().is_err_and(|e| e.kind() != std::io::ErrorKind::AlreadyExists) {
            _ = self.root.remove_file(&new);
        }
        written
    }
}
