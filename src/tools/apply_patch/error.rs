//! The reasons for which a patch is refused. The messages are written for the model.

use std::io;

/// The largest file, and the largest patch, in bytes.
pub const LARGEST: u64 = 16 << 20;

/// A patch that cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The patch is too long.
    #[error("the patch has {0} bytes, expected at most {LARGEST}")]
    TooLong(usize),
    /// A line does not follow the format.
    #[error("line {line}: expected {expected}")]
    UnexpectedLine {
        /// The number of the line, from 1.
        line: usize,
        /// The lines that are allowed there.
        expected: &'static str,
    },
    /// There are lines after the end of the patch.
    #[error("line {0}: there is text after *** End Patch")]
    TextAfterEnd(usize),
    /// The patch contains no change.
    #[error("the patch changes nothing")]
    Empty,
    /// A path is not allowed.
    #[error("{path:?}: {problem}")]
    Path {
        /// The path in the patch.
        path: String,
        /// The problem with it.
        #[source]
        problem: PathProblem,
    },
    /// A file cannot be changed.
    #[error("{path}: {problem}")]
    File {
        /// The path in the patch.
        path: String,
        /// The problem with it.
        #[source]
        problem: FileProblem,
    },
    /// A step failed, and an earlier one cannot be undone.
    #[error("{path}: {problem}; the file cannot be restored, and its old content is in {kept}")]
    NotRestored {
        /// The file that is not as before.
        path: String,
        /// The reason of the operating system.
        #[source]
        problem: io::Error,
        /// The file with the old content.
        kept: String,
    },
}

impl PatchError {
    /// Returns the message, and says that nothing was changed if that is so.
    pub fn report(&self) -> String {
        match self {
            Self::NotRestored { .. } => self.to_string(),
            _ => format!("{self}; nothing was changed"),
        }
    }
}

/// The problem with a path.
#[derive(Debug, thiserror::Error)]
pub enum PathProblem {
    /// The path is empty or contains control characters.
    #[error("is not a path")]
    NotAPath,
    /// The path is inside a `.git` directory.
    #[error("is in .git")]
    InGit,
    /// The path is absolute or contains `..`.
    #[error("leads out of the workspace")]
    Outside,
    /// A part of the path is a symbolic link.
    #[error("contains a link")]
    Link,
    /// The path is the workspace itself.
    #[error("is not a file")]
    Root,
    /// The system cannot look up the path.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The problem with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// Two changes of the patch concern the same file.
    #[error("the patch changes it twice")]
    ChangedTwice,
    /// The file should be new but exists.
    #[error("already exists")]
    Exists,
    /// The path is a directory, a pipe or a device.
    #[error("is not a file")]
    NotAFile,
    /// The file has a second hard link.
    #[error("has another hard link, maybe outside of the workspace")]
    HardLink,
    /// The file is too long.
    #[error("has {0} bytes, expected at most {LARGEST}")]
    TooLong(u64),
    /// The file is not text.
    #[error("not UTF-8")]
    NotUtf8,
    /// A hunk does not fit the text.
    #[error(transparent)]
    Hunk(#[from] HunkError),
    /// The system cannot read or write the file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileProblem {
    /// Adds the path of the file.
    pub fn at(self, path: impl std::fmt::Display) -> PatchError {
        PatchError::File { path: path.to_string(), problem: self }
    }
}

/// A hunk that does not fit the text of the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HunkError {
    /// A line after `@@` is not in the file.
    #[error("there is no line {anchor:?} after line {after}")]
    MissingAnchor {
        /// The line.
        anchor: String,
        /// The number of lines that come before the search.
        after: usize,
    },
    /// The lines to be changed are not in the file.
    #[error("the lines that begin with {first:?} are not found after line {after}")]
    MissingLines {
        /// The first of the lines.
        first: String,
        /// The number of lines that come before the search.
        after: usize,
    },
    /// The search for the hunks takes too long.
    #[error("it takes too long to find the lines to be changed; use smaller patches")]
    TooMuch,
}
