//! Strings: characters that an automaton accepts, counted, as JSON spells them.

use super::dfa::{DEAD, Dfa, START};

/// What stands between the quotes of a string.
#[derive(Debug)]
pub struct Text {
    /// Its characters, as UTF-8, without escapes.
    pub dfa: Dfa,
    /// At least so many characters.
    pub least: u32,
    /// At most so many, or `u32::MAX`.
    pub most: u32,
    /// Whether any characters are allowed.
    pub any: bool,
    /// The bytes of JSON to the end of the content. Row k: with exactly k more characters. If the length does not
    /// matter, there is one row, with any number of them.
    pub costs: Vec<Vec<Option<u32>>>,
}

/// What escapes cost: two bytes, or `\u00XX`.
pub fn json_cost(byte: u8) -> u32 {
    match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0C | b'\r' => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// Whether a byte begins a character.
pub fn begins_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// Rows times states that a table of costs may have.
const MOST_COSTS: usize = 1 << 22;

impl Text {
    /// Tabulates the costs.
    ///
    /// # Errors
    /// If the table would be too large; in words.
    pub fn new(dfa: Dfa, least: u32, most: u32, any: bool) -> Result<Self, String> {
        let mut text = Self { dfa, least, most, any, costs: Vec::new() };
        let counted = least > 0 || most < u32::MAX;
        if !counted {
            text.costs = vec![text.dfa.costs(json_cost)];
        } else if !any {
            // What goes on forever has, from any length on, an end within as many characters as there are states.
            let longest = if most < u32::MAX { most } else { least.saturating_add(text.dfa.len() as u32) };
            if (longest as usize + 1).saturating_mul(text.dfa.len()) > MOST_COSTS {
                return Err("a pattern or format with lengths that need too large a table".into());
            }
            for row in 0..=longest as usize {
                let row = text.row(row);
                text.costs.push(row);
            }
        }
        Ok(text)
    }

    /// The costs where exactly so many characters follow. Bytes within a character cost no character.
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
        // A character has at most three bytes more.
        for _ in 0..3 {
            for state in 0..row.len() {
                let ways = (0x80..0xC0).filter_map(|byte| Some(row[self.dfa.next(state as u32, byte) as usize]? + 1));
                row[state] = ways.chain(row[state]).min();
            }
        }
        row
    }

    /// The bytes to the end of the content, where from `least` to `most` characters follow; `None` if there is no way.
    pub fn cost(&self, state: u32, least: u32, most: u32) -> Option<u32> {
        if least > most {
            return None;
        }
        if self.costs.len() == 1 && self.least == 0 && self.most == u32::MAX {
            return self.costs[0][state as usize];
        }
        if self.any {
            // Only the bytes that are missing of a character lie between a state and acceptance.
            return Some(least.saturating_add(self.unfinished(state)));
        }
        let last = (most as usize).min(self.costs.len() - 1);
        (least as usize..=last).filter_map(|row| self.costs[row][state as usize]).min()
    }

    /// Whether there is a way to the end.
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

/// A place in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    state: u32,
    escape: Escape,
    /// At least so many characters follow.
    pub least: u32,
    /// At most so many.
    pub most: u32,
}

/// Where in an escape it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Escape {
    None,
    /// Behind the backslash.
    Begun,
    /// Behind `\u` and some hexadecimal digits of this value.
    Hex {
        digits: u8,
        value: u16,
    },
}

/// What a byte of a string leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// More of the string.
    More(Place),
    /// Its last quote.
    End,
}

/// Reading, byte by byte.
impl Text {
    /// Behind the first quote.
    pub fn beginning(&self) -> Place {
        Place { state: START, escape: Escape::None, least: self.least, most: self.most }
    }

    // ANCHOR: read
    /// What a byte leads to; `None` where it is not allowed, also because no end could follow.
    pub fn read(&self, at: Place, byte: u8) -> Option<Read> {
        let next = match (at.escape, byte) {
            (Escape::None, b'"') => return (self.dfa.accepts(at.state) && at.least == 0).then_some(Read::End),
            (Escape::None, b'\\') => Some(Place { escape: Escape::Begun, ..at }).filter(|_| self.can_escape(at)),
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
        next.map(Read::More)
    }
    // ANCHOR_END: read

    /// After some bytes of content, if there is still a way to the end.
    fn content(&self, at: Place, bytes: &[u8]) -> Option<Place> {
        let Place { mut state, mut least, mut most, .. } = at;
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
        Some(Place { state, escape: Escape::None, least, most })
    }

    /// The same after `\uXXXX`. Halves of surrogate pairs are no characters.
    fn content_of_hex(&self, at: Place, value: u16) -> Option<Place> {
        self.content(at, char::from_u32(value.into())?.encode_utf8(&mut [0; 4]).as_bytes())
    }

    /// Behind `\u` and some digits, if some character begins so and is allowed. Where any text is, only the halves of
    /// surrogate pairs are not. Elsewhere only control characters are written so, which have no other form.
    fn hex(&self, at: Place, digits: u8, value: u16) -> Option<Place> {
        let free = 4 * (4 - u32::from(digits));
        let first = u32::from(value) << free;
        let mut range = first..first + (1 << free);
        let allowed = match self.any {
            true => self.dfa.accepts(at.state) && at.most > 0 && !(range.start >= 0xD800 && range.end <= 0xE000),
            false => range.any(|value| value < 0x20 && self.content_of_hex(at, value as u16).is_some()),
        };
        allowed.then_some(Place { escape: Escape::Hex { digits, value }, ..at })
    }

    fn can_escape(&self, at: Place) -> bool {
        SHORT.iter().any(|(_, meant)| self.content(at, &[*meant]).is_some()) || self.hex(at, 0, 0).is_some()
    }

    /// The place with smaller counters that no `longest` bytes can tell from this one. Where the characters are not all
    /// alike, a way to the end that is longer than there are states has a shorter one beside it, which leaves a loop out:
    /// so with that much room above `least`, more room makes no difference.
    pub fn coarse(&self, at: Place, longest: u32) -> Place {
        let (least, room) = match self.any {
            true => (at.least.min(longest), longest),
            false => (at.least, at.least.saturating_add(self.dfa.len() as u32).saturating_add(longest)),
        };
        let most = if at.most == u32::MAX { at.most } else { at.most.min(room) };
        Place { least, most, ..at }
    }

    /// The fewest bytes to the end of the string, its quote among them.
    pub fn shortest(&self, at: Place) -> Option<u32> {
        if at.escape == Escape::None {
            return self.cost(at.state, at.least, at.most).map(|bytes| bytes.saturating_add(1));
        }
        let lengths = (0..=255).filter_map(|byte| match self.read(at, byte)? {
            Read::More(next) => self.shortest(next),
            Read::End => Some(0),
        });
        lengths.min().map(|bytes| bytes.saturating_add(1))
    }

    /// The first byte on a shortest way there.
    pub fn shortest_byte(&self, at: Place) -> Option<u8> {
        let left = self.shortest(at)?.checked_sub(1)?;
        let leads = |byte: u8| match self.read(at, byte) {
            None => false,
            Some(Read::End) => left == 0,
            Some(Read::More(next)) => self.shortest(next) == Some(left),
        };
        (b' '..=255).find(|&byte| leads(byte))
    }
}

/// What a letter behind a backslash means.
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
