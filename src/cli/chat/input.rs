//! The questions of a user: lines of a terminal, with editing, completion and a history, or lines of a file.

use crate::error::{Error, Result};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Context, Editor, Helper, Highlighter, Hinter, Validator};
use std::io::{self, BufRead, IsTerminal, StdinLock};
use std::path::PathBuf;

/// The source of the lines.
pub enum Input {
    /// A terminal, with the file that keeps its history.
    Terminal(Box<Editor<Commands, DefaultHistory>>, Option<PathBuf>),
    /// A file or a pipe.
    Lines(StdinLock<'static>),
}

impl Input {
    /// Opens standard input.
    ///
    /// # Errors
    /// If the terminal cannot be used.
    pub fn new() -> Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Lines(io::stdin().lock()));
        }
        let mut editor = Editor::new().map_err(unreadable)?;
        editor.set_helper(Some(Commands { files: FilenameCompleter::new() }));
        let history = history_file();
        if let Some(path) = &history {
            _ = editor.load_history(path); // the first session has none
        }
        Ok(Self::Terminal(Box::new(editor), history))
    }

    /// Returns the next line; `None` at the end of the input. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// If the input cannot be read.
    pub fn line(&mut self) -> Result<Option<String>> {
        match self {
            Self::Terminal(editor, history) => loop {
                return match editor.readline("> ") {
                    Ok(line) => {
                        // A line that is not kept is no loss.
                        _ = editor.add_history_entry(&line);
                        _ = history.as_ref().map(|path| editor.append_history(path));
                        Ok(Some(line))
                    }
                    Err(ReadlineError::Interrupted) => continue, // the line is thrown away
                    Err(ReadlineError::Eof) => Ok(None),
                    Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                        say!("that line is not UTF-8; is the encoding of the terminal another one?");
                        continue;
                    }
                    Err(error) => Err(unreadable(error)),
                };
            },
            Self::Lines(lines) => {
                let mut bytes = Vec::new();
                match lines.read_until(b'\n', &mut bytes).map_err(|e| Error::io("standard input", "read", e))? {
                    0 => Ok(None),
                    _ => Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_string())),
                }
            }
        }
    }
}

fn unreadable(error: ReadlineError) -> Error {
    Error::argument(format!("the terminal cannot be read: {error}")).caused_by(error)
}

/// Returns the file that keeps the questions of all sessions, `ossia/history` below `XDG_STATE_HOME` or `~/.local/state`;
/// `None` if it cannot be created.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let directory = state.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?.join("ossia");
    std::fs::create_dir_all(&directory).ok()?;
    let path = directory.join("history");
    // What was asked is for its author only.
    #[cfg(unix)]
    if !path.exists() {
        use std::os::unix::fs::OpenOptionsExt;
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).ok()?;
    }
    Some(path)
}

/// Completes the commands of a chat, and the names of files after `/save` and `/load`.
#[derive(Helper, Highlighter, Hinter, Validator)]
pub struct Commands {
    files: FilenameCompleter,
}

impl Completer for Commands {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, context: &Context) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..at];
        if before.starts_with("/save ") || before.starts_with("/load ") {
            return self.files.complete(line, at, context);
        }
        let found =
            super::commands::COMMANDS.iter().filter(|(name, _)| before.starts_with('/') && name.starts_with(before));
        let pair = |(name, argument): &(&str, bool)| Pair {
            display: name.to_string(),
            replacement: if *argument { format!("{name} ") } else { name.to_string() },
        };
        Ok((0, found.map(pair).collect()))
    }
}
