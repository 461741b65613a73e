//! The automata of one schema: each regular expression is translated once, and all of them together have a limit.

use super::dfa::{Dfa, DfaError};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// The largest total cost of the automata of a schema. It keeps the time to compile a schema below some two seconds.
const MOST_COST: usize = 1 << 21;
/// The cost of a state that is made from a regular expression, compared with one that is made from other automata.
const REGEX_STATE: usize = 16;

/// Makes automata.
#[derive(Default)]
pub struct Automata {
    known: RefCell<HashMap<String, Rc<Dfa>>>,
    cost: Cell<usize>,
}

impl Automata {
    /// Returns the automaton of a regular expression.
    ///
    /// # Errors
    /// If the expression has a syntax error, or too many states are needed.
    pub fn regex(&self, regex: &str) -> Result<Rc<Dfa>, DfaError> {
        if let Some(dfa) = self.known.borrow().get(regex) {
            return Ok(dfa.clone());
        }
        let dfa = Rc::new(self.count(Dfa::new(regex)?, REGEX_STATE)?);
        self.known.borrow_mut().insert(regex.to_string(), dfa.clone());
        Ok(dfa)
    }

    /// Returns the automaton that accepts exactly these words.
    ///
    /// # Errors
    /// If too many states are needed.
    pub fn words(&self, words: &[&[u8]]) -> Result<Dfa, DfaError> {
        self.count(Dfa::words(words)?, 1)
    }

    /// Adds an automaton that was made from others to the total.
    ///
    /// # Errors
    /// If too many states are needed.
    pub fn made(&self, dfa: Dfa) -> Result<Dfa, DfaError> {
        self.count(dfa, 1)
    }

    fn count(&self, dfa: Dfa, cost: usize) -> Result<Dfa, DfaError> {
        self.cost.set(self.cost.get() + dfa.len() * cost);
        if self.cost.get() > MOST_COST { Err(DfaError::TooManyStates) } else { Ok(dfa) }
    }
}
