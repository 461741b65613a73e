//! Strings as JSON writes them: the characters that an automaton accepts, with a limited length, and with escapes.

use super::dfa::{DEAD, Dfa, START};

/// The content of a string, between its quotes.
#[derive(Debug)]
pub struct Text {
    /// The automaton of the characters, as UTF-8, without escapes.
    pub dfa: Dfa,
    /// The smallest number of characters.
    pub least: u32,
    /// The largest number of characters, or `u32::MAX`.
    pub most: u32,
    /// Whether all characters are allowed.
    pub any: bool,
    /// The smallest number of bytes of JSON from each state to the end of the content. Row k is for exactly k more
    /// characters. If the length is not limited, there is only one row, for any number of characters.
    pub costs: Vec<Vec<Option<u32>>>,
}

/// Returns the number of bytes that JSON needs for a byte: two or six (`\u00XX`) if it must be escaped.
pub fn json_cost(byte: u8) -> u32 {
    match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0C | b'\r' => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// Returns whether a byte is the first of a character.
pub fn begins_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// The table of costs of a pattern with length limits would be too large.
#[derive(Debug, thiserror::Error)]
#[error("the pattern or format and its length limits need too large a table")]
pub struct TableTooLarge;

/// The largest number of entries, rows times states, of a table of costs.
const MOST_COSTS: usize = 1 << 22;

impl Text {
    /// Makes a string and tabulates its costs.
    ///
    /// # Errors
    /// If the table would be too large.
    pub fn new(dfa: Dfa, least: u32, most: u32, any: bool) -> Result<Self, TableTooLarge> {
        let mut text = Self { dfa, least, most, any, costs: Vec::new() };
        let counted = least > 0 || most < u32::MAX;
        if !counted {
            text.costs = vec![text.dfa.costs(json_cost)];
        } else if !any {
            // Without an upper limit, some end is reached within as many characters as there are states.
            let longest = if most < u32::MAX { most } else { least.saturating_add(text.dfa.len() as u32) };
            if (longest as usize + 1).saturating_mul(text.dfa.len()) > MOST_COSTS {
                return Err(TableTooLarge);
            }
            for row in 0..=longest as usize {
                let row = text.row(row);
                text.costs.push(row);
            }
        }
        Ok(text)
    }

    /// Computes the costs for exactly `characters` more characters. Bytes within a character do not count as
    /// characters.
    fn row(&self, characters: usize) -> Vec<Option<u32>> {
        let mut row: Vec<Option<u32>> = vec![None; self.dfa.len()];
        if characters == 0 {
            (0..row.len()).filter(|&state| self.dfa.accepts(state as u32)).for_each(|state| row[state] = Some(0));
        } else {
            let before = &self.costs[characters - 1];
            for (state, cost) in row.iter_mut().enumerate() {
                let ways = (0..=255)
                    .filter(|&byte| begins_character(byte))
                    .filter_map(|byte| Some(before[self.dfa.next(state as u32, byte) as usize]? + json_cost(byte)));
                *cost = ways.min();
            }
        }
        // A character has at most three more bytes.
        for _ in 0..3 {
            for state in 0..row.len() {
                let ways = (0x80..0xC0).filter_map(|byte| Some(row[self.dfa.next(state as u32, byte) as usize]? + 1));
                row[state] = ways.chain(row[state]).min();
            }
        }
        row
    }

    /// Returns the smallest number of bytes to the end of the content if `least` to `most` characters follow; `None` if
    /// there is no path.
    pub fn cost(&self, state: u32, least: u32, most: u32) -> Option<u32> {
        if least > most {
            return None;
        }
        if self.costs.len() == 1 && self.least == 0 && self.most == u32::MAX {
            return self.costs[0][state as usize];
        }
        if self.any {
            // The shortest content repeats one-byte characters, after the missing bytes of the current one.
            return Some(least.saturating_add(self.unfinished(state)));
        }
        let last = (most as usize).min(self.costs.len() - 1);
        (least as usize..=last).filter_map(|row| self.costs[row][state as usize]).min()
    }

    /// Returns whether the end of the content can be reached with `least` to `most` more characters.
    fn can_end(&self, state: u32, least: u32, most: u32) -> bool {
        if self.any || self.costs.len() == 1 {
            return self.cost(state, least, most).is_some();
        }
        let last = (most as usize).min(self.costs.len() - 1);
        (least as usize..=last).any(|row| self.costs[row][state as usize].is_some())
    }

    fn unfinished(&self, state: u32) -> u32 {
        let (mut state, mut bytes) = (state, 0);
        while !self.dfa.accepts(state) && bytes < 4 {
            let next = (0x80..0xC0).map(|byte| self.dfa.next(state, byte)).find(|&next| next != DEAD);
            state = next.unwrap_or(state);
            bytes += 1;
        }
        bytes
    }
}

/// A position in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextPosition {
    state: u32,
    escape: Escape,
    /// The smallest number of characters that follow.
    pub least: u32,
    /// The largest number of characters that follow.
    pub most: u32,
}

/// The position in an escape sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Escape {
    None,
    /// After the backslash.
    Begun,
    /// After `\u` and `digits` hexadecimal digits, which have this value.
    Hex {
        digits: u8,
        value: u16,
    },
}

/// The result of reading one byte of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStep {
    /// The string continues at this position.
    More(TextPosition),
    /// The byte was the closing quote.
    End,
}

/// Reads a string byte by byte.
impl Text {
    /// Returns the position after the opening quote.
    pub fn beginning(&self) -> TextPosition {
        TextPosition { state: START, escape: Escape::None, least: self.least, most: self.most }
    }

    // ANCHOR: read
    /// Reads one byte. Returns `None` if the byte is not allowed, or if no end could follow it.
    pub fn read(&self, at: TextPosition, byte: u8) -> Option<TextStep> {
        let next = match (at.escape, byte) {
            (Escape::None, b'"') => return (self.dfa.accepts(at.state) && at.least == 0).then_some(TextStep::End),
            (Escape::None, b'\\') => Some(TextPosition { escape: Escape::Begun, ..at }).filter(|_| self.can_escape(at)),
            (Escape::None, 0..0x20) => None,
            (Escape::None, _) => self.content(at, &[byte]),
            (Escape::Begun, b'u') => self.hex(at, 0, 0),
            (Escape::Begun, _) => {
                SHORT.iter().find(|(name, _)| *name == byte).and_then(|(_, meant)| self.content(at, &[*meant]))
            }
            (Escape::Hex { digits, value }, _) => {
                let value = value << 4 | char::from(byte).to_digit(16)? as u16;
                if digits < 3 { self.hex(at, digits + 1, value) } else { self.content_of_hex(at, value) }
            }
        };
        next.map(TextStep::More)
    }
    // ANCHOR_END: read

    /// Returns the position after some bytes of content, if the end can still be reached.
    fn content(&self, at: TextPosition, bytes: &[u8]) -> Option<TextPosition> {
        let TextPosition { mut state, mut least, mut most, .. } = at;
        for &byte in bytes {
            state = self.dfa.next(state, byte);
            if state == DEAD || (begins_character(byte) && most == 0) {
                return None;
            }
            if begins_character(byte) {
                least = least.saturating_sub(1);
                most = if most == u32::MAX { most } else { most - 1 };
            }
        }
        if !self.can_end(state, least, most) {
            return None;
        }
        Some(TextPosition { state, escape: Escape::None, least, most })
    }

    /// Does the same for the character of `\uXXXX`. Halves of surrogate pairs are not characters.
    fn content_of_hex(&self, at: TextPosition, value: u16) -> Option<TextPosition> {
        self.content(at, char::from_u32(value.into())?.encode_utf8(&mut [0; 4]).as_bytes())
    }

    /// Returns the position after `\u` and some digits, if they begin the number of an allowed character. If all
    /// characters are allowed, this excludes only the halves of surrogate pairs. Otherwise only control characters are
    /// written in this form, because they have no other one.
    fn hex(&self, at: TextPosition, digits: u8, value: u16) -> Option<TextPosition> {
        let free = 4 * (4 - u32::from(digits));
        let first = u32::from(value) << free;
        let mut range = first..first + (1 << free);
        let allowed = match self.any {
            true => self.dfa.accepts(at.state) && at.most > 0 && !(range.start >= 0xD800 && range.end <= 0xE000),
            false => range.any(|value| value < 0x20 && self.content_of_hex(at, value as u16).is_some()),
        };
        allowed.then_some(TextPosition { escape: Escape::Hex { digits, value }, ..at })
    }

    fn can_escape(&self, at: TextPosition) -> bool {
        SHORT.iter().any(|(_, meant)| self.content(at, &[*meant]).is_some()) || self.hex(at, 0, 0).is_some()
    }

    /// Returns the position with smaller counters that at most `longest` bytes cannot distinguish from this one. If not
    /// all characters are allowed, every path to the end that is longer than the number of states has a shorter one,
    /// which leaves out a loop. So with as many characters of room above `least`, more room makes no difference.
    pub fn coarse(&self, at: TextPosition, longest: u32) -> TextPosition {
        let (least, room) = match self.any {
            true => (at.least.min(longest), longest),
            false => (at.least, at.least.saturating_add(self.dfa.len() as u32).saturating_add(longest)),
        };
        let most = if at.most == u32::MAX { at.most } else { at.most.min(room) };
        TextPosition { least, most, ..at }
    }

    /// Returns the smallest number of bytes to the end of the string, including the closing quote.
    pub fn shortest(&self, at: TextPosition) -> Option<u32> {
        if at.escape == Escape::None {
            return self.cost(at.state, at.least, at.most).map(|bytes| bytes.saturating_add(1));
        }
        let lengths = (0..=255).filter_map(|byte| match self.read(at, byte)? {
            TextStep::More(next) => self.shortest(next),
            TextStep::End => Some(0),
        });
        lengths.min().map(|bytes| bytes.saturating_add(1))
    }

    /// Returns the first byte on a shortest path to the end of the string.
    pub fn shortest_byte(&self, at: TextPosition) -> Option<u8> {
        let left = self.shortest(at)?.checked_sub(1)?;
        let leads = |byte: u8| match self.read(at, byte) {
            None => false,
            Some(TextStep::End) => left == 0,
            Some(TextStep::More(next)) => self.shortest(next) == Some(left),
        };
        (b' '..=255).find(|&byte| leads(byte))
    }
}

/// The characters that a letter after a backslash stands for.
const SHORT: [(u8, u8); 8] = [
    (b'"', b'"'),
    (b'\\', b'\\'),
    (b'/', b'/'),
    (b'b', 0x08),
    (b'f', 0x0C),
    (b'n', b'\n'),
    (b'r', b'\r'),
    (b't', b'\t'),
];
