//! Text that follows a schema, and comes to its end in time.
//!
//! Book: [structured_output](../../../../book/structured_output.html)

use super::generation::{Control, Next, StopReason, Writer};
use crate::error::{Error, Result};
use crate::schema::Guide;
use crate::tokenizer::{TokenSet, Tokenizer};
use std::collections::VecDeque;

/// Controls a text that a [`Guide`] accepts.
///
/// As long as there is time, the model chooses among the tokens that the schema allows. The first choice after which the
/// text could no longer be completed in time is dropped, and from there on the text is completed in the fewest bytes.
pub struct Guided<'g> {
    guide: &'g mut Guide,
    tokenizer: &'g Tokenizer,
    left: usize,
    closing: Option<VecDeque<u32>>, // the tokens that complete the text, once it has to be completed
}

impl<'g> Guided<'g> {
    /// Starts a text of at most `max_new_tokens` tokens.
    ///
    /// # Errors
    /// If no text that the schema allows is short enough for that, or for the room that the context has.
    pub fn new(
        guide: &'g mut Guide,
        tokenizer: &'g Tokenizer,
        max_new_tokens: usize,
        writer: &dyn Writer,
    ) -> Result<Self> {
        guide.restart();
        let budget = max_new_tokens.saturating_add(1).min(writer.room()); // with the end token
        if !guide.fits(budget) {
            let (needed, room) = (guide.shortest_tokens(), budget.saturating_sub(1));
            return Err(Error::argument(format!(
                "the schema needs {needed} tokens at least; there is room for {room}"
            )));
        }
        Ok(Self::unchecked(guide, tokenizer, max_new_tokens))
    }

    /// Like [`new`](Self::new), but does not check that the shortest text fits. The caller has restarted the guide.
    pub fn unchecked(guide: &'g mut Guide, tokenizer: &'g Tokenizer, left: usize) -> Self {
        Self { guide, tokenizer, left, closing: None }
    }

    // ANCHOR: choose
    /// Decides the next step if at most `budget` tokens may follow, including the end token. `draw` chooses among the
    /// allowed tokens.
    ///
    /// # Errors
    /// Those of `draw`.
    pub fn choose(&mut self, budget: usize, draw: &mut dyn FnMut(&TokenSet) -> Result<Option<u32>>) -> Result<Next> {
        if self.guide.is_complete() && self.guide.next_tokens().len() == 1 {
            return Ok(Next::Stop(StopReason::End));
        }
        if self.closing.is_none() {
            let Some(token) = draw(self.guide.next_tokens())? else { return Ok(Next::Stop(StopReason::ContextFull)) };
            if token == self.guide.end() {
                return Ok(Next::Stop(StopReason::End));
            }
            let bytes = self.tokenizer.token_bytes(token);
            if bytes.is_some_and(|bytes| self.guide.read_within(bytes, budget.saturating_sub(1))) {
                return Ok(Next::Chosen(token));
            }
            self.closing = Some(self.guide.closing_tokens().into());
        }
        Ok(match self.closing.as_mut().and_then(VecDeque::pop_front) {
            Some(token) if self.read(token) => Next::Chosen(token),
            _ => Next::Stop(StopReason::End),
        })
    }
    // ANCHOR_END: choose

    fn read(&mut self, token: u32) -> bool {
        self.tokenizer.token_bytes(token).is_some_and(|bytes| self.guide.read(bytes))
    }
}

impl Control for Guided<'_> {
    fn next(&mut self, writer: &mut dyn Writer) -> Result<Next> {
        let budget = self.left.saturating_add(1).min(writer.room());
        self.choose(budget, &mut |allowed| writer.choose(Some(allowed)))
    }

    fn accept(&mut self, _: u32) -> Result<Option<StopReason>> {
        self.left = self.left.saturating_sub(1);
        Ok(None)
    }
}
