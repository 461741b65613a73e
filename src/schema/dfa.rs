//! Deterministic finite automata over bytes: made from regular expressions, from lists of words, and from each other.

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, StartError, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::start;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

/// The state from which nothing is accepted any more.
pub const DEAD: u32 = 0;
/// The state before the first byte, unless the automaton accepts nothing at all.
pub const START: u32 = 1;

/// The largest number of states of a list of words, and of all other automata. A state takes some twenty bytes.
const MOST_WORD_STATES: usize = 1 << 20;
const MOST_STATES: usize = 1 << 18;
/// The largest number of bytes that the crate regex may use for an expression, and for its automaton. Together they keep
/// the time for one expression below a second.
const REGEX_BYTES: usize = 1 << 21;
const AUTOMATON_BYTES: usize = 1 << 24;

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
    #[error("the patterns and listed values need automata with too many states")]
    TooManyStates,
}

/// The transition of a state for the bytes from `first` to `last`.
#[derive(Debug, Clone, Copy)]
pub struct Transition {
    /// The first byte.
    pub first: u8,
    /// The last byte.
    pub last: u8,
    /// The next state.
    pub next: u32,
}

/// The states with their transitions. From every state except [`DEAD`] an accepting state can be reached.
#[derive(Debug, Clone, Default)]
pub struct Dfa {
    /// The transitions of all states, one state after another, each in the order of the bytes.
    transitions: Vec<Transition>,
    /// The index after the last transition of each state.
    ends: Vec<u32>,
    /// Whether a text may end in each state.
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
            .dfa_size_limit(Some(AUTOMATON_BYTES))
            .determinize_size_limit(Some(AUTOMATON_BYTES));
        let mut builder = dense::Builder::new();
        let captures = thompson::WhichCaptures::None;
        let nfa = thompson::Config::new().which_captures(captures).nfa_size_limit(Some(REGEX_BYTES));
        let dfa = builder.configure(config).thompson(nfa).build(&format!(r"\A(?:{regex})\z"));
        let dfa = dfa.map_err(|error| DfaError::Syntax(Box::new(error)))?;
        let first = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|error| DfaError::Start(Box::new(error)))?;
        let next = |state, out: &mut Vec<_>| {
            let states = (0..=255).map(|byte| (byte, dfa.next_state(state, byte)));
            push_runs(states.filter(|&(_, next)| !dfa.is_dead_state(next)), out);
        };
        Self::explore(first, next, |state| dfa.is_match_state(dfa.next_eoi_state(state)))
    }

    /// Makes the automaton that accepts exactly these words.
    ///
    /// # Errors
    /// If it needs too many states.
    pub fn words(words: &[&[u8]]) -> Result<Self, DfaError> {
        let mut sorted = words.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        // A state stands for the words from `from` up to `to`, which begin with the same `length` bytes.
        let next = |(from, to, length): (usize, usize, usize), out: &mut Vec<(u8, u8, _)>| {
            let mut from = from + usize::from(from < to && sorted[from].len() == length);
            while from < to {
                let byte = sorted[from][length];
                let same = sorted[from..to].partition_point(|word| word[length] == byte);
                out.push((byte, byte, (from, from + same, length + 1)));
                from += same;
            }
        };
        let accepts = |(from, to, length): (usize, usize, usize)| from < to && sorted[from].len() == length;
        Self::explore_up_to(MOST_WORD_STATES, (0, sorted.len(), 0), next, accepts)
    }

    /// Returns the automaton that accepts what both accept.
    ///
    /// # Errors
    /// If it needs too many states.
    pub fn and(&self, other: &Self) -> Result<Self, DfaError> {
        self.combine(other, |next| next != DEAD, |accepts| accepts)
    }

    /// Returns the automaton that accepts what this one accepts and the other one does not.
    ///
    /// # Errors
    /// If it needs too many states.
    pub fn minus(&self, other: &Self) -> Result<Self, DfaError> {
        self.combine(other, |_| true, |accepts| !accepts)
    }

    /// Lets both automata read the same text. `keep` tells whether the state of the other one is of interest, and `end`
    /// whether the text may end if the other automaton accepts it, or does not.
    fn combine(&self, other: &Self, keep: fn(u32) -> bool, end: fn(bool) -> bool) -> Result<Self, DfaError> {
        let next = |(a, b): (u32, u32), out: &mut Vec<_>| {
            for own in self.transitions(a) {
                let mut from = u16::from(own.first);
                let overlapping = other.transitions(b).iter().filter(|t| t.last >= own.first && t.first <= own.last);
                for theirs in overlapping {
                    let (first, last) = (theirs.first.max(own.first), theirs.last.min(own.last));
                    if from < u16::from(first) && keep(DEAD) {
                        out.push((from as u8, first - 1, (own.next, DEAD)));
                    }
                    out.push((first, last, (own.next, theirs.next)));
                    from = u16::from(last) + 1;
                }
                if from <= u16::from(own.last) && keep(DEAD) {
                    out.push((from as u8, own.last, (own.next, DEAD)));
                }
            }
        };
        Self::explore((START, START), next, |(a, b)| self.accepts(a) && end(other.accepts(b)))
    }

    /// Makes an automaton whose states are the values that `next` leads to from `first`. `next` appends the transitions
    /// of a state: the first and the last byte, and the state that follows, in the order of the bytes.
    ///
    /// # Errors
    /// If there are too many states.
    pub fn explore<S: Clone + Eq + Hash>(
        first: S,
        next: impl Fn(S, &mut Vec<(u8, u8, S)>),
        accepts: impl Fn(S) -> bool,
    ) -> Result<Self, DfaError> {
        Self::explore_up_to(MOST_STATES, first, next, accepts)
    }

    fn explore_up_to<S: Clone + Eq + Hash>(
        most: usize,
        first: S,
        next: impl Fn(S, &mut Vec<(u8, u8, S)>),
        accepts: impl Fn(S) -> bool,
    ) -> Result<Self, DfaError> {
        let mut numbers = HashMap::from([(first.clone(), START)]);
        let mut states = vec![first];
        let mut dfa = Self { transitions: Vec::new(), ends: vec![0], accepts: vec![false] };
        let mut found = Vec::new();
        while let Some(state) = states.get(dfa.ends.len() - 1).cloned() {
            next(state.clone(), &mut found);
            for (first, last, to) in found.drain(..) {
                let next = *numbers.entry(to.clone()).or_insert_with(|| {
                    states.push(to);
                    states.len() as u32
                });
                dfa.transitions.push(Transition { first, last, next });
            }
            if states.len() > most {
                return Err(DfaError::TooManyStates);
            }
            dfa.ends.push(dfa.transitions.len() as u32);
            dfa.accepts.push(accepts(state));
        }
        Ok(dfa.without_dead_ends())
    }

    /// Removes every transition after which nothing can be accepted.
    fn without_dead_ends(self) -> Self {
        let costs = self.costs(|_| 1);
        let mut kept = Self { accepts: self.accepts.clone(), ..Self::default() };
        for state in 0..self.len() as u32 {
            let alive = self.transitions(state).iter().filter(|t| costs[t.next as usize].is_some());
            kept.transitions.extend(alive);
            kept.ends.push(kept.transitions.len() as u32);
        }
        kept
    }

    /// Returns the lowest cost from each state to an accepting one, where `cost` is the cost of a byte; `None` if there
    /// is no path. (Dijkstra's algorithm, from the accepting states backwards.)
    pub fn costs(&self, cost: impl Fn(u8) -> u32) -> Vec<Option<u32>> {
        let mut before: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.len()]; // (state, cost) of each transition to a state
        for state in 0..self.len() as u32 {
            for transition in self.transitions(state) {
                let cheapest = (transition.first..=transition.last).map(&cost).min().unwrap_or(u32::MAX);
                before[transition.next as usize].push((state, cheapest));
            }
        }
        let mut costs = vec![None; self.len()];
        let ends = (0..self.len() as u32).filter(|&state| self.accepts(state));
        let mut open: BinaryHeap<_> = ends.map(|state| Reverse((0, state))).collect();
        while let Some(Reverse((known, state))) = open.pop() {
            if costs[state as usize].is_none() {
                costs[state as usize] = Some(known);
                let more = before[state as usize].iter().filter(|(from, _)| costs[*from as usize].is_none());
                open.extend(more.map(|(from, cost)| Reverse((known + cost, *from))));
            }
        }
        costs
    }

    /// Returns whether the automaton accepts `bytes`.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.accepts(bytes.iter().fold(START, |state, &byte| self.next(state, byte)))
    }

    /// Returns the number of states, including [`DEAD`].
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the transitions of a state, in the order of their bytes.
    pub fn transitions(&self, state: u32) -> &[Transition] {
        let state = state as usize;
        let from = if state == 0 { 0 } else { self.ends[state - 1] };
        &self.transitions[from as usize..self.ends[state] as usize]
    }

    /// Returns the state after `state` and `byte`.
    pub fn next(&self, state: u32, byte: u8) -> u32 {
        let transitions = self.transitions(state);
        let at = transitions.partition_point(|transition| transition.last < byte);
        transitions.get(at).filter(|transition| transition.first <= byte).map_or(DEAD, |transition| transition.next)
    }

    /// Returns whether a text may end in this state.
    pub fn accepts(&self, state: u32) -> bool {
        self.accepts[state as usize]
    }

    /// Returns whether a text may continue from this state.
    pub fn continues(&self, state: u32) -> bool {
        !self.transitions(state).is_empty()
    }
}

/// Joins neighbouring bytes that lead to the same state.
fn push_runs<S: Copy + Eq>(states: impl Iterator<Item = (u8, S)>, out: &mut Vec<(u8, u8, S)>) {
    for (byte, next) in states {
        match out.last_mut() {
            Some((_, last, same)) if *same == next && *last + 1 == byte => *last = byte,
            _ => out.push((byte, byte, next)),
        }
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
