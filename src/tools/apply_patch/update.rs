//! Finding where hunks belong in a file.

use super::parse::{Fate, Hunk};

// ANCHOR: update
/// The text after the hunks, each of which is looked for behind the one before.
///
/// # Errors
/// The first line of a hunk that is not there, in words.
pub fn update(text: &str, hunks: &[Hunk]) -> Result<String, String> {
    let ends = text.is_empty() || text.ends_with('\n');
    let mut lines: Vec<&str> = text.split('\n').collect();
    if ends {
        lines.pop();
    }
    let is_dos = lines.first().is_some_and(|line| line.ends_with('\r'));
    let (mut out, mut from) = (Vec::new(), 0);
    for hunk in hunks {
        let at = place(&lines, hunk, from)?;
        out.extend(lines[from..at].iter().map(|line| line.to_string()));
        from = at;
        for (fate, line) in &hunk.lines {
            match fate {
                Fate::Comes => out.push(if is_dos { format!("{line}\r") } else { line.clone() }),
                // The file's own line, which may differ in its spaces.
                Fate::Stays => out.push(lines[from].to_string()),
                Fate::Goes => {}
            }
            from += usize::from(*fate != Fate::Comes);
        }
    }
    out.extend(lines[from..].iter().map(|line| line.to_string()));
    let last = if ends && !out.is_empty() { "\n" } else { "" };
    Ok(out.join("\n") + last)
}
// ANCHOR_END: update

/// The number of the line at which a hunk begins.
fn place(lines: &[&str], hunk: &Hunk, from: usize) -> Result<usize, String> {
    let mut from = from;
    for anchor in &hunk.anchors {
        let found = find(lines, &[anchor], from, false);
        from = found.ok_or_else(|| format!("there is no line {anchor:?} behind line {from}"))? + 1;
    }
    let before = hunk.before();
    if before.is_empty() {
        // Nothing says where but the anchor; without one the lines go to the end.
        return Ok(if hunk.anchors.is_empty() || hunk.at_end { lines.len() } else { from });
    }
    let found = find(lines, &before, from, hunk.at_end);
    found.ok_or_else(|| format!("the lines that begin with {:?} are not there behind line {from}", before[0]))
}

/// Where `wanted` stands: as it is, or with other spaces at the ends of lines, or on both sides.
fn find(lines: &[&str], wanted: &[&str], from: usize, at_end: bool) -> Option<usize> {
    let last = lines.len().checked_sub(wanted.len())?;
    let first = if at_end { last.max(from) } else { from };
    let forms: [fn(&str) -> &str; 3] = [|line| line.trim_end_matches('\r'), str::trim_end, str::trim];
    forms.iter().find_map(|form| {
        (first..=last).find(|&at| lines[at..].iter().zip(wanted).all(|(line, wanted)| form(line) == form(wanted)))
    })
}
