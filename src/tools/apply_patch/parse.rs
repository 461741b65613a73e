//! OpenAI's patch format: what is to be done to which file.
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
//! Nothing is found by line number: a hunk stands where its context does, behind the lines that its `@@` name.

/// What is done to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is made.
    Add {
        /// Where.
        path: String,
        /// With what in it.
        text: String,
    },
    /// It is removed.
    Delete {
        /// Which.
        path: String,
    },
    /// Some of its lines are replaced.
    Update {
        /// Which.
        path: String,
        /// Its new name, if it gets one.
        to: Option<String>,
        /// What is replaced, from top to bottom.
        hunks: Vec<Hunk>,
    },
}

/// Lines that stand together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hunk {
    /// Lines behind which it stands, one behind the other.
    pub anchors: Vec<String>,
    /// Its lines, with what becomes of them.
    pub lines: Vec<(Fate, String)>,
    /// Whether the file ends with it.
    pub at_end: bool,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Stays,
    /// It goes.
    Goes,
    /// It comes.
    Comes,
}

impl Hunk {
    /// The lines that must be there.
    pub fn before(&self) -> Vec<&str> {
        self.lines.iter().filter(|(fate, _)| *fate != Fate::Comes).map(|(_, line)| line.as_str()).collect()
    }
}

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File: ";
const DELETE: &str = "*** Delete File: ";
const UPDATE: &str = "*** Update File: ";
const MOVE: &str = "*** Move to: ";
const END_OF_FILE: &str = "*** End of File";

// ANCHOR: parse
/// Reads a patch.
///
/// # Errors
/// The number of the line that is not part of a patch, and what should stand there.
pub fn parse(patch: &str) -> Result<Vec<Change>, String> {
    let mut lines = Lines { rest: patch.trim().lines().map(|line| line.trim_end_matches('\r')).collect(), at: 0 };
    if lines.take() != Some(BEGIN) {
        return Err(format!("line 1: expected {BEGIN}"));
    }
    let mut changes = Vec::new();
    loop {
        let Some(line) = lines.take() else { return lines.wrong(END) };
        if line == END {
            break;
        }
        changes.push(if let Some(path) = line.strip_prefix(ADD) {
            added(&mut lines, path)?
        } else if let Some(path) = line.strip_prefix(DELETE) {
            Change::Delete { path: path.trim().into() }
        } else if let Some(path) = line.strip_prefix(UPDATE) {
            updated(&mut lines, path)?
        } else {
            return lines.wrong("*** Add File: , *** Delete File: , *** Update File: or *** End Patch");
        });
    }
    match (lines.peek(), changes.is_empty()) {
        (Some(_), _) => Err(format!("line {}: there is more behind {END}", lines.at + 1)),
        (None, true) => Err("the patch changes nothing".into()),
        (None, false) => Ok(changes),
    }
}
// ANCHOR_END: parse

struct Lines<'a> {
    rest: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let line = self.peek();
        self.at += usize::from(line.is_some());
        line
    }

    /// The line taken last is not what should stand there.
    fn wrong<T>(&self, expected: &str) -> Result<T, String> {
        Err(format!("line {}: expected {expected}", self.at.max(1)))
    }

    /// Whether a new file, or the end, comes next.
    fn is_at_header(&self) -> bool {
        self.peek()
            .is_none_or(|line| [END, ADD, DELETE, UPDATE].iter().any(|header| line.starts_with(header.trim_end())))
    }
}

fn added(lines: &mut Lines, path: &str) -> Result<Change, String> {
    let mut text = String::new();
    while !lines.is_at_header() {
        match lines.take().and_then(|line| line.strip_prefix('+')) {
            Some(line) => {
                text += line;
                text.push('\n');
            }
            None => return lines.wrong("a line of the new file, behind a +"),
        }
    }
    Ok(Change::Add { path: path.trim().into(), text })
}

fn updated(lines: &mut Lines, path: &str) -> Result<Change, String> {
    let to = lines.peek().and_then(|line| line.strip_prefix(MOVE)).map(|to| to.trim().to_string());
    if to.is_some() {
        lines.take();
    }
    let mut hunks = Vec::new();
    while !lines.is_at_header() {
        hunks.push(hunk(lines)?);
    }
    match hunks.is_empty() && to.is_none() {
        true => lines.wrong("@@ and the lines to be changed"),
        false => Ok(Change::Update { path: path.trim().into(), to, hunks }),
    }
}

fn hunk(lines: &mut Lines) -> Result<Hunk, String> {
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
        if line == END_OF_FILE {
            hunk.at_end = true;
            break;
        }
        let (fate, text) = match line.split_at_checked(1) {
            Some((" ", text)) => (Fate::Stays, text),
            Some(("-", text)) => (Fate::Goes, text),
            Some(("+", text)) => (Fate::Comes, text),
            None => (Fate::Stays, ""), // models leave the space of an empty line out
            Some(_) => return lines.wrong("a line that begins with a space, - or +, or @@"),
        };
        hunk.lines.push((fate, text.into()));
    }
    match hunk.lines.is_empty() {
        true => lines.wrong("lines to be changed"),
        false => Ok(hunk),
    }
}
