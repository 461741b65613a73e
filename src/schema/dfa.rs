//! Deterministic finite automata over bytes, made from regular expressions.

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, StartError, StartKind, dense};
use regex_automata::util::start;
use std::collections::HashMap;

/// The state from which nothing is accepted any more.
pub const DEAD: u32 = 0;
/// The state before the first byte, unless the automaton accepts nothing at all.
pub const START: u32 = 1;

/// The largest number of states. A state takes a kilobyte.
const MOST_STATES: usize = 50_000;

/// A regular expression whose automaton cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum DfaError {
    /// A syntax error, or an automaton that is too large for the regex crate.
    #[error("{}", reason(.0))]
    Syntax(#[source] Box<dense::BuildError>),
    /// The automaton has no start state.
    #[error("{0}")]
    Start(#[source] Box<StartError>),
    /// The automaton has too many states.
    #[error("needs more than {MOST_STATES} states")]
    TooManyStates,
}

/// The states with the transition for each byte. From every state except [`DEAD`] an accepting state can be reached.
#[derive(Debug, Clone)]
pub struct Dfa {
    next: Vec<[u32; 256]>,
    accepts: Vec<bool>,
}

impl Dfa {
    /// Makes the automaton of a regular expression, in the syntax of the crate regex, which must match the whole text.
    ///
    /// # Errors
    /// If the expression has a syntax error or needs too many states.
    pub fn new(regex: &str) -> Result<Self, DfaError> {
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(1 << 26))
            .determinize_size_limit(Some(1 << 27));
        let dfa = dense::Builder::new().configure(config).build(&format!(r"\A(?:{regex})\z"));
        let dfa = dfa.map_err(|error| DfaError::Syntax(Box::new(error)))?;
        let first = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|error| DfaError::Start(Box::new(error)))?;
        let next = |state, byte| Some(dfa.next_state(state, byte)).filter(|&next| !dfa.is_dead_state(next));
        Self::explore(first, next, |state| dfa.is_match_state(dfa.next_eoi_state(state)))
    }

    /// Returns the automaton that accepts what both accept.
    ///
    /// # Errors
    /// If it needs too many states.
    pub fn and(&self, other: &Self) -> Result<Self, DfaError> {
        let next = |(a, b): (u32, u32), byte| {
            let pair = (self.next(a, byte), other.next(b, byte));
            (pair.0 != DEAD && pair.1 != DEAD).then_some(pair)
        };
        Self::explore((START, START), next, |(a, b)| self.accepts(a) && other.accepts(b))
    }

    /// Returns the automaton that accepts the same texts except for `words`.
    ///
    /// # Errors
    /// If it needs too many states.
    pub fn without(&self, words: &[&[u8]]) -> Result<Self, DfaError> {
        // `read` is the text so far as long as it is a prefix of some word, and `None` after that.
        let next = |(state, read): (u32, Option<Vec<u8>>), byte| {
            let read = read.map(|mut read| {
                read.push(byte);
                read
            });
            let read = read.filter(|read| words.iter().any(|word| word.starts_with(read)));
            Some((self.next(state, byte), read)).filter(|(state, _)| *state != DEAD)
        };
        let first = (START, Some(Vec::new()));
        Self::explore(first, next, |(state, read)| {
            self.accepts(state) && !read.is_some_and(|read| words.contains(&&read[..]))
        })
    }

    /// Numbers the states that can be reached, and merges those from which nothing is accepted into [`DEAD`].
    fn explore<S: Clone + Eq + std::hash::Hash>(
        first: S,
        next: impl Fn(S, u8) -> Option<S>,
        accepts: impl Fn(S) -> bool,
    ) -> Result<Self, DfaError> {
        let mut numbers = HashMap::from([(first.clone(), START)]);
        let mut states = vec![first];
        let mut dfa = Self { next: vec![[DEAD; 256]], accepts: vec![false] };
        while let Some(state) = states.get(dfa.next.len() - 1).cloned() {
            let mut row = [DEAD; 256];
            for (byte, place) in (0..=255).zip(&mut row) {
                let Some(to) = next(state.clone(), byte) else { continue };
                *place = *numbers.entry(to.clone()).or_insert_with(|| {
                    states.push(to);
                    states.len() as u32
                });
            }
            if states.len() > MOST_STATES {
                return Err(DfaError::TooManyStates);
            }
            dfa.next.push(row);
            dfa.accepts.push(accepts(state));
        }
        dfa.cut_dead_ends();
        Ok(dfa)
    }

    /// Redirects every transition after which nothing can be accepted to [`DEAD`].
    fn cut_dead_ends(&mut self) {
        let alive: Vec<bool> = self.costs(|_| 1).into_iter().map(|cost| cost.is_some()).collect();
        for row in &mut self.next {
            row.iter_mut().filter(|to| !alive[**to as usize]).for_each(|to| *to = DEAD);
        }
        self.accepts[DEAD as usize] = false;
    }

    /// Returns the lowest cost from each state to an accepting one, where `cost` is the cost of a byte; `None` if there
    /// is no path.
    pub fn costs(&self, cost: impl Fn(u8) -> u32) -> Vec<Option<u32>> {
        let mut costs: Vec<Option<u32>> = self.accepts.iter().map(|&accepts| accepts.then_some(0)).collect();
        loop {
            let mut changed = false;
            for state in (0..self.next.len()).rev() {
                let ways =
                    (0..=255u8).filter_map(|byte| Some(costs[self.next[state][byte as usize] as usize]? + cost(byte)));
                let best = ways.chain(costs[state]).min();
                changed |= best != costs[state];
                costs[state] = best;
            }
            if !changed {
                return costs;
            }
        }
    }

    /// Returns whether the automaton accepts `bytes`.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.accepts(bytes.iter().fold(START, |state, &byte| self.next(state, byte)))
    }

    /// Returns the number of states, including [`DEAD`].
    pub fn len(&self) -> usize {
        self.next.len()
    }

    /// Returns the state after `state` and `byte`.
    pub fn next(&self, state: u32, byte: u8) -> u32 {
        self.next[state as usize][byte as usize]
    }

    /// Returns whether a text may end in this state.
    pub fn accepts(&self, state: u32) -> bool {
        self.accepts[state as usize]
    }

    /// Returns whether a text may continue from this state.
    pub fn continues(&self, state: u32) -> bool {
        self.next[state as usize].iter().any(|&to| to != DEAD)
    }
}

/// Returns the last line of an error, because the lines before it may draw the position in the regular expression.
fn reason(error: &dense::BuildError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string()
}
