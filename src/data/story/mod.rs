//! The built-in stories: a grammar that generates stories, parses them, and knows the probability of each.
//!
//! To judge a model that is trained for a few minutes, one has to know the true distribution of its data. So the
//! training stories come from a probabilistic grammar (`tales.txt`, with the words in `words.txt`), which is used in
//! four ways:
//!
//! - [`sample`] draws a story;
//! - [`parse`] follows a text and returns its choices, or the first byte at which it is not a story any more;
//! - [`log_probability`] is the sum over these choices;
//! - [`entropy`] is the exact mean of −log p, by recursion over the grammar.
//!
//! Every story has exactly one derivation, because no option of a choice is a prefix of another one, which
//! [`Grammar::new`] proves. So the log probability is exact, and it gives a lower bound of the loss of a language
//! model. For a validation set, the bound is the sum of −log p over its stories, divided by their number of tokens,
//! including the end token of each story (which has probability 1 after a complete story). No model can be expected to
//! reach a lower loss, and the numerator does not depend on the tokenizer.
//!
//! The stories are designed to be learned from two million tokens. Templates occur often. A story repeats what it
//! introduces at once (`named Ruby. Ruby liked`), which teaches a model to copy, and again much later, where the model
//! must copy. The lists of repeated words are short. The names of heroes and of helpers come from different lists, so
//! that a name tells which of the two it belongs to: when both came from one list of twelve names, one story in ten
//! gave the helper the hero's name.
//!
//! Shannon 1948, "A Mathematical Theory of Communication",
//! <https://doi.org/10.1002/j.1538-7305.1948.tb01338.x>.

mod grammar;
mod notation;
mod check;
mod tell;
mod read;

pub use grammar::Grammar;
pub use read::{Departure, Derivation};
pub use tell::Story;

use crate::error::Result;
use grammar::Survey;
use rand::Rng;
use std::sync::LazyLock;

impl Grammar {
    /// Reads the rules and the word lists, in the notation of `tales.txt` and `words.txt`, and proves that every text has
    /// at most one derivation.
    ///
    /// # Errors
    /// If the notation is wrong or a text may have two derivations. The message names the rule and the problem.
    pub fn new(tales: &str, words: &str) -> Result<Self> {
        let (rules, lists, slots) = notation::read(tales, words)?;
        let mut grammar = Self { rules, lists, slots, survey: Survey::default() };
        grammar.survey = grammar.check()?;
        Ok(grammar)
    }
}

/// Returns the grammar of the built-in stories.
pub fn grammar() -> &'static Grammar {
    static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
        match Grammar::new(include_str!("tales.txt"), include_str!("words.txt")) {
            Ok(grammar) => grammar,
            Err(error) => panic!("the built-in grammar: {error}"), // cannot happen: a test reads it
        }
    });
    &GRAMMAR
}

/// Draws a story. Generators in the same state give the same story on every machine.
pub fn sample<R: Rng + ?Sized>(rng: &mut R) -> Story {
    grammar().sample(rng)
}

/// Parses `text`.
///
/// # Errors
/// If `text` is not a story: the first byte at which it departs from the grammar.
pub fn parse(text: &str) -> std::result::Result<Derivation, Departure> {
    grammar().parse(text)
}

/// Returns the natural logarithm of the probability that [`sample`] returns exactly `text`; `None` if it never does.
pub fn log_probability(text: &str) -> Option<f64> {
    parse(text).ok().map(|derivation| derivation.log_probability)
}

/// Returns whether `text` is a complete story, with every sentence, name, pronoun and object in its place.
pub fn well_formed(text: &str) -> bool {
    parse(text).is_ok()
}

/// Returns the entropy of the stories: the mean of −log p, in nats per story. It is exact up to rounding.
pub fn entropy() -> f64 {
    grammar().entropy()
}
