//! Which tokens may be drawn next, and how to come to an end in time.

use super::automaton::{Automaton, DONE, Stack};
use super::compile::compile;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result};
use crate::tokenizer::{TokenSet, Tokenizer};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes that are spelled out to count their tokens.
const MOST_CLOSING: usize = 1 << 20;
/// States whose next bytes and tokens are remembered; a kilobyte each, and the set of tokens.
const MOST_STATES: usize = 4_096;

/// Leads a model through a text that a schema accepts.
pub struct Guide {
    vocabulary: Arc<Vocabulary>,
    automaton: Automaton,
    first: Vec<Stack>,
    now: Vec<Stack>,
    coarse: Coarse,
    end: u32,
}

/// States as a token sees them, who cannot tell large counters apart. 0 is where nothing can be read.
#[derive(Default)]
struct Coarse {
    states: Vec<Vec<Stack>>,
    numbers: HashMap<Vec<Stack>, u32>,
    next: Vec<[u32; 256]>,
    masks: HashMap<u32, TokenSet>,
}

/// A next state that was not computed yet.
const UNKNOWN: u32 = u32::MAX;

impl Guide {
    /// For a schema and a vocabulary. `end` is the token that ends a text.
    ///
    /// # Errors
    /// The path of a keyword that cannot be kept; a vocabulary that cannot write every text.
    pub fn new(schema: &Value, vocabulary: Arc<Vocabulary>, end: u32) -> Result<Self> {
        if !vocabulary.has_all_bytes() {
            return Err(Error::argument("this tokenizer has no token for some byte: it cannot write every text"));
        }
        let (root, grammar) = compile(schema)?;
        let mut automaton = Automaton::new(grammar);
        let first = automaton.begin(root);
        if first.is_empty() {
            return Err(Error::argument("the schema at its root: nothing that is not nested too deep fits it"));
        }
        let (now, coarse) = (first.clone(), Coarse::default());
        let mut guide = Self { vocabulary, automaton, now, first, coarse, end };
        guide.forget();
        Ok(guide)
    }

    /// For a tokenizer alone.
    ///
    /// # Errors
    /// As [`Guide::new`].
    pub fn of(schema: &Value, tokenizer: &Tokenizer, end: u32) -> Result<Self> {
        Self::new(schema, Arc::new(Vocabulary::new(tokenizer)), end)
    }

    /// Back to the beginning of a text.
    pub fn restart(&mut self) {
        self.now.clone_from(&self.first);
    }

    /// Whether the text so far is complete.
    pub fn is_complete(&self) -> bool {
        self.now.contains(&DONE)
    }

    /// The fewest bytes after which it is.
    pub fn shortest(&mut self) -> usize {
        let Self { automaton, now, .. } = self;
        now.iter().map(|&stack| automaton.shortest(stack)).min().unwrap_or(u32::MAX) as usize
    }

    /// The tokens of what [`closing`](Self::closing) gives: the text can be brought to its end in so many.
    /// Of very many bytes, the least that they can be.
    pub fn shortest_tokens(&mut self) -> usize {
        let bytes = self.shortest();
        if bytes > MOST_CLOSING {
            return bytes / self.vocabulary.longest().max(1);
        }
        let closing = self.closing();
        self.vocabulary.tokens(&closing).map_or(usize::MAX, |tokens| tokens.len())
    }

    /// Reads more of the text. Whether the schema allows it; if not, nothing is read.
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

    /// What ends the text in the fewest bytes.
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

    /// Returns the token that ends a text.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Whether the text can be brought to its end in so many tokens, the end token among them.
    pub fn fits(&mut self, budget: usize) -> bool {
        if self.shortest() < budget {
            return true; // a byte is at least a token
        }
        self.shortest() / self.vocabulary.longest().max(1) < budget && self.shortest_tokens() < budget
    }

    // ANCHOR: next_tokens
    /// The tokens that may come next.
    pub fn next_tokens(&mut self) -> &TokenSet {
        if self.coarse.states.len() > MOST_STATES {
            self.forget();
        }
        let longest = self.vocabulary.longest() as u32 + 1;
        let mut coarse: Vec<Stack> = self.now.iter().map(|&stack| self.automaton.coarse(stack, longest)).collect();
        coarse.sort_unstable();
        coarse.dedup();
        let state = self.coarse.number(coarse);
        let Self { vocabulary, automaton, coarse, end, now, .. } = self;
        if !coarse.masks.contains_key(&state) {
            let mut set = TokenSet::new(vocabulary.size());
            vocabulary.walk(state, |state, byte| coarse.step(automaton, state, byte), |token| set.insert(token));
            if now.contains(&DONE) {
                set.insert(*end);
            }
            coarse.masks.insert(state, set);
        }
        &coarse.masks[&state]
    }
    // ANCHOR_END: next_tokens

    /// Drops what was remembered of states that may not come again.
    fn forget(&mut self) {
        self.coarse = Coarse::default();
        self.coarse.number(Vec::new());
        self.coarse.next[0] = [0; 256];
    }
}

impl Coarse {
    fn number(&mut self, state: Vec<Stack>) -> u32 {
        if let Some(&number) = self.numbers.get(&state) {
            return number;
        }
        let number = self.states.len() as u32;
        self.numbers.insert(state.clone(), number);
        self.states.push(state);
        self.next.push([UNKNOWN; 256]);
        number
    }

    fn step(&mut self, automaton: &mut Automaton, state: u32, byte: u8) -> Option<u32> {
        let known = self.next[state as usize][usize::from(byte)];
        let next = match known {
            UNKNOWN => {
                let stacks = automaton.step(&self.states[state as usize], byte);
                let next = self.number(stacks);
                self.next[state as usize][usize::from(byte)] = next;
                next
            }
            known => known,
        };
        (next != 0).then_some(next)
    }
}
