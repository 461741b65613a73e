//! `apply_patch`: lets a model change the files of one directory.
//!
//! Every path is resolved below the directory (with cap-std, which uses `openat2` with `RESOLVE_BENEATH` on Linux).
//! Everything that is not a plain file of this directory is refused: symbolic and hard links, pipes, devices, anything
//! in `.git`. A patch is applied as a whole or not at all: all new contents are computed first, and if a write fails,
//! the earlier ones are undone.

mod error;
pub mod parse;
pub mod update;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt, Permissions};
use error::LARGEST;
pub use error::{FileProblem, HunkError, PatchError, PathProblem};
use parse::{Change, Hunk, parse};
use std::path::{Component, Path, PathBuf};

/// The instructions for the model.
pub const INSTRUCTIONS: &str = include_str!("instructions.md");

/// A directory whose files may be changed.
pub struct Workspace {
    root: Dir,
}

/// The content of a file, and its permissions.
type Contents = (Vec<u8>, Permissions);

/// A single file operation.
enum Step {
    Write { path: PathBuf, text: String, mode: Option<Permissions> },
    Remove { path: PathBuf },
}

/// The operations of a patch.
#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
    /// The summary for the model, one line per file.
    summary: String,
    /// The paths that the patch has used so far.
    paths: Vec<PathBuf>,
}

impl Workspace {
    /// Opens a directory.
    ///
    /// # Errors
    /// If the system cannot open the directory.
    pub fn open(root: &Path) -> crate::error::Result<Self> {
        let root_ = Dir::open_ambient_dir(root, ambient_authority());
        Ok(Self { root: root_.map_err(|e| crate::error::Error::io(root, "open", e))? })
    }

    /// Applies a patch, which may be wrapped in JSON as `{"patch": …}`. Returns a summary of the changes, or the error,
    /// as text for the model.
    pub fn answer(&self, call: &str) -> String {
        let json = serde_json::from_str::<serde_json::Value>(call).ok();
        let patch = json.as_ref().and_then(|json| json.get("patch")?.as_str()).unwrap_or(call);
        match self.apply(patch) {
            Ok(summary) => summary,
            Err(error) => format!("error: {error}; nothing was changed"),
        }
    }

    // ANCHOR: apply
    /// Applies a patch completely, or not at all, and returns a summary of the changes.
    ///
    /// # Errors
    /// If the patch does not follow the format or does not fit the files. Then no file has changed.
    pub fn apply(&self, patch: &str) -> Result<String, PatchError> {
        if patch.len() as u64 > LARGEST {
            return Err(PatchError::TooLong(patch.len()));
        }
        let changes = parse(patch)?;
        let mut plan = Plan::default();
        for change in &changes {
            self.plan(change, &mut plan)?;
        }
        self.carry_out(&plan.steps)?;
        Ok(plan.summary)
    }
    // ANCHOR_END: apply

    fn plan(&self, change: &Change, plan: &mut Plan) -> Result<(), PatchError> {
        match change {
            Change::Add { path, text } => {
                let new = self.new_path(path, plan)?;
                plan.steps.push(Step::Write { path: new, text: text.clone(), mode: None });
                plan.summary += &format!("A {path}\n");
            }
            Change::Delete { path } => {
                let old = self.unused_path(path, plan)?;
                self.read(&old)?;
                plan.steps.push(Step::Remove { path: old });
                plan.summary += &format!("D {path}\n");
            }
            Change::Update { path, to, hunks } => self.plan_update(path, to.as_deref(), hunks, plan)?,
        }
        Ok(())
    }

    fn plan_update(&self, path: &str, to: Option<&str>, hunks: &[Hunk], plan: &mut Plan) -> Result<(), PatchError> {
        let old = self.unused_path(path, plan)?;
        let (text, mode) = self.read(&old)?;
        let text = String::from_utf8(text).map_err(|_| FileProblem::NotUtf8.at(path))?;
        let text = update::update(&text, hunks).map_err(|error| FileProblem::from(error).at(path))?;
        match to {
            None => {
                plan.steps.push(Step::Write { path: old, text, mode: Some(mode) });
                plan.summary += &format!("M {path}\n");
            }
            Some(to) => {
                let new = self.new_path(to, plan)?;
                plan.steps.push(Step::Write { path: new, text, mode: Some(mode) });
                plan.steps.push(Step::Remove { path: old });
                plan.summary += &format!("R {path} → {to}\n");
            }
        }
        Ok(())
    }

    /// Checks a path that no other change of the patch may use.
    fn unused_path(&self, path: &str, plan: &mut Plan) -> Result<PathBuf, PatchError> {
        let clean = self.check(path)?;
        if plan.paths.contains(&clean) {
            return Err(FileProblem::ChangedTwice.at(path));
        }
        plan.paths.push(clean.clone());
        Ok(clean)
    }

    /// Checks the path of a file that must not exist yet.
    fn new_path(&self, path: &str, plan: &mut Plan) -> Result<PathBuf, PatchError> {
        let clean = self.unused_path(path, plan)?;
        match self.root.symlink_metadata(&clean) {
            Ok(_) => Err(FileProblem::Exists.at(clean.display())),
            Err(_) => Ok(clean),
        }
    }

    // ANCHOR: check
    /// Checks and normalizes a path. It must consist of names below the root, none of which is a link.
    fn check(&self, path: &str) -> Result<PathBuf, PatchError> {
        let refuse = |problem: PathProblem| Err(PatchError::Path { path: path.into(), problem });
        if path.is_empty() || path.chars().any(char::is_control) {
            return refuse(PathProblem::NotAPath);
        }
        let mut clean = PathBuf::new();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name) if name.eq_ignore_ascii_case(".git") => return refuse(PathProblem::InGit),
                Component::Normal(name) => clean.push(name),
                Component::CurDir => continue,
                _ => return refuse(PathProblem::Outside),
            }
            match self.root.symlink_metadata(&clean) {
                Ok(found) if found.is_symlink() => return refuse(PathProblem::Link),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return refuse(error.into()),
            }
        }
        if clean.as_os_str().is_empty() { refuse(PathProblem::Root) } else { Ok(clean) }
    }
    // ANCHOR_END: check

    /// Returns the content and the permissions of a plain file. The file must not have another hard link.
    fn read(&self, path: &Path) -> Result<Contents, PatchError> {
        let problem = |problem: FileProblem| problem.at(path.display());
        let found = self.root.symlink_metadata(path).map_err(|error| problem(error.into()))?;
        if !found.is_file() {
            return Err(problem(FileProblem::NotAFile));
        }
        if found.nlink() > 1 {
            return Err(problem(FileProblem::HardLink));
        }
        if found.len() > LARGEST {
            return Err(problem(FileProblem::TooLong(found.len())));
        }
        let bytes = self.root.read(path).map_err(|error| problem(error.into()))?;
        Ok((bytes, found.permissions()))
    }

    /// Carries out the steps. If one fails, the steps before it are undone.
    fn carry_out(&self, steps: &[Step]) -> Result<(), PatchError> {
        let mut done: Vec<(&Path, Option<Contents>)> = Vec::new();
        for step in steps {
            let (Step::Write { path, .. } | Step::Remove { path }) = step;
            let before = self.read(path).ok();
            let result = match step {
                Step::Write { path, text, mode } => self.write(path, text.as_bytes(), mode.as_ref()),
                Step::Remove { path } => self.root.remove_file(path),
            };
            if let Err(error) = result {
                for (path, before) in done.into_iter().rev() {
                    _ = match before {
                        Some((bytes, mode)) => self.write(path, &bytes, Some(&mode)),
                        None => self.root.remove_file(path),
                    };
                }
                return Err(FileProblem::from(error).at(path.display()));
            }
            done.push((path, before));
        }
        Ok(())
    }

    /// Replaces a file atomically: a reader finds either the old content or the new one.
    fn write(&self, path: &Path, bytes: &[u8], mode: Option<&Permissions>) -> std::io::Result<()> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.root.create_dir_all(parent)?;
        }
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".ossia-new");
        let new = path.with_file_name(name);
        let written = (|| {
            // The temporary file must be new. Otherwise a model could make this function write through a link in its
            // place.
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
