//! Parses a text: finds its only derivation, or the first byte at which it is not the beginning of any story.
//!
//! At a choice the options are tried in order until one of them fits. No other option could fit as well, because no
//! option is a prefix of another. So a choice is never revised once it is made, and the furthest byte that any option
//! has reached is where the text departs from the grammar: the bytes before it are the beginning of some story, with
//! the next byte they are not.

use super::grammar::{Grammar, Piece};
use super::tell::Drawn;
use std::fmt;

/// The derivation of a text, and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivation {
    /// The drawn words with their names, in the order of the text, such as `("hero", "Lily")`.
    pub facts: Vec<(String, String)>,
    /// The rules that the derivation uses, in order, such as `story`, `animal`, `storm`.
    pub rules: Vec<String>,
    /// The natural logarithm of the text's probability. It is bit-identical to the value that [`Grammar::sample`]
    /// returns.
    pub log_probability: f64,
}

impl Derivation {
    /// Returns the word with the given name, such as `hero`, `place` or `thing`.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(n, _)| n == name).map(|(_, word)| word.as_str())
    }
}

/// The position at which a text departs from the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The first byte that no story has at this position; the length of the text if it only ends too early.
    pub offset: usize,
    /// The texts with which stories continue there; an empty string stands for the end of the story.
    pub expected: Vec<String>,
    /// The next characters of the text; empty at its end.
    pub found: String,
    /// The characters before the position.
    pub after: String,
}

impl Departure {
    /// Returns whether the text is the beginning of a story.
    pub fn is_cut_off(&self) -> bool {
        self.found.is_empty()
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let quote = |text: &str, end: &str| if text.is_empty() { end.to_string() } else { format!("{text:?}") };
        let shown: Vec<String> = self.expected.iter().take(4).map(|text| quote(text, "the end of the story")).collect();
        write!(f, "byte {}, after {:?}: expected {}", self.offset, self.after, shown.join(" or "))?;
        if self.expected.len() > shown.len() {
            write!(f, " or {} others", self.expected.len() - shown.len())?;
        }
        write!(f, ", found {}", quote(&self.found, "the end of the text"))
    }
}

impl std::error::Error for Departure {}

/// The state of parsing. To go back to an earlier state, the two lists are truncated.
#[derive(Default)]
struct Reading<'a> {
    text: &'a str,
    at: usize,
    log_probability: f64,
    drawn: Drawn,
    rules: Vec<usize>,
    furthest: usize,
    expected: Vec<String>, // the continuations at `furthest`
}

impl Reading<'_> {
    /// Returns whether the text continues with `next`. If so, moves past it.
    fn follow(&mut self, next: &str) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let same = next.bytes().zip(rest).take_while(|(a, b)| a == *b).count();
        if same == next.len() {
            self.at += same;
            return true;
        }
        self.expect(self.at + same, &next[same..]);
        false
    }

    /// Records that a story could continue with `next` at `offset`.
    fn expect(&mut self, offset: usize, next: &str) {
        if offset > self.furthest {
            self.expected.clear();
            self.furthest = offset;
        }
        let next = first_characters(next).to_string();
        if offset == self.furthest && !self.expected.contains(&next) {
            self.expected.push(next);
        }
    }

    fn departure(self) -> Departure {
        // All bytes before `furthest` matched ASCII text, so it is a character boundary.
        let (before, rest) = self.text.split_at(self.furthest);
        let start = before.char_indices().rev().take(20).last().map_or(0, |(index, _)| index);
        let (after, found) = (before[start..].to_string(), first_characters(rest).to_string());
        Departure { offset: self.furthest, expected: self.expected, found, after }
    }
}

/// Returns at most the first 20 characters.
fn first_characters(text: &str) -> &str {
    text.char_indices().nth(20).map_or(text, |(end, _)| &text[..end])
}

impl Grammar {
    // ANCHOR: parse
    /// Parses `text`.
    ///
    /// # Errors
    /// If `text` is not a story: the position at which it departs from the grammar.
    pub fn parse(&self, text: &str) -> Result<Derivation, Departure> {
        let mut reading = Reading { text, rules: vec![0], ..Reading::default() };
        if !self.read(&self.rules[0].pieces, &mut reading) {
            return Err(reading.departure());
        }
        if reading.at < text.len() {
            reading.expect(reading.at, "");
            return Err(reading.departure());
        }
        let fact = |&(slot, line): &(usize, usize)| {
            let slot = &self.slots[slot];
            (slot.name.clone(), self.lists[slot.list].lines[line][0].clone())
        };
        Ok(Derivation {
            facts: reading.drawn.0.iter().map(fact).collect(),
            rules: reading.rules.iter().map(|&rule| self.rules[rule].name.clone()).collect(),
            log_probability: reading.log_probability,
        })
    }

    // ANCHOR: read
    /// Returns whether the text continues with `pieces`. If so, moves past them.
    fn read(&self, pieces: &[Piece], reading: &mut Reading) -> bool {
        pieces.iter().all(|piece| match piece {
            Piece::Text(text) => reading.follow(text),
            Piece::Mention(mention) => reading.follow(&self.render(mention, reading.drawn.line(mention.slot))),
            Piece::Rule(rule) => {
                reading.rules.push(*rule);
                self.read(&self.rules[*rule].pieces, reading)
            }
            Piece::Draw(mention) => {
                let free = self.free(mention.slot, &reading.drawn);
                let found = free.iter().find(|&&line| reading.follow(&self.render(mention, line)));
                reading.log_probability -= (free.len() as f64).ln();
                reading.drawn.0.extend(found.map(|&line| (mention.slot, line)));
                found.is_some()
            }
            Piece::Choice(options) => {
                let log_probability = reading.log_probability - (options.len() as f64).ln();
                let (at, drawn, rules) = (reading.at, reading.drawn.0.len(), reading.rules.len());
                options.iter().any(|option| {
                    (reading.at, reading.log_probability) = (at, log_probability);
                    reading.drawn.0.truncate(drawn);
                    reading.rules.truncate(rules);
                    self.read(option, reading)
                })
            }
        })
    }
    // ANCHOR_END: read
    // ANCHOR_END: parse
}
