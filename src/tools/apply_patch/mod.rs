//! `apply_patch`: lets a model change the files of one directory.
//!
//! Every path is resolved below the directory (with cap-std, which uses `openat2` with `RESOLVE_BENEATH` on Linux).
//! Everything that is not a plain file of this directory is refused: symbolic and hard links, pipes, devices, anything
//! in `.git`. A patch is applied as a whole or not at all: all new contents are computed first, then written beside the
//! files, and only then the files are replaced. If a step fails, the earlier ones are undone.
//!
//! In two cases the format leaves the meaning open, and this module does what OpenAI's own tool does. A file that is
//! moved replaces a file at its new path, since the patch could as well delete that file first. A file that is updated
//! ends with a newline.

mod call;
mod commit;
mod error;
pub mod parse;
pub mod update;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt};
use commit::Step;
use error::LARGEST;
pub use error::{FileProblem, HunkError, PatchError, PathProblem};
use parse::{Change, Hunk, parse};
use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

/// The instructions for the model.
pub const INSTRUCTIONS: &str = include_str!("instructions.md");

/// A directory whose files may be changed.
pub struct Workspace {
    root: Dir,
}

/// The operations of a patch.
#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
    /// The summary for the model, one line per file.
    summary: String,
    /// The paths that the patch has used so far.
    paths: HashSet<PathBuf>,
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

    /// Applies a patch. Returns a summary of the changes, or the error, as text for the model.
    pub fn answer(&self, call: &str) -> String {
        self.apply(call).unwrap_or_else(|error| format!("error: {}", error.report()))
    }

    // ANCHOR: apply
    /// Applies a patch completely, or not at all, and returns a summary of the changes. The patch may be wrapped in
    /// JSON, as `{"patch": …}` or `["apply_patch", …]`, and in a shell command.
    ///
    /// # Errors
    /// If the patch does not follow the format or does not fit the files. Then no file has changed.
    pub fn apply(&self, call: &str) -> Result<String, PatchError> {
        if call.len() as u64 > LARGEST {
            return Err(PatchError::TooLong(call.len()));
        }
        let changes = parse(&call::patch_of(call))?;
        let mut plan = Plan::default();
        for change in &changes {
            self.plan(change, &mut plan)?;
        }
        commit::carry_out(&self.root, &plan.steps)?;
        Ok(plan.summary)
    }
    // ANCHOR_END: apply

    fn plan(&self, change: &Change, plan: &mut Plan) -> Result<(), PatchError> {
        match change {
            Change::Add { path, text } => {
                let new = self.new_path(path, plan)?;
                plan.steps.push(Step::Write { path: new, text: text.clone(), attributes: None });
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
        let (text, found) = self.read(&old)?;
        let text = String::from_utf8(text).map_err(|_| FileProblem::NotUtf8.at(path))?;
        let text = update::update(&text, hunks).map_err(|error| FileProblem::from(error).at(path))?;
        match to {
            None => {
                plan.steps.push(Step::Write { path: old, text, attributes: Some(found.into()) });
                plan.summary += &format!("M {path}\n");
            }
            Some(to) => {
                let new = self.unused_path(to, plan)?;
                let replaces = self.root.symlink_metadata(&new).is_ok();
                if replaces {
                    self.read(&new)?;
                }
                plan.steps.push(Step::Write { path: new, text, attributes: Some(found.into()) });
                plan.steps.push(Step::Remove { path: old });
                plan.summary += &format!("R {path} → {to}{}\n", if replaces { " (replaced)" } else { "" });
            }
        }
        Ok(())
    }

    /// Checks a path that no other change of the patch may use.
    fn unused_path(&self, path: &str, plan: &mut Plan) -> Result<PathBuf, PatchError> {
        let clean = self.check(path)?;
        match plan.paths.insert(clean.clone()) {
            true => Ok(clean),
            false => Err(FileProblem::ChangedTwice.at(path)),
        }
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

    /// Returns the content of a plain file, and its metadata. The file must not have another hard link.
    fn read(&self, path: &Path) -> Result<(Vec<u8>, Metadata), PatchError> {
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
        Ok((bytes, found))
    }
}
