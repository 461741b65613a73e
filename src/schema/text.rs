//! Strings as JSON writes them: the characters that an automaton accepts, with a limited length, and with escapes.

use super::dfa::{DEAD, Dfa, START};
use super::escape::{Escape, SHORT};

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
    /// The states after which any characters may follow.
    free: Vec<bool>,
    /// Whether letters and other printable characters of ASCII may be written as `\u0061`.
    escaped_ascii: bool,
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
        let free = free_states(&dfa);
        let mut text = Self { dfa, least, most, any, costs: Vec::new(), free, escaped_ascii: true };
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

    /// Makes a string that is one of some words, such as the name of a member. A model writes them with plain letters.
    ///
    /// # Errors
    /// If the table of costs would be too large.
    pub fn words(dfa: Dfa) -> Result<Self, TableTooLarge> {
        Ok(Self { escaped_ascii: false, ..Self::new(dfa, 0, u32::MAX, false)? })
    }

    /// Computes the costs for exactly `characters` more characters. Bytes within a character do not count as
    /// characters.
    fn row(&self, characters: usize) -> Vec<Option<u32>> {
        let mut row: Vec<Option<u32>> = vec![None; self.dfa.len()];
        let states = || 0..self.dfa.len() as u32;
        if characters == 0 {
            states().filter(|&state| self.dfa.accepts(state)).for_each(|state| row[state as usize] = Some(0));
        } else {
            let before = &self.costs[characters - 1];
            for state in states() {
                let first = self.dfa.transitions(state).iter().filter(|t| begins_character(t.first));
                let ways = first.filter_map(|t| Some(before[t.next as usize]? + cheapest(t.first, t.last)));
                row[state as usize] = ways.min();
            }
        }
        // A character has at most three more bytes.
        for _ in 0..3 {
            for state in states() {
                let more = self.dfa.transitions(state).iter().filter(|t| !begins_character(t.first));
                let ways = more.filter_map(|t| Some(row[t.next as usize]? + 1));
                row[state as usize] = ways.chain(row[state as usize]).min();
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
        let mut best: Option<u32> = None;
        for row in least..=most.min(self.costs.len() as u32 - 1) {
            // So many characters have at least as many bytes.
            if best.is_some_and(|best| best <= row) {
                break;
            }
            best = best.into_iter().chain(self.costs[row as usize][state as usize]).min();
        }
        best
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
            state = self.dfa.transitions(state).first().map_or(state, |transition| transition.next);
            bytes += 1;
        }
        bytes
    }
}

/// The bytes of UTF-8: of all characters with one byte, two, three and four.
const CHARACTERS: [&[(u8, u8)]; 9] = [
    &[(0x00, 0x7F)],
    &[(0xC2, 0xDF), (0x80, 0xBF)],
    &[(0xE0, 0xE0), (0xA0, 0xBF), (0x80, 0xBF)],
    &[(0xE1, 0xEC), (0x80, 0xBF), (0x80, 0xBF)],
    &[(0xED, 0xED), (0x80, 0x9F), (0x80, 0xBF)],
    &[(0xEE, 0xEF), (0x80, 0xBF), (0x80, 0xBF)],
    &[(0xF0, 0xF0), (0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
    &[(0xF1, 0xF3), (0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
    &[(0xF4, 0xF4), (0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)],
];

/// Finds the states from which every text is accepted: the accepting ones from which each character leads to another
/// one of them.
fn free_states(dfa: &Dfa) -> Vec<bool> {
    let mut free: Vec<bool> = (0..dfa.len() as u32).map(|state| dfa.accepts(state)).collect();
    loop {
        let is_free = |state: &usize| free[*state] && CHARACTERS.iter().all(|c| all_lead(dfa, *state as u32, c, &free));
        let left: Vec<usize> = (0..dfa.len()).filter(is_free).collect();
        let before = free.iter().filter(|free| **free).count();
        free.fill(false);
        left.iter().for_each(|&state| free[state] = true);
        if left.len() == before {
            return free;
        }
    }
}

/// Returns whether all bytes of these ranges lead from a state to one of the states in `good`.
fn all_lead(dfa: &Dfa, state: u32, ranges: &[(u8, u8)], good: &[bool]) -> bool {
    let Some((&(first, last), rest)) = ranges.split_first() else { return good[state as usize] };
    let mut next = u16::from(first); // the first byte that is not covered yet
    for transition in dfa.transitions(state).iter().filter(|t| t.last >= first && t.first <= last) {
        if u16::from(transition.first) > next || !all_lead(dfa, transition.next, rest, good) {
            return false;
        }
        next = u16::from(transition.last) + 1;
    }
    next > u16::from(last)
}

/// Returns the smallest cost of the bytes from `first` to `last`.
fn cheapest(first: u8, last: u8) -> u32 {
    (first..=last).map(json_cost).min().unwrap_or(1)
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

/// The bytes of a character that were read: their part of its number, what is added to the digits in the next byte, and
/// the number of bytes after that one.
#[derive(Debug, Clone, Copy)]
struct Prefix {
    number: u32,
    mark: u8,
    more: u32,
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

    /// Returns whether up to `longest` bytes of whole characters may follow, whatever they are.
    pub fn is_free(&self, at: TextPosition, longest: u32) -> bool {
        at.escape == Escape::None && self.free[at.state as usize] && at.least <= at.most && at.most >= longest
    }

    // ANCHOR: read
    /// Reads one byte. Returns `None` if the byte is not allowed, or if no end could follow it.
    pub fn read(&self, at: TextPosition, byte: u8) -> Option<TextStep> {
        let next = match (at.escape, byte) {
            (Escape::None, b'"') => return (self.dfa.accepts(at.state) && at.least == 0).then_some(TextStep::End),
            (Escape::None, 0..0x20) => None,
            (Escape::None, b'\\') => self.within_escape(at, Escape::Backslash),
            (Escape::None, _) => self.content(at, &[byte]),
            (escape, _) => match escape.read(byte)? {
                (Escape::None, Some(meant)) => {
                    let is_allowed = escape == Escape::Backslash || self.may_be_numbered(meant);
                    if is_allowed { self.character(at, meant) } else { None }
                }
                (escape, _) => self.within_escape(at, escape),
            },
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

    /// Returns whether a character may be written by its number, `\uXXXX`.
    fn may_be_numbered(&self, c: char) -> bool {
        self.escaped_ascii || !(' '..='~').contains(&c)
    }

    fn character(&self, at: TextPosition, c: char) -> Option<TextPosition> {
        self.content(at, c.encode_utf8(&mut [0; 4]).as_bytes())
    }

    /// Returns the position within an escape, if some allowed character can complete it.
    fn within_escape(&self, at: TextPosition, escape: Escape) -> Option<TextPosition> {
        let at = TextPosition { escape, ..at };
        self.completion(at).map(|_| at)
    }

    /// Completes an escape: returns the bytes that it lacks, and the position after it. Of all allowed characters it is
    /// the one with the shortest escape; among those, the one with the smallest number.
    fn completion(&self, at: TextPosition) -> Option<(Vec<u8>, TextPosition)> {
        if at.escape == Escape::Backslash {
            let short = SHORT.iter().filter_map(|&(name, c)| Some((name, self.character(at, c)?)));
            let best = short.min_by_key(|(_, after)| self.cost(after.state, after.least, after.most));
            if let Some((name, after)) = best {
                return Some((vec![name], after));
            }
        }
        let (c, after) = at.escape.ranges().into_iter().find_map(|range| self.first_character(at, range))?;
        Some((at.escape.rest(c), after))
    }

    /// Returns the first allowed character in a range of numbers, and the position after it.
    fn first_character(&self, at: TextPosition, (first, last): (u32, u32)) -> Option<(char, TextPosition)> {
        /// The numbers of the characters with 1, 2, 3 and 4 bytes, and what their first byte adds to its digits.
        const LENGTHS: [(u32, u32, u8); 4] =
            [(0, 0x7F, 0), (0x80, 0x7FF, 0xC0), (0x800, 0xFFFF, 0xE0), (0x1_0000, 0x10_FFFF, 0xF0)];
        LENGTHS.into_iter().zip(0..).find_map(|((low, high, mark), more)| {
            let wanted = (low.max(first), high.min(last));
            self.first_with_prefix(at, at.state, Prefix { number: 0, mark, more }, wanted)
        })
    }

    /// Does the same for the characters whose first bytes led to `state`. All bytes of a transition lead to the same
    /// state, so it suffices to try two of them: the characters of the first may be wanted only in part.
    fn first_with_prefix(
        &self,
        at: TextPosition,
        state: u32,
        prefix: Prefix,
        wanted: (u32, u32),
    ) -> Option<(char, TextPosition)> {
        let size = 1 << (6 * prefix.more);
        self.dfa.transitions(state).iter().find_map(|transition| {
            let bytes = transition.first.max(prefix.mark)..=transition.last;
            let numbers = bytes.map(|byte| prefix.number + u32::from(byte - prefix.mark) * size);
            let wanted_numbers = numbers.filter(|&low| low <= wanted.1 && low + size > wanted.0);
            wanted_numbers.take(2).find_map(|number| match prefix.more {
                0 => {
                    let c = char::from_u32(number).filter(|&c| self.may_be_numbered(c))?;
                    Some((c, self.character(at, c)?))
                }
                more => {
                    let prefix = Prefix { number, mark: 0x80, more: more - 1 };
                    self.first_with_prefix(at, transition.next, prefix, wanted)
                }
            })
        })
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

    /// Returns the number of bytes to the end of the string, including the closing quote: the smallest, except that an
    /// escape which has begun is completed as [`completion`](Self::completion) does.
    pub fn shortest(&self, at: TextPosition) -> Option<u32> {
        let (escaped, at) = match at.escape {
            Escape::None => (0, at),
            _ => self.completion(at).map(|(bytes, after)| (bytes.len() as u32, after))?,
        };
        self.cost(at.state, at.least, at.most).map(|bytes| bytes.saturating_add(escaped + 1))
    }

    /// Returns the first byte on a shortest path to the end of the string.
    pub fn shortest_byte(&self, at: TextPosition) -> Option<u8> {
        if at.escape != Escape::None {
            return self.completion(at)?.0.first().copied();
        }
        let left = self.shortest(at)?.checked_sub(1)?;
        let leads = |byte: u8| match self.read(at, byte) {
            None => false,
            Some(TextStep::End) => left == 0,
            Some(TextStep::More(next)) => self.shortest(next) == Some(left),
        };
        (b' '..=255).find(|&byte| leads(byte))
    }
}
