//! The grammar as a tree.
//!
//! A rule is a list of pieces. A piece is text, a choice between lists of pieces, a word that is drawn from a list and
//! gets a name, a mention of such a name, or another rule. A rule refers only to rules after it, so the grammar has no
//! recursion.

// ANCHOR: grammar
/// A probabilistic grammar in which every text has at most one derivation.
#[derive(Clone, Debug)]
pub struct Grammar {
    pub(super) rules: Vec<Rule>, // the first rule is the whole story
    pub(super) lists: Vec<List>,
    pub(super) slots: Vec<Slot>,
    pub(super) survey: Survey,
}

/// The properties of all stories of a grammar.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// The entropy, in nats per story.
    pub entropy: f64,
    /// The smallest probability of an option.
    pub rarest: f64,
}

/// A named part of a story.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub name: String,
    pub pieces: Vec<Piece>,
}

// ANCHOR: pieces
/// A part of a rule.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// A text as it is.
    Text(String),
    /// One of several lists of pieces, all with the same probability.
    Choice(Vec<Vec<Piece>>),
    /// A word that the story has not drawn yet, all with the same probability. It gets a name, by which it can be
    /// mentioned.
    Draw(Mention),
    /// A word that was drawn before.
    Mention(Mention),
    /// The pieces of another rule, by its index.
    Rule(usize),
}
// ANCHOR_END: pieces

/// A slot, and the form in which its word is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention {
    pub slot: usize,
    pub column: usize, // the column of the word's line; 0 is the word itself
    pub article: bool, // whether "a" or "an" comes before it
    pub capital: bool, // whether the first letter is a capital
}
// ANCHOR_END: grammar

/// The name by which a story refers to a word, such as `hero`, and the list that the word comes from.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub name: String,
    pub list: usize,
}

/// A list of words. Every line is a word followed by its other columns.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub name: String,
    pub columns: Vec<String>,
    pub lines: Vec<Vec<String>>,
}

impl Grammar {
    /// Returns the word at `line` of the slot's list, in the form of the mention.
    pub(super) fn render(&self, mention: &Mention, line: usize) -> String {
        let word = &self.lists[self.slots[mention.slot].list].lines[line][mention.column];
        let mut text = String::new();
        if mention.article {
            text += if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an " } else { "a " };
        }
        text += word;
        if mention.capital {
            text[..1].make_ascii_uppercase();
        }
        text
    }
}
