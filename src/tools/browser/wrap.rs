//! Wraps text to lines of at most 80 characters, at the same positions as Python's
//! [`textwrap`](https://docs.python.org/3/library/textwrap.html), because the line numbers depend on it.

use unicode_general_category::{GeneralCategory, get_general_category};

/// The largest number of characters in a line.
const WIDTH: usize = 80;

/// Returns the lines of a text. All characters are kept, except that tabs become spaces.
pub fn wrap(text: &str) -> Vec<String> {
    text.split('\n').flat_map(wrap_line).collect()
}

fn wrap_line(line: &str) -> Vec<String> {
    let line = expand_tabs(line);
    let (mut lines, mut at) = (Vec::new(), 0);
    let pieces = pieces(&line);
    let mut pieces = pieces.iter().copied().peekable();
    let mut rest: Option<&[char]> = pieces.next();
    while rest.is_some() {
        let start = at;
        while let Some(piece) = rest {
            let room = WIDTH - (at - start);
            if piece.len() <= room {
                at += piece.len();
                rest = pieces.next();
                continue;
            }
            if piece.len() > WIDTH {
                // A piece that is longer than a line is cut: after a hyphen that fits on this line, or else where the
                // line is full.
                let hyphen = piece[..room].iter().rposition(|&c| c == '-');
                let hyphen = hyphen.filter(|&h| piece[..h].iter().any(|&c| c != '-'));
                let cut = hyphen.map_or(room, |h| h + 1);
                at += cut;
                rest = Some(&piece[cut..]);
            }
            break;
        }
        lines.push(line[start..at].iter().collect());
    }
    if lines.is_empty() { vec![String::new()] } else { lines }
}

fn expand_tabs(line: &str) -> Vec<char> {
    let (mut expanded, mut column) = (Vec::with_capacity(line.len()), 0);
    for c in line.chars() {
        match c {
            '\t' => {
                let spaces = 8 - column % 8;
                expanded.resize(expanded.len() + spaces, ' ');
                column += spaces;
            }
            _ => {
                expanded.push(c);
                column = if c == '\r' { 0 } else { column + 1 };
            }
        }
    }
    expanded
}

/// Splits a line into pieces that are not broken: white space, words, parts of words up to a hyphen, dashes.
fn pieces(line: &[char]) -> Vec<&[char]> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < line.len() {
        let mut end = start + 1;
        if is_space(line[start]) {
            end += line[end..].iter().take_while(|&&c| is_space(c)).count();
        } else if is_dash(line, start) {
            end += line[end..].iter().take_while(|&&c| c == '-').count();
        } else {
            loop {
                if breaks_after_hyphen(line, end) {
                    end += 1;
                    break;
                }
                if end == line.len() || is_space(line[end]) || is_dash(line, end) {
                    break;
                }
                end += 1;
            }
        }
        pieces.push(&line[start..end]);
        start = end;
    }
    pieces
}

/// Returns whether a line may be broken after a hyphen at this position: if there are two letters on both sides.
fn breaks_after_hyphen(line: &[char], at: usize) -> bool {
    let letter = |index: Option<usize>| index.and_then(|i| line.get(i)).is_some_and(|&c| is_letter(c));
    let hyphen = |index: Option<usize>| index.and_then(|i| line.get(i)) == Some(&'-');
    let (before, twice) = (at.checked_sub(1), at.checked_sub(2));
    let left = letter(before) && (letter(twice) || hyphen(twice) && letter(at.checked_sub(3)));
    let right = letter(Some(at + 1)) && (letter(Some(at + 2)) || hyphen(Some(at + 2)) && letter(Some(at + 3)));
    hyphen(Some(at)) && left && right
}

/// Returns whether there is a dash of two or more hyphens at this position, after a word and before one.
fn is_dash(line: &[char], at: usize) -> bool {
    let dashes = line[at..].iter().take_while(|&&c| c == '-').count();
    let before = at.checked_sub(1).map(|i| line[i]);
    let before = before.is_some_and(|c| is_word(c) || matches!(c, '!' | '"' | '\'' | '&' | '.' | ',' | '?'));
    dashes >= 2 && before && line.get(at + dashes).is_some_and(|&c| is_word(c))
}

fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// Returns whether Python's `\w` matches and `\d` does not.
fn is_letter(c: char) -> bool {
    is_word(c) && get_general_category(c) != GeneralCategory::DecimalNumber
}

/// Returns whether Python's `\w` matches.
fn is_word(c: char) -> bool {
    use GeneralCategory::*;
    let category = get_general_category(c);
    let letter = matches!(category, UppercaseLetter | LowercaseLetter | TitlecaseLetter | ModifierLetter | OtherLetter);
    c == '_' || letter || matches!(category, DecimalNumber | LetterNumber | OtherNumber)
}
