//! Errors: problems with files, arguments, and numbers that are not finite.
//!
//! Every message is one line that says where the problem is, what was found, what was expected, and what to do. A
//! mistake between two functions of the crate (shapes that do not fit) is not an [`Error`]: it is an `assert!`.

use std::io;
use std::path::{Path, PathBuf};

/// The result of an operation that depends on files, arguments or data.
pub type Result<T> = std::result::Result<T, Error>;

/// The error that caused another one.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error, and where it occurred.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation of the operating system failed: a missing file, a full disk, a missing permission.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operation, as a verb: `read`, `write`, `create`.
        action: &'static str,
        /// The reason of the operating system.
        source: io::Error,
    },
    /// The content of a file is wrong.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The field or tensor, what was found, and what was expected.
        message: String,
        /// The error that caused this one, if there is one. The message includes its text.
        source: Option<Cause>,
    },
    /// A flag, a prompt, a token id or a combination of settings cannot be used.
    #[error("{message}")]
    Argument {
        /// A description of what was found, and of what was expected.
        message: String,
        /// The error that caused this one, if there is one. The message includes its text.
        source: Option<Cause>,
    },
    /// Training stopped at an infinity or a NaN, before it reached the weights.
    #[error(
        "step {step}: {tensor} is not finite; the last good checkpoint is kept (a smaller --learning-rate usually helps)"
    )]
    NotFinite {
        /// The optimizer step, counted from 1.
        step: u64,
        /// The loss, or the gradient with respect to a parameter.
        tensor: String,
    },
    /// A rank of a job is gone.
    #[error("rank {rank}: {message}")]
    Rank {
        /// The number of the rank, from 0.
        rank: usize,
        /// A description of what happened.
        message: String,
    },
}

impl Error {
    /// Creates the error for an `action` that failed on the file at `path`.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), action, source }
    }

    /// Creates the error for a file with wrong content.
    pub fn file(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), message: one_line(message.into()), source: None }
    }

    /// Creates the error for a file whose content is wrong, as `source` says.
    pub fn invalid(path: impl AsRef<Path>, source: impl Into<Cause>) -> Self {
        let source = source.into();
        Self::file(path, source.to_string()).caused_by(source)
    }

    /// Creates the error for an argument that cannot be used.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::Argument { message: message.into(), source: None }
    }

    /// Creates the error for an argument that cannot be used, as `source` says.
    pub fn unusable(source: impl Into<Cause>) -> Self {
        let source = source.into();
        Self::argument(source.to_string()).caused_by(source)
    }

    /// Creates the error for a rank that has ended while others wait for it.
    pub fn gone(rank: usize) -> Self {
        Self::Rank { rank, message: "has ended before the others".into() }
    }

    /// Keeps the error that caused this one; see [`std::error::Error::source`].
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        if let Self::File { source, .. } | Self::Argument { source, .. } = &mut self {
            *source = Some(cause.into());
        }
        self
    }
}

/// Escapes control characters. A name in a file may contain line breaks, or sequences that a terminal would obey.
fn one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut shown = String::new();
    for c in message.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
