//! The built-in stories: a grammar that writes them, reads them, and knows the probability of each.
//!
//! A model that is trained for four minutes has to be judged, and a judge has to know the truth. So the training
//! stories come from a probabilistic grammar (`tales.txt`, with the words in `words.txt`). It is written once and
//! read in four ways:
//!
//! - [`sample`] draws a story;
//! - [`parse`] follows a text and says which choices it made, or the first byte where it stops being a story;
//! - [`log_probability`] is the sum over those choices;
//! - [`entropy`] is the exact mean of −log p, by recursion over the grammar instead of over its stories.
//!
//! Every story has exactly one derivation: the options of a choice never begin each other, which
//! [`Grammar::new`] proves for every choice. So its log probability is exact, and with it the floor of a language
//! model's loss. Per validation set: the sum of −log p over its stories, divided by their tokens, each story's end
//! token counted (it has probability 1 after a complete story). No model can be expected to go below it, and
//! no tokenizer moves the numerator.
//!
//! The stories are made to be learned in two million tokens. Templates come often. What a story introduces it repeats
//! at once (`named Ruby. Ruby liked`), which teaches a model to copy, and again much later, where it has to. The lists
//! of words that are repeated are short, and a hero's name comes from another list than a helper's, so that a name says
//! whose it is: where both came from one list of twelve, one story in ten gave the helper the hero's name.
//!
//! Shannon 1948, "A Mathematical Theory of Communication",
//! <https://doi.org/10.1002/j.1538-7305.1948.tb01338.x>.

mod check;
mod grammar;
mod notation;
mod read;
mod tell;

pub use grammar::Grammar;
pub use read::{Departure, Derivation};
pub use tell::Story;

use rand::Rng;
use std::sync::LazyLock;

/// The grammar of the built-in stories.
pub fn grammar() -> &'static Grammar {
    static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
        match Grammar::new(include_str!("tales.txt"), include_str!("words.txt")) {
            Ok(grammar) => grammar,
            Err(error) => panic!("the built-in grammar: {error}"), // compiled in; a test reads it
        }
    });
    &GRAMMAR
}

/// Draws a story. The same generator in the same state gives the same story on every machine.
pub fn sample<R: Rng + ?Sized>(rng: &mut R) -> Story {
    grammar().sample(rng)
}

/// Follows `text` through the grammar: what it tells of, or where it stops being a story.
pub fn parse(text: &str) -> Result<Derivation, Departure> {
    grammar().parse(text)
}

/// The natural logarithm of the probability that [`sample`] gives exactly `text`; `None` if it never does.
pub fn log_probability(text: &str) -> Option<f64> {
    parse(text).ok().map(|derivation| derivation.log_probability)
}

/// Whether `text` is a complete story: every sentence, name, pronoun and object where it has to be.
pub fn well_formed(text: &str) -> bool {
    parse(text).is_ok()
}

/// The mean of −log p over all stories, in nats a story. Exact up to rounding.
pub fn entropy() -> f64 {
    grammar().entropy()
}
