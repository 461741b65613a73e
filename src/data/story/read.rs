//! Reading: the one derivation of a text, or the first byte at which no story goes on like this.
//!
//! At a choice every option is followed; at most one can be followed to its end, because options never begin each
//! other. So nothing is ever taken back after a choice, and the furthest byte that any option reached is where the
//! text leaves the grammar: up to there it begins some story, one byte further it begins none.

use super::grammar::{Grammar, Piece};
use super::tell::Drawn;
use std::fmt;

/// What a text tells, and how likely it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivation {
    /// Every drawn word with its name, in the order of the text: `("hero", "Lily")`.
    pub facts: Vec<(String, String)>,
    /// The rules that the text went through, in order: `story`, `animal`, `storm`.
    pub rules: Vec<String>,
    /// The natural logarithm of the text's probability, to the last bit what [`Grammar::sample`] says of it.
    pub log_probability: f64,
}

impl Derivation {
    /// The word with the given name: the `hero`, the `place`, the `thing`.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(n, _)| n == name).map(|(_, word)| word.as_str())
    }
}

/// Where a text stops being the beginning of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The first byte that no story has here; the text's length if the text only ends too early.
    pub offset: usize,
    /// How stories go on from there; an empty string is the end of the story.
    pub expected: Vec<String>,
    /// How the text goes on, at most a few words; empty at its end.
    pub found: String,
    /// The few words before.
    pub after: String,
}

impl Departure {
    /// Whether the text is the beginning of a story that was cut off.
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

/// How far a reading is, and what it has learned. Going back is cutting the two lists.
#[derive(Default)]
struct Reading<'a> {
    text: &'a str,
    at: usize,
    log_probability: f64,
    drawn: Drawn,
    rules: Vec<usize>,
    furthest: usize,
    expected: Vec<String>, // at `furthest`
}

impl Reading<'_> {
    /// Whether the text goes on with `said`; if so, the reading stands behind it.
    fn follow(&mut self, said: &str) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let same = said.bytes().zip(rest).take_while(|(a, b)| a == *b).count();
        if same == said.len() {
            self.at += same;
            return true;
        }
        self.expect(self.at + same, &said[same..]);
        false
    }

    /// Notes that a story could have gone on with `said` at `offset`.
    fn expect(&mut self, offset: usize, said: &str) {
        if offset > self.furthest {
            self.expected.clear();
            self.furthest = offset;
        }
        let said = few_words(said).to_string();
        if offset == self.furthest && !self.expected.contains(&said) {
            self.expected.push(said);
        }
    }

    fn departure(self) -> Departure {
        // Everything before `furthest` was matched with ASCII, so it is a character boundary.
        let (before, rest) = self.text.split_at(self.furthest);
        let start = before.char_indices().rev().take(20).last().map_or(0, |(index, _)| index);
        let (after, found) = (before[start..].to_string(), few_words(rest).to_string());
        Departure { offset: self.furthest, expected: self.expected, found, after }
    }
}

/// At most the first 20 characters.
fn few_words(text: &str) -> &str {
    text.char_indices().nth(20).map_or(text, |(end, _)| &text[..end])
}

impl Grammar {
    // ANCHOR: parse
    /// Follows `text` through the grammar.
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
    /// Whether the text goes on with `pieces`.
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
