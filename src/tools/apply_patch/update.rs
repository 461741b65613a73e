//! Applies the hunks of a patch to the text of a file.

use super::error::HunkError;
use super::parse::{Hunk, LineKind};

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
    let (mut out, mut from) = (Vec::new(), 0);
    for hunk in hunks {
        let at = position(&lines, hunk, from)?;
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
    out.extend(lines[from..].iter().map(|line| line.to_string()));
    let last = if out.is_empty() { "" } else { "\n" };
    Ok(out.join("\n") + last)
}
// ANCHOR_END: update

/// Returns the index of the line at which a hunk begins.
fn position(lines: &[&str], hunk: &Hunk, from: usize) -> Result<usize, HunkError> {
    let mut from = from;
    for anchor in &hunk.anchors {
        let missing = || HunkError::MissingAnchor { anchor: anchor.clone(), after: from };
        from = find(lines, &[anchor], from, false).ok_or_else(missing)? + 1;
    }
    let before = hunk.before();
    if before.is_empty() {
        // Only the anchors tell where to add the lines. If there are none, the lines go to the end.
        return Ok(if hunk.anchors.is_empty() || hunk.at_end { lines.len() } else { from });
    }
    let missing = || HunkError::MissingLines { first: before[0].to_string(), after: from };
    find(lines, &before, from, hunk.at_end).ok_or_else(missing)
}

/// Finds the lines `wanted`: exactly, or with other white space at the ends of lines, or also at the beginnings.
fn find(lines: &[&str], wanted: &[&str], from: usize, at_end: bool) -> Option<usize> {
    let last = lines.len().checked_sub(wanted.len())?;
    let first = if at_end { last.max(from) } else { from };
    let forms: [fn(&str) -> &str; 3] = [|line| line.trim_end_matches('\r'), str::trim_end, str::trim];
    forms.iter().find_map(|form| {
        (first..=last).find(|&at| lines[at..].iter().zip(wanted).all(|(line, wanted)| form(line) == form(wanted)))
    })
}
