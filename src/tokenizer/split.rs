//! Pre-tokenization: cuts text into pieces. No token ever spans two pieces.
//!
//! The pieces are those of o200k, the regular expression of GPT-4o and gpt-oss ([`PATTERN`], published in
//! <https://github.com/openai/tiktoken>, `tiktoken_ext/openai_public.py`). A regex engine finds them by trying seven
//! alternatives with backtracking. Here one forward scan finds them. Let X be the letters that may occur in the
//! upper-case part of a word (Lu Lt Lm Lo M), Y those that may occur in the lower-case part (Ll Lm Lo M), and B those
//! in both:
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
//! The scan takes linear time. A word hands back a run of Lu and Lt, which becomes the next word as a whole. Whitespace
//! hands back a run without a line break, and that run in turn hands back a single character. So each character is
//! scanned at most three times.
//!
//! The categories are those of Unicode 16.0 (`unicode-general-category` 1.1), the same as in the tables of tiktoken
//! 0.14 (`regex-syntax` 0.8). `\s` is the property White_Space, and `(?i:'s)` also matches `ſ` (U+017F).

use unicode_general_category::{GeneralCategory, get_general_category};

/// The regular expression whose matches [`split`] yields, as tiktoken and `tokenizer.json` spell it.
pub const PATTERN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"|\s*[\r\n]+",
    r"|\s+(?!\S)",
    r"|\s+",
);

/// The classes of characters that the pattern distinguishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// Upper-case and title-case letters: Lu, Lt.
    Upper,
    /// Lower-case letters: Ll.
    Lower,
    /// Other letters Lm, Lo and the marks Mn, Mc, Me, which may occur in both parts of a word.
    Both,
    /// Numbers: Nd, Nl, No.
    Number,
    /// Line breaks: `\r` and `\n`.
    LineBreak,
    /// All other White_Space.
    Space,
    /// All other characters: punctuation, symbols, control characters, unassigned code points.
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

/// The table of [`ascii_class`]. Most text is ASCII, and a load is cheaper than seven comparisons.
static ASCII: [Class; 128] = {
    let mut table = [Class::Symbol; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = ascii_class(byte as u8);
        byte += 1;
    }
    table
};

/// The class of each byte as a number: that of [`ASCII`], or 7 for a byte of a character that is not ASCII.
static ASCII_OR_NOT: [u8; 256] = {
    let mut table = [7; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = ASCII[byte] as u8;
        byte += 1;
    }
    table
};

/// The number of bytes before the lower-case letters of a simple word (see [`short_word`]), indexed by the classes of its first
/// and second byte; 16 if no simple word starts with these classes.
static LEAD: [[usize; 8]; 8] = {
    const UPPER: usize = Class::Upper as usize;
    const LOWER: usize = Class::Lower as usize;
    let mut table = [[16; 8]; 8];
    table[LOWER] = [0; 8];
    table[UPPER][LOWER] = 1;
    let mut leading = [16; 8];
    leading[LOWER] = 1;
    leading[UPPER] = 2;
    table[Class::Space as usize] = leading;
    table[Class::Symbol as usize] = leading;
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

/// Returns whether `c` is a mark (M). A mark is part of a word but not a letter, so a run of symbols includes it too.
fn is_mark(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark, SpacingMark};
    !c.is_ascii() && matches!(get_general_category(c), NonspacingMark | SpacingMark | EnclosingMark)
}

/// Returns the pieces of `text`, in order. Joined, they give `text`, and none of them is empty.
pub fn split(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

/// An iterator over the pieces of a text; see [`split`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest;
        let end = match text.as_bytes().first_chunk().and_then(short_word) {
            Some(end) => end,
            None => piece(text)?,
        };
        let (piece, rest) = text.split_at(end);
        self.rest = rest;
        Some(piece)
    }
}

// ANCHOR: piece
/// Returns the end of the first piece of `text`; `None` if there is no text.
fn piece(text: &str) -> Option<usize> {
    let (first, width) = class_at(text, 0)?;
    Some(match first {
        Class::Upper | Class::Lower | Class::Both => word(text, 0),
        Class::Number => number(text, width),
        Class::LineBreak => whitespace(text, width),
        Class::Space | Class::Symbol => match class_at(text, width) {
            Some((Class::Upper | Class::Lower | Class::Both, _)) => word(text, width),
            Some((Class::Symbol, _)) if text.starts_with(' ') => symbols(text, width),
            _ if first == Class::Symbol => symbols(text, width),
            _ => whitespace(text, width),
        },
    })
}
// ANCHOR_END: piece

/// Returns the end of the first piece if it is a simple word: an optional leading character (whitespace or a symbol, but no line
/// break), at most one upper-case letter, and then lower-case letters, all ASCII, that end within the first 15 bytes. Most pieces
/// of an English text are such words. Returns `None` for every other piece, and if the next byte could continue the word: a
/// character that is not ASCII, or an apostrophe, which may start a contraction. All bytes are compared at once instead of in a
/// loop, because the processor would often mispredict the end of the loop.
#[inline(always)]
fn short_word(bytes: &[u8; 16]) -> Option<usize> {
    let lead = LEAD[usize::from(ASCII_OR_NOT[usize::from(bytes[0])])][usize::from(ASCII_OR_NOT[usize::from(bytes[1])])];
    let others = !lower_case_letters(u128::from_le_bytes(*bytes)) & (HIGH_BITS << (8 * lead as u32 % 128));
    let end = (others.trailing_zeros() / 8) as usize;
    let after = *bytes.get(end)?;
    (end > lead && after < 128 && after != b'\'').then_some(end)
}

/// Returns the class of the character that starts at byte `at`, and its length in bytes; `None` at the end of the text.
#[inline(always)]
fn class_at(text: &str, at: usize) -> Option<(Class, usize)> {
    let byte = *text.as_bytes().get(at)?;
    if byte < 128 {
        return Some((ASCII[byte as usize], 1));
    }
    text[at..].chars().next().map(|c| (class_of(c), c.len_utf8()))
}

// ANCHOR: word
/// Returns the end of the word whose first letter, an X or a Y, starts at byte `at`.
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

/// Returns the end of the run of Y that continues at byte `at`.
fn lower_run(text: &str, mut at: usize) -> usize {
    while let Some(bytes) = text.as_bytes()[at..].first_chunk() {
        let others = !lower_case_letters(u128::from_le_bytes(*bytes)) & HIGH_BITS;
        at += (others.trailing_zeros() / 8) as usize;
        if others != 0 {
            break;
        }
    }
    while let Some((Class::Lower | Class::Both, width)) = class_at(text, at) {
        at += width;
    }
    at
}

/// The highest bit of each byte.
const HIGH_BITS: u128 = u128::from_le_bytes([0x80; 16]);

/// Returns a number in which the highest bit of each byte is set if that byte of `bytes` is a letter from a to z; all other bits
/// are 0. In a byte below 128, adding 31 sets the highest bit if the byte is at least a, and adding 5 sets it if the byte is
/// greater than z.
#[inline(always)]
fn lower_case_letters(bytes: u128) -> u128 {
    const EACH: u128 = u128::from_le_bytes([1; 16]);
    let low = bytes & !HIGH_BITS;
    (low + 31 * EACH) & !(low + 5 * EACH) & !bytes & HIGH_BITS
}

/// Returns the length of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at the start of `bytes`, or 0 if there is no match.
fn contraction(bytes: &[u8]) -> usize {
    let [b'\'', letters @ ..] = bytes else { return 0 };
    match letters {
        [b's' | b'S' | b't' | b'T' | b'm' | b'M' | b'd' | b'D', ..] => 2,
        [b'r' | b'R' | b'v' | b'V', b'e' | b'E', ..] | [b'l' | b'L', b'l' | b'L', ..] => 3,
        [0xc5, 0xbf, ..] => 3, // ſ, which folds to s
        _ => 0,
    }
}

/// Returns the end of a number whose first digit ends at byte `at`. A piece has at most three digits.
fn number(text: &str, mut at: usize) -> usize {
    for _ in 0..2 {
        match class_at(text, at) {
            Some((Class::Number, width)) => at += width,
            _ => break,
        }
    }
    at
}

/// Returns the end of a run of symbols and marks that continues at byte `at`, including the line breaks and slashes
/// after it.
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
/// Returns the end of the whitespace piece whose first character ends at byte `at`.
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
