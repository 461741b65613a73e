//! A conversation with a model: its messages, and the one text that the model reads.
//!
//! ```text
//! messages ──render──▶ prompt ──go_to──▶ model ──choose──▶ token ──parse──▶ messages, and so on
//! ```
//!
//! Each turn renders the whole conversation again. The model computes only the part of the prompt that is new to it: what
//! follows the longest prefix in its cache or, if old thoughts were dropped, what follows the last prompt.
//!
//! Book: [effort](../../../book/effort.html)

mod budget;
mod turn;

pub use budget::Budget;

use turn::Turn;

use crate::error::{Error, Result};
use crate::generate::{Drafter, Generation, Generator, Guided, Reader, Sampling, Speculative, Statistics, StopReason};
use crate::harmony::{Content, Effort, Flag, Harmony, Header, Message, MessageRole, Purpose, SystemContent};
use crate::model::Transformer;
use crate::schema::Guide;

/// A model and a conversation with it.
pub struct Chat<'m> {
    writer: Box<dyn Reader + 'm>,
    harmony: Harmony<'m>,
    stop: Vec<u32>,
    /// All messages, the system message first. They may be changed at will between replies.
    pub messages: Vec<Message>,
    /// The limits of a reply.
    pub budget: Budget,
    /// The schema that every answer follows, if there is one. Thoughts are free.
    pub guide: Option<Guide>,
}

/// An event while a model replies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// The model reads the prompt.
    Reading {
        /// The number of tokens that it has read.
        read: usize,
        /// The number of tokens in the prompt.
        of: usize,
    },
    /// A message begins.
    Begin(&'a Header),
    /// The message continues with this text, in whole characters.
    Text(&'a str),
    /// The message ends.
    End,
    /// The budget for analysis is spent: the answer follows.
    Spent,
}

/// The statistics of a reply. Its messages are in [`Chat::messages`].
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Why the reply ended.
    pub reason: StopReason,
    /// The number of tokens of the prompt.
    pub prompt: usize,
    /// The number of these that did not have to be computed again.
    pub kept: usize,
    /// The number of tokens that the model chose.
    pub tokens: usize,
    /// The number of tokens on the channel `analysis`.
    pub analysis: usize,
    /// The places at which the reply was not well-formed.
    pub flags: Vec<Flag>,
}

impl<'m> Chat<'m> {
    /// Starts a conversation with a model. Only tokens of the tokenizer are drawn.
    ///
    /// # Errors
    /// If the messages cannot be rendered, or do not fit in the context.
    pub fn new(
        model: &'m Transformer,
        harmony: Harmony<'m>,
        sampling: Sampling,
        messages: Vec<Message>,
    ) -> Result<Self> {
        let first = beginning(harmony, &messages)?;
        let generator = Generator::new(model, &first, sampling.within(harmony.tokenizer()))?;
        Ok(Self::with(Box::new(generator), harmony, messages))
    }

    /// Like [`new`](Self::new), with a drafter that proposes up to `most` tokens at once.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn drafting(
        model: &'m Transformer,
        harmony: Harmony<'m>,
        sampling: Sampling,
        messages: Vec<Message>,
        (drafter, most): (Box<dyn Drafter + 'm>, usize),
    ) -> Result<Self> {
        let (first, sampling) = (beginning(harmony, &messages)?, sampling.within(harmony.tokenizer()));
        let writer = Speculative::new(model, drafter, most, (&first, &mut |_, _| {}), sampling)?;
        Ok(Self::with(Box::new(writer), harmony, messages))
    }

    /// Starts a conversation with any writer of tokens.
    pub fn with(writer: Box<dyn Reader + 'm>, harmony: Harmony<'m>, messages: Vec<Message>) -> Self {
        let stop = harmony.tokenizer().end_of_text().into_iter().collect();
        let budget = Budget::of(effort(&messages));
        Self { writer, harmony, stop, messages, budget, guide: None }
    }

    // ANCHOR: reply
    /// Lets the model write until its turn is over, and adds what it wrote to the messages. `watch` is called with every
    /// event; if it returns false, the reply is interrupted.
    ///
    /// # Errors
    /// If the conversation cannot be rendered, or does not fit in the context with the shortest answer that the schema
    /// allows. No message is added then.
    pub fn reply(&mut self, watch: &mut dyn FnMut(Event) -> bool) -> Result<Reply> {
        let prompt = self.harmony.render(&self.messages, Purpose::Completion(MessageRole::Assistant), true)?;
        let room = (self.writer.context() + 1).saturating_sub(prompt.len());
        let budget = self.budget.within(room);
        let reserve = self.reserve(room.min(budget.reply))?;
        let kept = self.writer.go_to(&prompt, &mut |read, of| _ = watch(Event::Reading { read, of }))?;
        let tokenizer = self.harmony.tokenizer();
        let guided = self.guide.as_mut().map(|guide| Guided::unchecked(guide, tokenizer, usize::MAX));
        let mut turn = Turn::new(self.harmony, &self.stop, budget, (guided, reserve), watch);
        let mut generation = Generation::new(&mut *self.writer, &mut turn);
        generation.try_for_each(|token| token.map(drop))?;
        let reason = generation.reason();
        let (tokens, analysis) = (turn.tokens, turn.analysis);
        let (messages, flags) = turn.finish(&reason)?;
        self.messages.extend(messages);
        Ok(Reply { reason, prompt: prompt.len(), kept, tokens, analysis, flags })
    }
    // ANCHOR_END: reply

    /// Restarts the guide. Returns how many tokens its shortest answer takes, with everything around it.
    fn reserve(&mut self, room: usize) -> Result<usize> {
        let around =
            8 + self.harmony.tokenizer().encode("assistant").len() + self.harmony.tokenizer().encode("final").len();
        let Some(guide) = &mut self.guide else { return Ok(0) };
        guide.restart();
        let needed = around + guide.shortest_tokens();
        match needed <= room {
            true => Ok(needed),
            false => Err(Error::argument(format!(
                "the shortest answer that the schema allows takes {needed} tokens; there is room for {room}"
            ))),
        }
    }

    /// Returns how well drafts have done since the beginning, if there are any.
    pub fn drafts(&self) -> Option<Statistics> {
        self.writer.statistics()
    }

    /// Returns how many tokens the conversation may have.
    pub fn context(&self) -> usize {
        self.writer.context()
    }

    /// Returns the reasoning effort for which the system message asks.
    pub fn effort(&self) -> Effort {
        effort(&self.messages)
    }

    /// Sets the reasoning effort from the next reply on, and the budget that goes with it.
    pub fn set_effort(&mut self, effort: Effort) {
        if let Some(content) = system_content_mut(&mut self.messages) {
            content.reasoning_effort = Some(effort);
        }
        self.budget = Budget::of(effort);
    }

    /// Drops the oldest question with everything said about it, but never the last question. Returns whether one was dropped.
    pub fn drop_oldest_turn(&mut self) -> bool {
        let mut asked = self.messages.iter().enumerate().filter(|(_, message)| message.role == MessageRole::User);
        let (Some((oldest, _)), Some((next, _))) = (asked.next(), asked.next()) else { return false };
        self.messages.drain(oldest..next);
        true
    }

    /// Returns how many tokens the conversation has, and how many the context of the model holds.
    ///
    /// # Errors
    /// If the conversation cannot be rendered.
    pub fn size(&self) -> Result<(usize, usize)> {
        Ok((
            self.harmony.render(&self.messages, Purpose::Completion(MessageRole::Assistant), true)?.len(),
            self.writer.context(),
        ))
    }
}

/// Returns the tokens with which every prompt of a conversation begins.
fn beginning(harmony: Harmony, messages: &[Message]) -> Result<Vec<u32>> {
    let mut first = harmony.render(messages, Purpose::Raw, true)?;
    first.push(harmony.marks().start); // which comes next in any case
    Ok(first)
}

/// Returns the content of the system message, if there is one.
fn system_content_mut(messages: &mut [Message]) -> Option<&mut SystemContent> {
    messages.iter_mut().flat_map(|message| &mut message.content).find_map(|content| match content {
        Content::SystemContent(content) => Some(content),
        _ => None,
    })
}

fn effort(messages: &[Message]) -> Effort {
    let said = messages.iter().flat_map(|message| &message.content).find_map(|content| match content {
        Content::SystemContent(content) => content.reasoning_effort,
        _ => None,
    });
    said.unwrap_or(Effort::Medium)
}
