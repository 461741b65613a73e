//! Parses OpenAI's patch format.
//!
//! ```text
//! *** Begin Patch
//! *** Add File: notes/new.txt
//! +its lines
//! *** Update File: src/main.rs
//! *** Move to: src/bin/main.rs
//! @@ fn main() {
//!      let x = 1;
//! -    print(x);
//! +    println!("{x}");
//! *** End of File
//! *** Delete File: old.txt
//! *** End Patch
//! ```
//!
//! There are no line numbers. A hunk applies where its context lines are found, after the lines that its `@@` name.
//!
//! Models also write the patch as they would in a shell, as `apply_patch <<'EOF'`, the patch, and `EOF`. They put spaces
//! around the lines with `***`. Both are accepted. Only within a hunk a line that begins with a space is a line of the
//! file, whatever follows.

use super::error::PatchError;

/// A change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Creates a file.
    Add {
        /// The path of the file.
        path: String,
        /// The content of the file.
        text: String,
    },
    /// Removes a file.
    Delete {
        /// The path of the file.
        path: String,
    },
    /// Replaces lines of a file.
    Update {
        /// The path of the file.
        path: String,
        /// The new path, if the file is moved.
        to: Option<String>,
        /// The replaced parts, from top to bottom.
        hunks: Vec<Hunk>,
    },
}

/// A contiguous block of lines, some of which are added or removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hunk {
    /// Lines that the file must contain before the hunk, in this order.
    pub anchors: Vec<String>,
    /// The lines of the hunk, with their kinds.
    pub lines: Vec<(LineKind, String)>,
    /// Whether the hunk is at the end of the file.
    pub at_end: bool,
}

/// The kind of a line in a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// A line that does not change.
    Context,
    /// A line that is removed.
    Removed,
    /// A line that is added.
    Added,
}

impl Hunk {
    /// Returns the lines that the file must contain: all except the added ones.
    pub fn before(&self) -> Vec<&str> {
        self.lines.iter().filter(|(kind, _)| *kind != LineKind::Added).map(|(_, line)| line.as_str()).collect()
    }
}

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File:";
const DELETE: &str = "*** Delete File:";
const UPDATE: &str = "*** Update File:";
const MOVE: &str = "*** Move to:";
const END_OF_FILE: &str = "*** End of File";

// ANCHOR: parse
/// Parses a patch.
///
/// # Errors
/// If a line does not follow the format. The error contains its number and what was expected.
pub fn parse(patch: &str) -> Result<Vec<Change>, PatchError> {
    let mut lines = Lines::of(patch);
    if lines.take().map(str::trim) != Some(BEGIN) {
        return lines.unexpected(BEGIN);
    }
    let mut changes = Vec::new();
    loop {
        let Some(line) = lines.take().map(str::trim) else { return lines.unexpected(END) };
        if line == END {
            break;
        }
        if line.is_empty() {
            continue;
        }
        changes.push(if let Some(path) = line.strip_prefix(ADD) {
            added(&mut lines, path)?
        } else if let Some(path) = line.strip_prefix(DELETE) {
            Change::Delete { path: path.trim().into() }
        } else if let Some(path) = line.strip_prefix(UPDATE) {
            updated(&mut lines, path)?
        } else {
            return lines.unexpected("*** Add File: , *** Delete File: , *** Update File: or *** End Patch");
        });
    }
    match (lines.peek(), changes.is_empty()) {
        (Some(_), _) => Err(PatchError::TextAfterEnd(lines.at + 1)),
        (None, true) => Err(PatchError::Empty),
        (None, false) => Ok(changes),
    }
}
// ANCHOR_END: parse

/// The lines of a patch, and the index of the next one.
struct Lines<'a> {
    rest: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    /// Splits a patch into lines, without the empty lines and the shell command around it.
    fn of(patch: &'a str) -> Self {
        let mut rest: Vec<&str> = patch.trim_end().lines().map(|line| line.trim_end_matches('\r')).collect();
        let mut at = rest.iter().take_while(|line| line.trim().is_empty()).count();
        if let Some(word) = rest.get(at).and_then(|line| heredoc(line)) {
            at += 1 + rest[at + 1..].iter().take_while(|line| line.trim().is_empty()).count();
            if rest.last().is_some_and(|last| last.trim() == word) {
                rest.pop();
            }
        }
        while rest.len() > at && rest.last().is_some_and(|last| last.trim().is_empty()) {
            rest.pop();
        }
        Self { rest, at }
    }

    fn peek(&self) -> Option<&'a str> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let line = self.peek();
        self.at += usize::from(line.is_some());
        line
    }

    /// Returns the error that the line taken last is not one of the expected lines.
    fn unexpected<T>(&self, expected: &'static str) -> Result<T, PatchError> {
        Err(PatchError::UnexpectedLine { line: self.at.max(1), expected })
    }

    /// Returns whether the header of another file, or the end of the patch, comes next. Inside a hunk a header is not
    /// indented, except for the end in the last line: as a line of a hunk it would leave the patch without an end.
    fn is_at_header(&self) -> bool {
        self.peek().is_none_or(|line| is_header(line) || (self.at + 1 == self.rest.len() && line.trim() == END))
    }
}

fn is_header(line: &str) -> bool {
    [END, ADD, DELETE, UPDATE].iter().any(|header| line.starts_with(header))
}

/// Returns the word that ends a patch, if the line begins a shell command with the patch as its input:
/// `apply_patch <<'EOF'`.
fn heredoc(line: &str) -> Option<&str> {
    let line = line.trim();
    let command = ["apply_patch", "applypatch"].iter().find_map(|name| line.strip_prefix(name));
    let word = command.unwrap_or(line).trim_start().strip_prefix("<<")?;
    let word = word.strip_prefix('-').unwrap_or(word).trim_start();
    let quoted = ['\'', '"'].iter().find_map(|quote| word.strip_prefix(*quote)?.strip_suffix(*quote));
    let word = quoted.or(word.strip_prefix('\\')).unwrap_or(word);
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_word.then_some(word)
}

fn added(lines: &mut Lines, path: &str) -> Result<Change, PatchError> {
    let mut text = String::new();
    while !lines.peek().is_none_or(|line| is_header(line.trim_start())) {
        match lines.take().and_then(|line| line.strip_prefix('+')) {
            Some(line) => {
                text += line;
                text.push('\n');
            }
            None => return lines.unexpected("a line of the new file, after a +"),
        }
    }
    Ok(Change::Add { path: path.trim().into(), text })
}

fn updated(lines: &mut Lines, path: &str) -> Result<Change, PatchError> {
    let to = lines.peek().and_then(|line| line.strip_prefix(MOVE)).map(|to| to.trim().to_string());
    if to.is_some() {
        lines.take();
    }
    let mut hunks = Vec::new();
    while !lines.is_at_header() {
        hunks.push(hunk(lines)?);
    }
    match hunks.is_empty() && to.is_none() {
        true => lines.unexpected("@@ and the lines to be changed"),
        false => Ok(Change::Update { path: path.trim().into(), to, hunks }),
    }
}

fn hunk(lines: &mut Lines) -> Result<Hunk, PatchError> {
    let mut hunk = Hunk::default();
    while let Some(anchor) = lines.peek().and_then(|line| line.strip_prefix("@@")) {
        lines.take();
        let anchor = anchor.strip_prefix(' ').unwrap_or(anchor);
        if !anchor.trim().is_empty() {
            hunk.anchors.push(anchor.into());
        }
    }
    while !lines.is_at_header() && !lines.peek().is_some_and(|line| line.starts_with("@@")) {
        let Some(line) = lines.take() else { break };
        if line.trim_end() == END_OF_FILE {
            hunk.at_end = true;
            break;
        }
        let (kind, text) = match line.split_at_checked(1) {
            Some((" ", text)) => (LineKind::Context, text),
            Some(("-", text)) => (LineKind::Removed, text),
            Some(("+", text)) => (LineKind::Added, text),
            None => (LineKind::Context, ""), // models omit the space of an empty line
            Some(_) => return lines.unexpected("a line that begins with a space, - or +, or @@"),
        };
        hunk.lines.push((kind, text.into()));
    }
    match hunk.lines.is_empty() {
        true => lines.unexpected("lines to be changed"),
        false => Ok(hunk),
    }
}
