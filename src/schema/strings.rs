//! Translates patterns and formats to regular expressions over the characters of a string.

/// Returns the regular expression of a format; `None` if the format is not supported.
pub fn format(name: &str) -> Option<String> {
    // A century is a leap year only if 400 divides it.
    let leap = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
    let date = format!(
        "(?:[0-9]{{4}}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)\
         |02-(?:0[1-9]|1[0-9]|2[0-8]))|{leap}-02-29)"
    );
    // Leap seconds are excluded, because an expression cannot know whether there was one.
    let time = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
    let hex = |n: usize| format!("[0-9a-fA-F]{{{n}}}");
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?";
    Some(match name {
        "date" => date,
        "date-time" => format!("{date}T{time}"),
        "time" => time.into(),
        "uuid" => [8, 4, 4, 4, 12].map(hex).join("-"),
        // The limits keep an address below the 64 and 255 characters that its parts may have.
        "email" => {
            let word = "[a-zA-Z0-9_+-]{1,20}";
            format!("{word}(?:\\.{word}){{0,2}}@(?:{label}\\.){{1,3}}[a-zA-Z]{{2,12}}")
        }
        _ => return None,
    })
}

/// A pattern that is not regular, or that means different things in different dialects.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// A look-around or a named group.
    #[error("only groups (…) and (?:…) are regular")]
    Group,
    /// A special character that must be escaped.
    #[error("write a plain {0} as \\{0}")]
    Unescaped(char),
    /// A class without characters.
    #[error("an empty class")]
    EmptyClass,
    /// A class that is not closed.
    #[error("a class without a closing ]")]
    OpenClass,
    /// A pattern that ends with a backslash.
    #[error("a backslash at the end")]
    LoneBackslash,
    /// An escape such as a back-reference or a word boundary.
    #[error("\\{0} is not regular, or not the same in all dialects")]
    Escape(char),
    /// An escape without the digits of a character.
    #[error("\\u or \\x without a character's number")]
    CodePoint,
}

/// Matches any text.
pub const ANY: &str = "(?s:.)*";

/// Translates `pattern`, an expression of ECMAScript. The result matches a whole string that contains a match, because
/// patterns of JSON Schema are not anchored.
///
/// # Errors
/// If a part of the pattern is not regular, or means something else in other dialects.
pub fn pattern(pattern: &str) -> Result<String, PatternError> {
    Ok(format!("{ANY}(?:{}){ANY}", Translate { rest: pattern, out: String::new() }.whole()?))
}

struct Translate<'a> {
    rest: &'a str,
    out: String,
}

const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = r"\t\n\x0B\x0C\r \x{A0}\x{FEFF}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}";

impl Translate<'_> {
    fn take(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn whole(mut self) -> Result<String, PatternError> {
        while let Some(c) = self.take() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' if self.rest.starts_with("?:") => self.out.push('('),
                '(' if self.rest.starts_with('?') => return Err(PatternError::Group),
                '(' => self.out.push_str("(?:"),
                '.' => self.out.push_str(r"[^\n\r\x{2028}\x{2029}]"),
                // The expression may match anywhere in the string, but these two match at the ends of the string only.
                '^' => self.out.push_str(r"\A"),
                '$' => self.out.push_str(r"\z"),
                '{' | '}' if !self.is_repetition(c) => return Err(PatternError::Unescaped(c)),
                ']' => return Err(PatternError::Unescaped(']')),
                c if c.is_whitespace() || "#&~-".contains(c) => self.literal(c),
                c => self.out.push(c),
            }
        }
        Ok(self.out)
    }

    /// Returns whether a brace belongs to `{n}`, `{n,}` or `{n,m}`.
    fn is_repetition(&self, brace: char) -> bool {
        if brace == '}' {
            let open = self.out.rfind('{');
            return open.is_some_and(|at| self.out[at + 1..].chars().all(|c| c.is_ascii_digit() || c == ','));
        }
        let inside = self.rest.split('}').next().unwrap_or_default();
        self.rest.contains('}')
            && inside.starts_with(|c: char| c.is_ascii_digit())
            && inside.chars().all(|c| c.is_ascii_digit() || c == ',')
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&format!(r"\x{{{:X}}}", u32::from(c)));
    }

    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.rest.starts_with('^') {
            self.take();
            self.out.push('^');
        }
        if self.rest.starts_with(']') {
            return Err(PatternError::EmptyClass);
        }
        loop {
            match self.take().ok_or(PatternError::OpenClass)? {
                ']' => break,
                '\\' => self.escape(true)?,
                '-' => self.out.push('-'),
                c => self.literal(c),
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), PatternError> {
        let c = self.take().ok_or(PatternError::LoneBackslash)?;
        let set = |set: &str, not: &str| if in_class { set.to_string() } else { format!("[{not}{set}]") };
        match c {
            'd' => self.out.push_str(&set(DIGIT, "")),
            'w' => self.out.push_str(&set(WORD, "")),
            's' => self.out.push_str(&set(SPACE, "")),
            'D' | 'W' | 'S' => {
                let plain = if c == 'D' {
                    DIGIT
                } else if c == 'W' {
                    WORD
                } else {
                    SPACE
                };
                self.out.push_str(&format!("[^{plain}]"));
            }
            'n' => self.literal('\n'),
            'r' => self.literal('\r'),
            't' => self.literal('\t'),
            'f' => self.literal('\u{C}'),
            'v' => self.literal('\u{B}'),
            'u' => self.code(4)?,
            'x' => self.code(2)?,
            c if !c.is_alphanumeric() => self.literal(c),
            c => return Err(PatternError::Escape(c)),
        }
        Ok(())
    }

    /// Translates the digits of `\u00e9` or `\xe9`.
    fn code(&mut self, digits: usize) -> Result<(), PatternError> {
        let code = self.rest.get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let c = code.and_then(char::from_u32).ok_or(PatternError::CodePoint)?;
        self.rest = &self.rest[digits..];
        self.literal(c);
        Ok(())
    }
}
