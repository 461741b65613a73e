//! Applies the hunks of a patch to the text of a file.

use super::error::HunkError;
use super::parse::{Hunk, LineKind};

/// The number of lines that may be compared in vain, which takes about a second. A patch of a few megabytes could take
/// days.
const MOST_COMPARED: u64 = 1 << 26;

// ANCHOR: update
/// Returns the text after the hunks. Each hunk is searched for after the one before it. The text ends with a newline
/// then, even if it did not before, because the format has lines only. Without hunks it stays as it is.
///
/// # Errors
/// If the lines of a hunk are not in the text.
pub fn update(text: &str, hunks: &[Hunk]) -> Result<String, HunkError> {
    if hunks.is_empty() {
        return Ok(text.into());
    }
    let is_dos = text.lines().next().is_some_and(|line| text[line.len()..].starts_with("\r\n"));
    let ends = text.is_empty() || text.ends_with('\n');
    let text = if ends { text.into() } else { format!("{text}{}", if is_dos { "\r\n" } else { "\n" }) };
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop(); // of an empty line after the last newline
    let mut text = Text { lines, compared: 0 };
    let (mut out, mut from) = (Vec::new(), 0);
    for hunk in hunks {
        let at = text.position(hunk, from)?;
        let lines = &text.lines;
        out.extend(lines[from..at].iter().map(|line| line.to_string()));
        from = at;
        for (kind, line) in &hunk.lines {
            match kind {
                LineKind::Added => out.push(if is_dos { format!("{line}\r") } else { line.clone() }),
                // The line of the file is kept, which may differ in white space.
                LineKind::Context => out.push(lines[from].to_string()),
                LineKind::Removed => {}
            }
            from += usize::from(*kind != LineKind::Added);
        }
    }
    out.extend(text.lines[from..].iter().map(|line| line.to_string()));
    let last = if out.is_empty() { "" } else { "\n" };
    Ok(out.join("\n") + last)
}
// ANCHOR_END: update

/// The lines of a file.
struct Text<'t> {
    lines: Vec<&'t str>,
    /// The number of lines that were compared so far.
    compared: u64,
}

impl Text<'_> {
    /// Returns the index of the line at which a hunk begins.
    fn position(&mut self, hunk: &Hunk, from: usize) -> Result<usize, HunkError> {
        let mut from = from;
        for anchor in &hunk.anchors {
            let missing = || HunkError::MissingAnchor { anchor: anchor.clone(), after: from };
            from = self.find(&[anchor], from, false)?.ok_or_else(missing)? + 1;
        }
        let before = hunk.before();
        if before.is_empty() {
            // Only the anchors tell where to add the lines. If there are none, the lines go to the end.
            return Ok(if hunk.anchors.is_empty() || hunk.at_end { self.lines.len() } else { from });
        }
        let missing = || HunkError::MissingLines { first: before[0].to_string(), after: from };
        self.find(&before, from, hunk.at_end)?.ok_or_else(missing)
    }

    /// Finds the lines `wanted`: exactly, or with other white space at the ends of lines, or also at the beginnings.
    fn find(&mut self, wanted: &[&str], from: usize, at_end: bool) -> Result<Option<usize>, HunkError> {
        let Some(last) = self.lines.len().checked_sub(wanted.len()) else { return Ok(None) };
        let first = if at_end { last.max(from) } else { from };
        let forms: [fn(&str) -> &str; 3] = [|line| line.trim_end_matches('\r'), str::trim_end, str::trim];
        for form in forms {
            for at in first..=last {
                let pairs = self.lines[at..].iter().zip(wanted);
                let equal = pairs.take_while(|(line, wanted)| form(line) == form(wanted)).count();
                if equal == wanted.len() {
                    return Ok(Some(at));
                }
                self.compared += equal as u64 + 1;
                if self.compared > MOST_COMPARED {
                    return Err(HunkError::TooMuch);
                }
            }
        }
        Ok(None)
    }
}
