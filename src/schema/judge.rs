//! Judges a JSON text byte by byte, with the automaton that also masks tokens.

use super::automaton::{Automaton, DONE, StackId};
use super::compile::{Compiled, compile};
use super::error::{SchemaProblem, SchemaResult, refuse};
use serde_json::Value;

/// The greatest number of stacks that are kept while a long text is read. So few fit into the cache of a processor.
const MOST_STACKS: usize = 1 << 13;
/// The greatest number of alternatives that an explanation lists.
const MOST_EXPECTED: usize = 10;

/// Reads a text and says where it leaves the schema. White space around the text is skipped.
pub struct Judge {
    automaton: Automaton,
    now: Vec<StackId>,
    /// The number of bytes that were read.
    read: u64,
    phase: Phase,
    unknown_formats: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Within,
    After,
}

/// The byte at which a text leaves the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rejected at byte {at}: {found}, expected {expected}")]
pub struct Rejection {
    /// The number of bytes before it.
    pub at: u64,
    /// The byte, or the end of the text.
    pub found: String,
    /// The bytes or values that are allowed there.
    pub expected: String,
}

impl Judge {
    /// Compiles a schema.
    ///
    /// # Errors
    /// If a keyword of the schema cannot be enforced.
    pub fn new(schema: &Value) -> SchemaResult<Self> {
        let Compiled { root, grammar, unknown_formats } = compile(schema)?;
        let mut automaton = Automaton::new(grammar);
        let now = automaton.begin(root);
        if now.is_empty() {
            return refuse("", SchemaProblem::OnlyDeepValues);
        }
        Ok(Self { automaton, now, read: 0, phase: Phase::Before, unknown_formats })
    }

    /// Returns the names of the formats in the schema that are unknown. They do not constrain anything.
    pub fn unknown_formats(&self) -> &[String] {
        &self.unknown_formats
    }

    /// Reads the next bytes of the text.
    ///
    /// # Errors
    /// At the first byte that the schema does not allow.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        for &byte in bytes {
            let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            let next = match self.phase {
                Phase::Before if is_space => self.now.clone(),
                Phase::After => Vec::new(),
                _ => self.automaton.step(&self.now, byte),
            };
            if !next.is_empty() {
                if !is_space {
                    self.phase = Phase::Within;
                }
                self.now = next;
            } else if is_space && self.now.contains(&DONE) {
                self.phase = Phase::After;
            } else {
                return Err(self.rejection(shown(byte)));
            }
            self.read += 1;
            if self.automaton.len() > MOST_STACKS {
                self.automaton.forget_all_but(&mut [&mut self.now]);
            }
        }
        Ok(())
    }

    /// Ends the text.
    ///
    /// # Errors
    /// If the schema demands more.
    pub fn finish(mut self) -> Result<(), Rejection> {
        if self.now.contains(&DONE) { Ok(()) } else { Err(self.rejection("the end".into())) }
    }

    fn rejection(&mut self, found: String) -> Rejection {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        if self.phase != Phase::After {
            for byte in 0..=255 {
                if self.automaton.step(&self.now, byte).is_empty() {
                    continue;
                }
                match ranges.last_mut() {
                    Some((_, last)) if *last + 1 == byte => *last = byte,
                    _ => ranges.push((byte, byte)),
                }
            }
        }
        let mut expected: Vec<String> = ranges.iter().map(|&range| named(range)).collect();
        expected.dedup();
        if expected.len() > MOST_EXPECTED {
            expected.truncate(MOST_EXPECTED);
            expected.push("…".into());
        }
        if self.now.contains(&DONE) {
            expected.push("the end".into());
        }
        Rejection { at: self.read, found, expected: expected.join(" or ") }
    }
}

/// Shows a byte.
fn shown(byte: u8) -> String {
    match byte {
        b' '..=b'~' => format!("{:?}", char::from(byte)),
        _ => format!("the byte 0x{byte:02x}"),
    }
}

/// Names the bytes of a range.
fn named((first, last): (u8, u8)) -> String {
    match (first, last) {
        (b'\t' | b'\n' | b'\r' | b' ', b'\t' | b'\n' | b'\r' | b' ') => "white space".into(),
        (0x80.., _) => "a character beyond ASCII".into(),
        (first, last) if first == last => shown(first),
        (first, last) if last == first + 1 => format!("{} or {}", shown(first), shown(last)),
        (first, last) => format!("{} to {}", shown(first), shown(last.min(0x7F))),
    }
}
