//! The grammar as a tree.
//!
//! A rule is a list of pieces: text, a choice between lists of pieces, a word drawn from a list and given a name, a
//! mention of such a name, another rule. A rule refers only to rules further down, so nothing is endless.

use super::check::Survey;
use super::notation;
use crate::error::Result;

// ANCHOR: grammar
/// A probabilistic grammar in which every text has at most one derivation.
#[derive(Clone, Debug)]
pub struct Grammar {
    pub(super) rules: Vec<Rule>, // the first one is the story
    pub(super) lists: Vec<List>,
    pub(super) slots: Vec<Slot>,
    pub(super) survey: Survey,
}

/// A named part of a story.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub name: String,
    pub pieces: Vec<Piece>,
}

// ANCHOR: pieces
/// What a rule is made of.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Said as it is.
    Text(String),
    /// One of several, all equally likely.
    Choice(Vec<Vec<Piece>>),
    /// A word that the story has not drawn yet, all equally likely; from here on it has a name.
    Draw(Mention),
    /// A word that was drawn before.
    Mention(Mention),
    /// The pieces of another rule.
    Rule(usize),
}
// ANCHOR_END: pieces

/// A slot, and the form in which its word is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention {
    pub slot: usize,
    pub column: usize, // of the word's line; 0 is the word itself
    pub article: bool, // "a" or "an" before it
    pub capital: bool, // the first letter
}
// ANCHOR_END: grammar

/// The name under which a story remembers a word, such as `hero`, and the list that the word comes from.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub name: String,
    pub list: usize,
}

/// A list of words. Every line is the word followed by its other columns.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub name: String,
    pub columns: Vec<String>,
    pub lines: Vec<Vec<String>>,
}

impl Grammar {
    /// Reads the rules and the word lists, in the notation of `tales.txt` and `words.txt`, and proves that every text
    /// has at most one derivation. Otherwise the error names the rule and what is wrong with it.
    pub fn new(tales: &str, words: &str) -> Result<Self> {
        let (rules, lists, slots) = notation::read(tales, words)?;
        let mut grammar = Self { rules, lists, slots, survey: Survey::default() };
        grammar.survey = grammar.check()?;
        Ok(grammar)
    }

    /// The word at `line` of the mentioned slot's list, in the form that the mention asks for.
    pub(super) fn render(&self, mention: &Mention, line: usize) -> String {
        let word = &self.lists[self.slots[mention.slot].list].lines[line][mention.column];
        let mut said = String::new();
        if mention.article {
            said += if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an " } else { "a " };
        }
        said += word;
        if mention.capital {
            said[..1].make_ascii_uppercase();
        }
        said
    }
}
