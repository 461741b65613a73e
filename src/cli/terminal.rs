//! Text that a model wrote, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Removes control characters except line ends and tabs, because a model can also write sequences that a terminal would
/// obey.
pub fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{FFFD}' } else { c };
    text.chars().map(shown).collect()
}

/// Returns the text as it may be written to a stream: without control characters if the stream is a terminal, otherwise as
/// it is.
pub fn shown_on(stream: &impl IsTerminal, text: &str) -> String {
    if stream.is_terminal() { printable(text) } else { text.to_string() }
}

/// Writes text to standard error, dim unless `NO_COLOR` is set, and without the end of a line.
pub fn eprint_dim(text: &str) {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dim = if plain { text.to_string() } else { format!("\x1b[2m{text}\x1b[0m") };
    let mut out = std::io::stderr().lock();
    _ = out.write_all(dim.as_bytes()).and_then(|()| out.flush()); // if it is closed, nobody sees it
}

/// A bar on a terminal while a long prompt is read.
#[derive(Default)]
pub struct Prefill {
    bar: Option<ProgressBar>,
}

impl Prefill {
    /// Shows that `read` of `of` tokens are read. The bar disappears at the end.
    pub fn show(&mut self, read: usize, of: usize) {
        if self.bar.is_none() && read >= of {
            return; // a short prompt is read at once
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = if super::is_quiet() { ProgressBar::hidden() } else { ProgressBar::new(of as u64) };
            let style = ProgressStyle::with_template("{bar:12} {pos}/{len} tokens of the prompt  {eta} left");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_position(read as u64);
        if read >= of {
            bar.finish_and_clear();
            self.bar = None;
        }
    }
}

/// Breaks a stream of text into lines of at most `width` characters, between words.
pub struct Lines {
    width: usize,
    line: String,
}

impl Lines {
    /// Creates an empty stream.
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1), line: String::new() }
    }

    /// Takes a piece of text and returns the lines that are complete.
    pub fn push(&mut self, piece: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for c in piece.chars() {
            if c == '\n' {
                lines.push(std::mem::take(&mut self.line));
                continue;
            }
            self.line.push(c);
            if self.line.chars().count() > self.width {
                lines.push(self.break_line());
            }
        }
        lines
    }

    /// Returns the last line.
    pub fn finish(self) -> String {
        self.line
    }

    /// Takes the beginning of a line that is too long: up to its last space, or everything except the last character.
    fn break_line(&mut self) -> String {
        let last = self.line.char_indices().last().map_or(0, |(at, _)| at);
        let space = self.line.rfind(' ').filter(|&at| !self.line[..at].trim().is_empty());
        let (end, rest) = space.map_or((last, last), |at| (at, at + 1));
        let rest = self.line.split_off(rest);
        let mut line = std::mem::replace(&mut self.line, rest);
        line.truncate(end);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, printable};

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\tb\n\x1b[2Jc\r\u{9b}d"), "a\tb\n\u{FFFD}[2Jc\u{FFFD}\u{FFFD}d");
    }

    #[test]
    fn lines_break_between_words() {
        let lines = |pieces: &[&str]| {
            let mut lines = Lines::new(8);
            let mut all: Vec<String> = pieces.iter().flat_map(|piece| lines.push(piece)).collect();
            all.push(lines.finish());
            all
        };
        assert_eq!(lines(&["one two", " three\nfo", "ur"]), ["one two", "three", "four"]);
        assert_eq!(lines(&["abcdefghijklmnopqr st"]), ["abcdefgh", "ijklmnop", "qr st"]);
        assert_eq!(lines(&["ééééééééé"]), ["éééééééé", "é"]);
        assert_eq!(lines(&["12345678 9"]), ["12345678", "9"]);
        assert_eq!(lines(&[]), [""]);
    }
}
