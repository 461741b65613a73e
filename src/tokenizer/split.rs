//! Pre-tokenization: text is cut into pieces, and no token ever spans two pieces.
//!
//! The pieces are those of o200k, the regular expression of GPT-4o and gpt-oss ([`PATTERN`], published in
//! <https://github.com/openai/tiktoken>, `tiktoken_ext/openai_public.py`). A regex engine finds them by trying seven
//! alternatives and backtracking. Here they are one forward scan. With X the letters that may stand in the upper-case
//! part (Lu Lt Lm Lo M), Y those that may stand in the lower-case part (Ll Lm Lo M), and B what is in both:
//!
//! 1. **Words** (alternatives 1 and 2). Take an optional leading character, then the longest run of X. If a Ll follows,
//!    `Y+` takes it and the rest of the run of Y. If not, `X*` must hand a character back to `Y+`; the last one that
//!    `Y+` accepts is the last B of the run, so the word ends just after it. If the run holds no B, alternative 1 has
//!    failed, and alternative 2 takes the run, which is Lu and Lt only: its `Y*` is empty.
//! 2. **The leading character** is whitespace or a symbol, but no line break. A mark may also lead, and then is a B as
//!    well; reading it as the first letter gives the same word in every case, so only non-letters are treated as leading.
//!    If no X or Y follows it, alternatives 1 and 2 fail.
//! 3. **Numbers** (3) and **symbols** (4) never give anything back: what follows their greedy runs is optional.
//! 4. **Whitespace** (5, 6, 7). Of the longest run, `\s*[\r\n]+` keeps all up to the last line break. Without a line
//!    break, `\s+(?!\S)` keeps the run if the text ends there, and otherwise leaves its last character to the next piece;
//!    `\s+` keeps a run of one.
//!
//! Linear time: what a word hands back is a run of Lu and Lt that becomes the next word whole. What whitespace hands back
//! holds no line break, and what that hands back is one character. So each character is in at most three of the runs.
//!
//! Categories are those of Unicode 16.0 (`unicode-general-category` 1.1), the version of the tables that tiktoken 0.14
//! is built with (`regex-syntax` 0.8). `\s` is the property White_Space, and `(?i:'s)` also takes `ſ` (U+017F).

use unicode_general_category::{GeneralCategory, get_general_category};

/// The regular expression whose pieces [`split`] yields, as tiktoken and `tokenizer.json` spell it.
pub const PATTERN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"|\s*[\r\n]+",
    r"|\s+(?!\S)",
    r"|\s+",
);

/// What the pattern can tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// Lu, Lt.
    Upper,
    /// Ll.
    Lower,
    /// Lm, Lo and the marks Mn, Mc, Me: at home in both parts of a word.
    Both,
    /// Nd, Nl, No.
    Number,
    /// `\r` and `\n`.
    LineBreak,
    /// The rest of White_Space.
    Space,
    /// Punctuation, symbols, controls, unassigned.
    Symbol,
}

const fn ascii_class(byte: u8) -> Class {
    match byte {
        b'A'..=b'Z' => Class::Upper,
        b'a'..=b'z' => Class::Lower,
        b'0'..=b'9' => Class::Number,
        b'\r' | b'\n' => Class::LineBreak,
        b' ' | b'\t' | 0x0b | 0x0c => Class::Space,
        _ => Class::Symbol,
    }
}

/// [`ascii_class`] of every ASCII byte: most text is ASCII, and a load is cheaper than seven comparisons.
static ASCII: [Class; 128] = {
    let mut table = [Class::Symbol; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = ascii_class(byte as u8);
        byte += 1;
    }
    table
};

fn class_of(c: char) -> Class {
    use GeneralCategory as G;
    if c.is_ascii() {
        return ASCII[c as usize];
    }
    match get_general_category(c) {
        G::UppercaseLetter | G::TitlecaseLetter => Class::Upper,
        G::LowercaseLetter => Class::Lower,
        G::ModifierLetter | G::OtherLetter => Class::Both,
        G::NonspacingMark | G::SpacingMark | G::EnclosingMark => Class::Both,
        G::DecimalNumber | G::LetterNumber | G::OtherNumber => Class::Number,
        _ if c.is_whitespace() => Class::Space,
        _ => Class::Symbol,
    }
}

/// Whether `c` is a mark (M): part of a word, yet not a letter, so that a run of symbols takes it too.
fn is_mark(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark, SpacingMark};
    !c.is_ascii() && matches!(get_general_category(c), NonspacingMark | SpacingMark | EnclosingMark)
}

// ANCHOR: split
/// The pieces of `text`, in order. Joined, they are `text`; none is empty.
pub fn split(text: &str) -> Split<'_> {
    Split { rest: text }
}

/// The iterator that [`split`] returns.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest;
        let (first, width) = class_at(text, 0)?;
        let end = match first {
            Class::Upper | Class::Lower | Class::Both => word(text, 0),
            Class::Number => number(text, width),
            Class::LineBreak => whitespace(text, width),
            Class::Space | Class::Symbol => match class_at(text, width) {
                Some((Class::Upper | Class::Lower | Class::Both, _)) => word(text, width),
                Some((Class::Symbol, _)) if text.starts_with(' ') => symbols(text, width),
                _ if first == Class::Symbol => symbols(text, width),
                _ => whitespace(text, width),
            },
        };
        let (piece, rest) = text.split_at(end);
        self.rest = rest;
        Some(piece)
    }
}
// ANCHOR_END: split

/// The class of the character that starts at byte `at`, and its length in bytes; `None` at the end of the text.
#[inline(always)]
fn class_at(text: &str, at: usize) -> Option<(Class, usize)> {
    let byte = *text.as_bytes().get(at)?;
    if byte < 128 {
        return Some((ASCII[byte as usize], 1));
    }
    text[at..].chars().next().map(|c| (class_of(c), c.len_utf8()))
}

// ANCHOR: word
/// The end of the word whose letters start at byte `at`, where an X or a Y stands.
fn word(text: &str, at: usize) -> usize {
    let mut end = at;
    let mut after_last_both = None;
    loop {
        match class_at(text, end) {
            Some((Class::Upper, width)) => end += width,
            Some((Class::Both, width)) => {
                end += width;
                after_last_both = Some(end);
            }
            Some((Class::Lower, width)) => {
                end = lower_run(text, end + width);
                break;
            }
            _ => {
                end = after_last_both.unwrap_or(end);
                break;
            }
        }
    }
    end + contraction(&text.as_bytes()[end..])
}
// ANCHOR_END: word

/// The end of the run of Y that goes on at byte `at`.
fn lower_run(text: &str, mut at: usize) -> usize {
    while let Some((Class::Lower | Class::Both, width)) = class_at(text, at) {
        at += width;
    }
    at
}

/// The length of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at the start of `bytes`, 0 if it does not stand there.
fn contraction(bytes: &[u8]) -> usize {
    let [b'\'', letters @ ..] = bytes else { return 0 };
    match letters {
        [b's' | b'S' | b't' | b'T' | b'm' | b'M' | b'd' | b'D', ..] => 2,
        [b'r' | b'R' | b'v' | b'V', b'e' | b'E', ..] | [b'l' | b'L', b'l' | b'L', ..] => 3,
        [0xc5, 0xbf, ..] => 3, // ſ, which folds to s
        _ => 0,
    }
}

/// The end of a number whose first digit ends at byte `at`: at most three characters.
fn number(text: &str, mut at: usize) -> usize {
    for _ in 0..2 {
        match class_at(text, at) {
            Some((Class::Number, width)) => at += width,
            _ => break,
        }
    }
    at
}

/// The end of a run of symbols and marks that goes on at byte `at`, with the line breaks and slashes that follow it.
fn symbols(text: &str, at: usize) -> usize {
    let is_symbol = |c: char| match class_of(c) {
        Class::Symbol => true,
        Class::Both => is_mark(c),
        _ => false,
    };
    let run = text[at..].find(|c| !is_symbol(c)).map_or(text.len(), |n| at + n);
    let tail = text.as_bytes()[run..].iter().take_while(|b| matches!(b, b'\r' | b'\n' | b'/'));
    run + tail.count()
}

// ANCHOR: whitespace
/// The end of the whitespace piece whose first character ends at byte `at`.
fn whitespace(text: &str, at: usize) -> usize {
    let mut end = at;
    let mut last_start = 0; // where the last character of the run starts
    let mut after_last_break = matches!(text.as_bytes()[0], b'\r' | b'\n').then_some(at);
    while let Some((class @ (Class::Space | Class::LineBreak), width)) = class_at(text, end) {
        last_start = end;
        end += width;
        if class == Class::LineBreak {
            after_last_break = Some(end);
        }
    }
    match after_last_break {
        Some(after) => after,
        None if end == text.len() || last_start == 0 => end,
        None => last_start,
    }
}
// ANCHOR_END: whitespace
