//! What can go wrong with things from outside: files, arguments, numbers that leave the finite.
//!
//! Every message is one line that says where, what was found, what was expected, and what to do.
//! A mistake between two of our own functions (a shape that does not fit) is not an [`Error`]: it is an `assert!`.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything that touches the outside.
pub type Result<T> = std::result::Result<T, Error>;

/// What was wrong, and where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused: a missing file, a full disk, a missing permission.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was being done, as a verb: `read`, `write`, `create`.
        action: &'static str,
        /// The system's own reason.
        source: io::Error,
    },
    /// A file was read, and its content is not what it has to be.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The field or tensor, what was found, what was expected.
        message: String,
    },
    /// A flag, a prompt, a token id or a combination of settings that cannot be used.
    #[error("{0}")]
    Argument(String),
    /// Training met an infinity or a NaN and stopped before it could reach the weights.
    #[error(
        "step {step}: {tensor} is not finite; the last good checkpoint is kept (a smaller --learning-rate usually helps)"
    )]
    NotFinite {
        /// The optimizer step, from 1.
        step: u64,
        /// `loss`, or the gradient of a parameter by name.
        tensor: String,
    },
}

impl Error {
    /// The system refused to `action` the file at `path`.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), action, source }
    }

    /// The file at `path` has the wrong content.
    pub fn file(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), message: one_line(message.into()) }
    }

    /// An argument cannot be used.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::Argument(message.into())
    }
}

/// A name in a file may hold line breaks, or what a terminal obeys: such characters are shown, not sent.
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
