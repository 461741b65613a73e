//! Translates patterns, which are regular expressions of ECMAScript with the flag `u`, to those of the crate regex.
//!
//! The parser follows the grammar of the standard, so that what is a syntax error there is refused here. Every character
//! is written to the result by its number, and every class as ranges of numbers. So no character of a pattern can get a
//! meaning in the syntax of the other crate.
//! ECMAScript 2024, section 22.2.1: <https://tc39.es/ecma262/#sec-patterns>

use super::characters::{Characters, DIGIT, SPACE, WORD};

/// A pattern that is a syntax error in ECMAScript, or that is not regular.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// A look-around or a named group.
    #[error("only groups (…) and (?:…) are regular")]
    Group,
    /// A special character that must be escaped.
    #[error("write a plain {0} as \\{0}")]
    Unescaped(char),
    /// A `*`, `+`, `?` or `{` with nothing before it that it could repeat.
    #[error("there is nothing that {0} could repeat")]
    NothingToRepeat(char),
    /// A repetition such as `{3,2}`, or with a number that is too large.
    #[error("a repetition whose numbers are in the wrong order or too large")]
    Repetition,
    /// A group that is not closed.
    #[error("a group without a closing )")]
    OpenGroup,
    /// Groups within groups.
    #[error("groups more than {DEEPEST} deep")]
    TooDeep,
    /// A class without characters.
    #[error("an empty class")]
    EmptyClass,
    /// A class that is not closed.
    #[error("a class without a closing ]")]
    OpenClass,
    /// A range such as `z-a` or `\w-z`.
    #[error("a range in a class whose ends are in the wrong order, or are not characters")]
    Range,
    /// A pattern that ends with a backslash.
    #[error("a backslash at the end")]
    LoneBackslash,
    /// An escape such as a back-reference or a word boundary.
    #[error("\\{0} is not regular, or not the same in all dialects")]
    Escape(char),
    /// A character that must not be escaped.
    #[error("\\{0} is not an escape of ECMAScript; write a plain {0}")]
    UnknownEscape(char),
    /// An escape without the digits of a character.
    #[error("\\u or \\x without a character's number")]
    CodePoint,
}

type PatternResult<T> = Result<T, PatternError>;

/// Matches any text.
pub const ANY: &str = "(?s:.)*";

/// The greatest depth of groups within groups.
const DEEPEST: usize = 100;
/// The characters that have a meaning outside of classes.
const SYNTAX: &str = r"^$\.*+?()[]{}|/";

/// Translates `pattern`. The result matches a whole string that contains a match, because patterns of JSON Schema are
/// not anchored.
///
/// # Errors
/// If the pattern is a syntax error, or a part of it is not regular.
pub fn translate(pattern: &str) -> PatternResult<String> {
    let mut parser = PatternParser { rest: pattern, out: String::new() };
    parser.alternatives(0)?;
    match parser.peek() {
        None => Ok(format!("{ANY}(?:{}){ANY}", parser.out)),
        Some(c) => Err(PatternError::Unescaped(c)),
    }
}

struct PatternParser<'a> {
    rest: &'a str,
    out: String,
}

/// An element of a class: a character or a set such as `\d`.
enum ClassElement {
    Character(u32),
    Set(Characters),
}

impl PatternParser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Skips `text` if it comes next.
    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    // ANCHOR: alternatives
    /// Translates alternatives up to the end of the pattern or of the group.
    fn alternatives(&mut self, depth: usize) -> PatternResult<()> {
        if depth > DEEPEST {
            return Err(PatternError::TooDeep);
        }
        while let Some(c) = self.peek().filter(|&c| c != ')') {
            self.take();
            match c {
                // The expression may match anywhere in the string, but these two match at the ends of the string only.
                '^' => self.out.push_str(r"\A"),
                '$' => self.out.push_str(r"\z"),
                '|' => self.out.push('|'),
                _ => {
                    self.atom(c, depth)?;
                    self.repetition()?;
                }
            }
        }
        Ok(())
    }
    // ANCHOR_END: alternatives

    /// Translates what a repetition can follow.
    fn atom(&mut self, c: char, depth: usize) -> PatternResult<()> {
        match c {
            '(' => {
                if !self.skip("?:") && self.peek() == Some('?') {
                    return Err(PatternError::Group);
                }
                self.out.push_str("(?:");
                self.alternatives(depth + 1)?;
                self.out.push(')');
                if self.skip(")") { Ok(()) } else { Err(PatternError::OpenGroup) }
            }
            '[' => self.class(),
            '.' => {
                let line_breaks = Characters::from(&[(0xA, 0xA), (0xD, 0xD), (0x2028, 0x2029)]);
                self.push(line_breaks.inverted())
            }
            '\\' => match self.escape(false)? {
                ClassElement::Character(c) => self.push(Characters::from(&[(c, c)])),
                ClassElement::Set(set) => self.push(set),
            },
            '*' | '+' | '?' => Err(PatternError::NothingToRepeat(c)),
            '{' | '}' | ']' => Err(PatternError::Unescaped(c)),
            c => self.push(Characters::from(&[(c.into(), c.into())])),
        }
    }

    fn push(&mut self, characters: Characters) -> PatternResult<()> {
        self.out.push_str(&characters.regex());
        Ok(())
    }

    /// Translates the repetition of an atom, if there is one. What a lazy repetition matches is the same.
    fn repetition(&mut self) -> PatternResult<()> {
        match self.peek() {
            Some(c @ ('*' | '+' | '?')) => {
                self.take();
                self.out.push(c);
            }
            Some('{') => {
                self.take();
                let (inside, rest) = self.rest.split_once('}').ok_or(PatternError::Unescaped('{'))?;
                let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
                let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                if !is_number(least) || !(is_number(most) || most.is_empty()) {
                    return Err(PatternError::Unescaped('{'));
                }
                let number = |text: &str| text.parse::<u32>().map_err(|_| PatternError::Repetition);
                let least = number(least)?;
                let most = if most.is_empty() { None } else { Some(number(most)?) };
                if most.is_some_and(|most| most < least) {
                    return Err(PatternError::Repetition);
                }
                self.rest = rest;
                self.out.push_str(&format!("{{{least},{}}}", most.map_or(String::new(), |most| most.to_string())));
            }
            _ => return Ok(()),
        }
        self.skip("?");
        Ok(())
    }

    /// Translates a class after its opening bracket.
    fn class(&mut self) -> PatternResult<()> {
        let inverted = self.skip("^");
        let mut all = Characters::from(&[]);
        if !inverted && self.peek() == Some(']') {
            return Err(PatternError::EmptyClass);
        }
        while !self.skip("]") {
            let first = self.class_element()?;
            // A hyphen between two elements makes a range, whatever they are; at the end of the class it is itself.
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.take();
                match (first, self.class_element()?) {
                    (ClassElement::Character(first), ClassElement::Character(last)) if first <= last => {
                        all.add(&[(first, last)]);
                    }
                    _ => return Err(PatternError::Range),
                }
            } else {
                match first {
                    ClassElement::Character(c) => all.add(&[(c, c)]),
                    ClassElement::Set(set) => all.add(set.ranges()),
                }
            }
        }
        self.push(if inverted { all.inverted() } else { all })
    }

    fn class_element(&mut self) -> PatternResult<ClassElement> {
        match self.take().ok_or(PatternError::OpenClass)? {
            '\\' => self.escape(true),
            c => Ok(ClassElement::Character(c.into())),
        }
    }

    /// Reads an escape after its backslash.
    fn escape(&mut self, in_class: bool) -> PatternResult<ClassElement> {
        let c = self.take().ok_or(PatternError::LoneBackslash)?;
        let set = |ranges: &[(u32, u32)]| ClassElement::Set(Characters::from(ranges));
        let others = |ranges: &[(u32, u32)]| ClassElement::Set(Characters::from(ranges).inverted());
        Ok(match c {
            'd' => set(DIGIT),
            'w' => set(WORD),
            's' => set(SPACE),
            'D' => others(DIGIT),
            'W' => others(WORD),
            'S' => others(SPACE),
            'u' => ClassElement::Character(self.unicode()?),
            'x' => ClassElement::Character(self.hex(2).ok_or(PatternError::CodePoint)?),
            'c' => match self.take() {
                Some(letter) if letter.is_ascii_alphabetic() => ClassElement::Character(u32::from(letter) % 32),
                _ => return Err(PatternError::UnknownEscape('c')),
            },
            '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => ClassElement::Character(0),
            'n' => ClassElement::Character(0xA),
            'r' => ClassElement::Character(0xD),
            't' => ClassElement::Character(0x9),
            'f' => ClassElement::Character(0xC),
            'v' => ClassElement::Character(0xB),
            'b' if in_class => ClassElement::Character(0x8),
            '-' if in_class => ClassElement::Character('-'.into()),
            c if SYNTAX.contains(c) => ClassElement::Character(c.into()),
            '0'..='9' | 'b' | 'B' | 'k' | 'p' | 'P' => return Err(PatternError::Escape(c)),
            c => return Err(PatternError::UnknownEscape(c)),
        })
    }

    /// Reads the number of a character after `\u`: `{1F600}`, `00e9`, or the two halves `d83d\ude00`.
    fn unicode(&mut self) -> PatternResult<u32> {
        if self.skip("{") {
            let (digits, rest) = self.rest.split_once('}').ok_or(PatternError::CodePoint)?;
            let number = hex_number(digits.trim_start_matches('0'));
            let number = if !digits.is_empty() && digits.bytes().all(|byte| byte == b'0') { Some(0) } else { number };
            self.rest = rest;
            return number.filter(|&number| number <= 0x10_FFFF).ok_or(PatternError::CodePoint);
        }
        let first = self.hex(4).ok_or(PatternError::CodePoint)?;
        if let (0xD800..0xDC00, Some(rest)) = (first, self.rest.strip_prefix("\\u")) {
            let mut second = PatternParser { rest, out: String::new() };
            if let Some(half @ 0xDC00..0xE000) = second.hex(4) {
                self.rest = second.rest;
                return Ok(0x1_0000 + ((first - 0xD800) << 10) + (half - 0xDC00));
            }
        }
        Ok(first)
    }

    /// Reads so many hexadecimal digits.
    fn hex(&mut self, digits: usize) -> Option<u32> {
        let number = hex_number(self.rest.get(..digits)?)?;
        self.rest = &self.rest[digits..];
        Some(number)
    }
}

/// Returns the value of hexadecimal digits. (The function of the standard library would also accept a sign.)
pub fn hex_number(digits: &str) -> Option<u32> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all { u32::from_str_radix(digits, 16).ok() } else { None }
}
