//! Decides which tokens may be drawn next, and ends the text in time.

use super::automaton::{Automaton, DONE, StackId};
use super::compile::{Compiled, compile};
use super::error::{SchemaError, SchemaProblem, SchemaResult, refuse};
use super::vocabulary::Vocabulary;
use crate::tokenizer::{TokenSet, Tokenizer};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The greatest number of bytes that are split into tokens to count them.
const MOST_CLOSING: usize = 1 << 20;
/// The greatest number of states whose next states and tokens are cached. A state takes a kilobyte, plus a set of
/// tokens.
const MOST_STATES: usize = 4_096;

/// Constrains a model to a text that a schema accepts.
#[derive(Clone)]
pub struct Guide {
    vocabulary: Arc<Vocabulary>,
    automaton: Automaton,
    first: Vec<StackId>,
    now: Vec<StackId>,
    coarse: CoarseStates,
    end: u32,
    unknown_formats: Vec<String>,
}

/// A cache of states with limited counters, because a token cannot distinguish large counters. State 0 is the one from
/// which nothing can be read.
#[derive(Clone, Default)]
struct CoarseStates {
    states: Vec<Vec<StackId>>,
    numbers: HashMap<Vec<StackId>, u32>,
    next: Vec<[u32; 256]>,
    /// Whether each state is within a string that may go on freely; `None` if it is not known yet.
    free: Vec<Option<bool>>,
    masks: HashMap<u32, TokenSet>,
}

/// Marks a next state that has not been computed yet.
const UNKNOWN: u32 = u32::MAX;

impl Guide {
    /// Makes a guide for a schema and a vocabulary. `end` is the token that ends a text.
    ///
    /// # Errors
    /// If a keyword of the schema cannot be enforced, or the vocabulary cannot write every text.
    pub fn new(schema: &Value, vocabulary: Arc<Vocabulary>, end: u32) -> SchemaResult<Self> {
        if !vocabulary.has_all_bytes() {
            return Err(SchemaError::IncompleteVocabulary);
        }
        let Compiled { root, grammar, unknown_formats } = compile(schema)?;
        let mut automaton = Automaton::new(grammar);
        let first = automaton.begin(root);
        if first.is_empty() {
            return refuse("", SchemaProblem::OnlyDeepValues);
        }
        let (now, coarse) = (first.clone(), CoarseStates::default());
        let mut guide = Self { vocabulary, automaton, now, first, coarse, end, unknown_formats };
        guide.clear_cache();
        Ok(guide)
    }

    /// Makes a guide for a schema and a tokenizer.
    ///
    /// # Errors
    /// The same as those of [`Guide::new`].
    pub fn of(schema: &Value, tokenizer: &Tokenizer, end: u32) -> SchemaResult<Self> {
        Self::new(schema, Arc::new(Vocabulary::new(tokenizer)), end)
    }

    /// Starts a new text.
    pub fn restart(&mut self) {
        self.now.clone_from(&self.first);
    }

    /// Returns whether the text so far is complete.
    pub fn is_complete(&self) -> bool {
        self.now.contains(&DONE)
    }

    /// Returns the smallest number of bytes that complete the text.
    pub fn shortest(&mut self) -> usize {
        let Self { automaton, now, .. } = self;
        now.iter().map(|&stack| automaton.shortest(stack)).min().unwrap_or(u32::MAX) as usize
    }

    /// Returns the number of tokens of [`closing`](Self::closing), with which the text can be completed. If there are
    /// very many bytes, it returns a lower bound instead.
    pub fn shortest_tokens(&mut self) -> usize {
        let bytes = self.shortest();
        if bytes > MOST_CLOSING {
            return bytes / self.vocabulary.longest().max(1);
        }
        let closing = self.closing();
        self.vocabulary.tokens(&closing).map_or(usize::MAX, |tokens| tokens.len())
    }

    /// Reads more of the text and returns whether the schema allows it. If not, the state does not change.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        let mut now = self.now.clone();
        for &byte in bytes {
            now = self.automaton.step(&now, byte);
        }
        let allowed = !now.is_empty();
        if allowed {
            self.now = now;
        }
        allowed
    }

    /// Returns the shortest completion of the text.
    pub fn closing(&mut self) -> Vec<u8> {
        let Self { automaton, now, .. } = self;
        let mut bytes = Vec::new();
        let mut best = automaton.nearest(now);
        while let Some(stack) = best.filter(|&stack| stack != DONE) {
            let Some(byte) = automaton.shortest_byte(stack) else { break };
            bytes.push(byte);
            let next = automaton.step(&[stack], byte);
            best = automaton.nearest(&next);
        }
        bytes
    }

    /// Reads more of the text, if the schema allows it and the text can then be completed in `budget` tokens, including the
    /// end token. Otherwise reads nothing and returns false.
    pub fn read_within(&mut self, bytes: &[u8], budget: usize) -> bool {
        let before = self.now.clone();
        let fits = self.read(bytes) && self.fits(budget);
        if !fits {
            self.now = before;
        }
        fits
    }

    /// Returns the tokens of what [`closing`](Self::closing) returns.
    pub fn closing_tokens(&mut self) -> Vec<u32> {
        let closing = self.closing();
        self.vocabulary.tokens(&closing).unwrap_or_default()
    }

    /// Returns the names of the formats in the schema that are unknown. They do not constrain anything.
    pub fn unknown_formats(&self) -> &[String] {
        &self.unknown_formats
    }

    /// Returns the token that ends a text.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Returns whether the text can be completed in `budget` tokens, including the end token.
    pub fn fits(&mut self, budget: usize) -> bool {
        if self.shortest() < budget {
            return true; // a token has at least one byte
        }
        self.shortest() / self.vocabulary.longest().max(1) < budget && self.shortest_tokens() < budget
    }

    // ANCHOR: next_tokens
    /// Returns the set of tokens that may come next.
    pub fn next_tokens(&mut self) -> &TokenSet {
        if self.coarse.states.len() > MOST_STATES {
            self.clear_cache();
            self.automaton.forget_all_but(&mut [&mut self.first, &mut self.now]);
        }
        let longest = self.vocabulary.longest() as u32 + 1;
        let mut coarse: Vec<StackId> = self.now.iter().map(|&stack| self.automaton.coarse(stack, longest)).collect();
        coarse.sort_unstable();
        coarse.dedup();
        let state = self.coarse.number(coarse);
        let Self { vocabulary, automaton, coarse, end, now, .. } = self;
        if !coarse.masks.contains_key(&state) {
            let mut set = TokenSet::new(vocabulary.size());
            let step = |state, byte| coarse.step(automaton, state, byte, longest);
            vocabulary.walk(state, step, |token| set.insert(token));
            if now.contains(&DONE) {
                set.insert(*end);
            }
            coarse.masks.insert(state, set);
        }
        &coarse.masks[&state]
    }
    // ANCHOR_END: next_tokens

    /// Clears the cache.
    fn clear_cache(&mut self) {
        self.coarse = CoarseStates::default();
        self.coarse.number(Vec::new());
        self.coarse.next[0] = [0; 256];
    }
}

impl CoarseStates {
    fn number(&mut self, state: Vec<StackId>) -> u32 {
        if let Some(&number) = self.numbers.get(&state) {
            return number;
        }
        let number = self.states.len() as u32;
        self.numbers.insert(state.clone(), number);
        self.states.push(state);
        self.next.push([UNKNOWN; 256]);
        self.free.push(None);
        number
    }

    /// Returns the state after one more byte, and whether it is within a string in which any text of up to `longest`
    /// bytes may follow.
    fn step(&mut self, automaton: &mut Automaton, state: u32, byte: u8, longest: u32) -> Option<(u32, bool)> {
        let mut next = self.next[state as usize][usize::from(byte)];
        if next == UNKNOWN {
            let stacks = automaton.step(&self.states[state as usize], byte);
            next = self.number(stacks);
            self.next[state as usize][usize::from(byte)] = next;
        }
        let stacks = &self.states[next as usize];
        let is_free = || stacks.iter().any(|&stack| automaton.is_free_text(stack, longest));
        let is_free = *self.free[next as usize].get_or_insert_with(is_free);
        (next != 0).then_some((next, is_free))
    }
}
