//! The escapes of JSON strings: `\n`, `\u00e9`, and `\ud83d\ude00` for a character in two halves.

/// A position in an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Escape {
    /// Not in an escape.
    None,
    /// After the backslash.
    Backslash,
    /// After `\u` and some digits.
    Digits(Digits),
    /// After the escape of the first half of a pair, whose second half must follow, and perhaps after its backslash.
    Half {
        /// The first half.
        first: u16,
        /// Whether the backslash of the second half was read.
        backslash: bool,
    },
}

/// The hexadecimal digits of an escape that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digits {
    /// The first half of the pair, if these are the digits of the second half.
    first: Option<u16>,
    count: u8,
    value: u16,
}

/// The characters that a letter after a backslash stands for.
pub const SHORT: [(u8, char); 8] = [
    (b'"', '"'),
    (b'\\', '\\'),
    (b'/', '/'),
    (b'b', '\u{8}'),
    (b'f', '\u{C}'),
    (b'n', '\n'),
    (b'r', '\r'),
    (b't', '\t'),
];

impl Escape {
    /// Reads one byte within an escape. Returns the next position, and the character if the escape is complete.
    pub fn read(self, byte: u8) -> Option<(Self, Option<char>)> {
        let digits = |first| Escape::Digits(Digits { first, count: 0, value: 0 });
        match (self, byte) {
            (Escape::Backslash, b'u') => Some((digits(None), None)),
            (Escape::Backslash, _) => {
                SHORT.iter().find(|(name, _)| *name == byte).map(|&(_, meant)| (Escape::None, Some(meant)))
            }
            (Escape::Half { first, backslash: false }, b'\\') => Some((Escape::Half { first, backslash: true }, None)),
            (Escape::Half { first, backslash: true }, b'u') => Some((digits(Some(first)), None)),
            (Escape::Digits(Digits { first, count, value }), _) => {
                let value = value << 4 | char::from(byte).to_digit(16)? as u16;
                match (count, first, value) {
                    (0..3, _, _) => Some((Escape::Digits(Digits { first, count: count + 1, value }), None)),
                    (_, None, 0xD800..0xDC00) => Some((Escape::Half { first: value, backslash: false }, None)),
                    (_, None, _) => Some((Escape::None, Some(char::from_u32(value.into())?))),
                    (_, Some(first), 0xDC00..0xE000) => Some((Escape::None, Some(pair(first, value)?))),
                    (_, Some(_), _) => None,
                }
            }
            (Escape::None | Escape::Half { .. }, _) => None,
        }
    }

    /// Returns the numbers of the characters that the escape may stand for.
    pub fn ranges(self) -> Vec<(u32, u32)> {
        match self {
            Escape::None => Vec::new(),
            Escape::Backslash => vec![(0, 0x10_FFFF)],
            Escape::Half { first, .. } => whole_pairs(first, first),
            Escape::Digits(Digits { first, count, value }) => {
                // The values that the missing digits allow.
                let free = 4 * (4 - u32::from(count));
                let low = u32::from(value) << free;
                let high = low + (1 << free) - 1;
                match first {
                    None => {
                        let halves = (low.max(0xD800), high.min(0xDBFF));
                        let mut ranges = vec![(low, high)];
                        if halves.0 <= halves.1 {
                            ranges.extend(whole_pairs(halves.0 as u16, halves.1 as u16));
                        }
                        ranges
                    }
                    Some(first) => {
                        let (low, high) = (low.max(0xDC00), high.min(0xDFFF));
                        let base = whole_pairs(first, first)[0].0;
                        if low <= high { vec![(base + low - 0xDC00, base + high - 0xDC00)] } else { Vec::new() }
                    }
                }
            }
        }
    }

    /// Returns the bytes that complete the escape of `c`, which is one of the characters that it may stand for.
    pub fn rest(self, c: char) -> Vec<u8> {
        let whole: String = c.encode_utf16(&mut [0; 2]).iter().map(|half| format!("\\u{half:04x}")).collect();
        let read = match self {
            Escape::None => 0,
            Escape::Backslash => 1,
            Escape::Digits(Digits { first: None, count, .. }) => 2 + usize::from(count),
            Escape::Half { backslash, .. } => 6 + usize::from(backslash),
            Escape::Digits(Digits { first: Some(_), count, .. }) => 8 + usize::from(count),
        };
        whole.as_bytes()[read..].to_vec()
    }
}

/// Returns the character of the two halves of a pair.
fn pair(first: u16, second: u16) -> Option<char> {
    char::decode_utf16([first, second]).next()?.ok()
}

/// Returns the numbers of all characters whose first halves are from `low` to `high`.
fn whole_pairs(low: u16, high: u16) -> Vec<(u32, u32)> {
    let base = |half: u16| 0x1_0000 + ((u32::from(half) - 0xD800) << 10);
    vec![(base(low), base(high) + 0x3FF)]
}
