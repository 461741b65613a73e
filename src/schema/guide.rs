//! Which tokens may be drawn next, and how to come to an end in time.

use super::automaton::{Automaton, DONE, Stack};
use super::compile::compile;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result};
use crate::tokenizer::{TokenSet, Tokenizer};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
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
    is_closing: bool,
    plan: VecDeque<u32>, // what is still to be written then
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This token.
    Token(u32),
    /// Nothing: the text is complete.
    End,
    /// Nothing: whoever draws has none.
    Exhausted,
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
        let (now, coarse, plan) = (first.clone(), Coarse::default(), VecDeque::new());
        let mut guide = Self { vocabulary, automaton, now, first, coarse, end, is_closing: false, plan };
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
        self.is_closing = false;
        self.plan.clear();
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

    // ANCHOR: choose
    /// The next token, if no more than `budget` may follow, the end token among them. As long as there is time, `draw`
    /// chooses among the tokens that are allowed. The first that would not leave enough of it is not taken: from there
    /// on the text is brought to its end.
    pub fn choose(
        &mut self,
        budget: usize,
        tokenizer: &Tokenizer,
        draw: &mut dyn FnMut(&TokenSet) -> Option<u32>,
    ) -> Choice {
        if self.is_complete() && self.next_tokens().len() == 1 {
            return Choice::End;
        }
        if self.is_closing {
            return self.plan.pop_front().map_or(Choice::End, |token| self.take(token, tokenizer));
        }
        let Some(token) = draw(self.next_tokens()) else { return Choice::Exhausted };
        if token == self.end {
            return Choice::End;
        }
        let before = self.now.clone();
        let read = tokenizer.token_bytes(token).is_some_and(|bytes| self.read(bytes));
        if read && self.fits(budget.saturating_sub(1)) {
            return Choice::Token(token);
        }
        self.now = before;
        let closing = self.closing();
        self.plan = self.vocabulary.tokens(&closing).unwrap_or_default().into();
        self.is_closing = true;
        self.plan.pop_front().map_or(Choice::End, |token| self.take(token, tokenizer))
    }
    // ANCHOR_END: choose

    /// Takes a token of the plan.
    fn take(&mut self, token: u32, tokenizer: &Tokenizer) -> Choice {
        match tokenizer.token_bytes(token).is_some_and(|bytes| self.read(bytes)) {
            true => Choice::Token(token),
            false => Choice::End,
        }
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
