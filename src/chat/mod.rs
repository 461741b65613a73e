//! A conversation with a model: its messages, and the one text that the model reads.       Book: chapter 23
//!
//! ```text
//! messages ──render──▶ prompt ──go_to──▶ model ──draw──▶ token ──parse──▶ messages, and so on
//! ```
//!
//! Each turn renders the whole conversation again. What the model has read already is not read again: of a longer
//! prompt only the new part, and where the old thoughts fell away, what comes behind the last prompt.

mod budget;
mod turn;
mod writer;

pub use budget::Budget;
pub use writer::Writer;

use turn::Turn;

use crate::error::Result;
use crate::generate::{Generator, Sampling};
use crate::harmony::{Content, Effort, Flag, Harmony, Header, Message, Purpose, Role, SystemContent};
use crate::model::Transformer;

/// The longest header that a model may write. The longest that makes sense names a tool and a format.
const LONGEST_HEADER: usize = 64;

/// A model, and what was said to it and by it.
pub struct Chat<'m> {
    writer: Box<dyn Writer + 'm>,
    harmony: Harmony<'m>,
    stop: Vec<u32>,
    /// All messages, the system's first. They may be changed at will between replies.
    pub messages: Vec<Message>,
    /// How much the model may write.
    pub budget: Budget,
}

/// What happens while a model replies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// A message begins.
    Begin(&'a Header),
    /// It goes on. Whole characters.
    Text(&'a str),
    /// It ends.
    End,
    /// The budget for analysis is spent: the answer follows.
    Spent,
}

/// Why a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The model has said what it wanted to say.
    Answered,
    /// It waits for the tool of this name.
    Call(String),
    /// The receiver of the events wanted no more.
    Interrupted,
    /// The budget for the whole reply is spent.
    Length,
    /// The model's context is full.
    ContextFull,
}

/// A reply, beside its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Why it ended.
    pub ending: Ending,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Of these, how many the model had read before.
    pub kept: usize,
    /// Tokens that the model wrote.
    pub tokens: usize,
    /// Of these, how many on the channel `analysis`.
    pub analysis: usize,
    /// What was not well formed in it.
    pub flags: Vec<Flag>,
}

impl<'m> Chat<'m> {
    /// A conversation with a model that begins with these messages.
    ///
    /// # Errors
    /// If they cannot be rendered, or do not fit in the context.
    pub fn new(
        model: &'m Transformer,
        harmony: Harmony<'m>,
        sampling: Sampling,
        messages: Vec<Message>,
    ) -> Result<Self> {
        let mut first = harmony.render(&messages, Purpose::Raw, true)?;
        first.push(harmony.marks().start); // which comes next in any case
        let generator = Generator::new(model, &first, sampling)?.below(harmony.tokenizer().vocab_size());
        Ok(Self::with(Box::new(generator), harmony, messages))
    }

    /// A conversation with whatever writes tokens.
    pub fn with(writer: Box<dyn Writer + 'm>, harmony: Harmony<'m>, messages: Vec<Message>) -> Self {
        let stop = harmony.tokenizer().end_of_text().into_iter().collect();
        let budget = Budget::of(effort(&messages));
        Self { writer, harmony, stop, messages, budget }
    }

    // ANCHOR: reply
    /// Lets the model write until its turn is over, and adds what it wrote to the messages.
    ///
    /// # Errors
    /// If the conversation cannot be rendered, or does not fit in the context; nothing is added then.
    pub fn reply(&mut self, watch: &mut dyn FnMut(Event) -> bool) -> Result<Reply> {
        let prompt = self.harmony.render(&self.messages, Purpose::Completion(Role::Assistant), true)?;
        let kept = self.writer.go_to(&prompt)?;
        let budget = self.budget.within(self.writer.context() - prompt.len());
        let mut turn = Turn::new(self.harmony);
        let ending = loop {
            if turn.tokens >= budget.reply {
                break Ending::Length;
            }
            if turn.analysis >= budget.analysis && turn.is_thinking() {
                watch(Event::Spent);
                for token in self.answer_now() {
                    self.writer.push(token)?;
                    turn.take(token, watch)?;
                }
            }
            if turn.header >= LONGEST_HEADER {
                self.writer.push(self.harmony.marks().message)?;
                turn.take(self.harmony.marks().message, watch)?;
            }
            let Some(token) = self.writer.draw() else { break Ending::ContextFull };
            turn.tokens += 1;
            if self.stop.contains(&token) {
                break Ending::Answered;
            }
            if !turn.take(token, watch)? {
                break Ending::Interrupted;
            }
            if let Some(ending) = turn.ended(token) {
                break ending;
            }
        };
        let (tokens, analysis) = (turn.tokens, turn.analysis);
        let (messages, flags) = turn.finish(&ending)?;
        self.messages.extend(messages);
        Ok(Reply { ending, prompt: prompt.len(), kept, tokens, analysis, flags })
    }
    // ANCHOR_END: reply

    /// What ends a thought and begins the answer.
    fn answer_now(&self) -> Vec<u32> {
        let marks = self.harmony.marks();
        let text = |text: &str| self.harmony.tokenizer().encode(text);
        let header = [vec![marks.end, marks.start], text("assistant"), vec![marks.channel], text("final")];
        header.into_iter().flatten().chain([marks.message]).collect()
    }

    /// How long the system message asks the model to think.
    pub fn effort(&self) -> Effort {
        effort(&self.messages)
    }

    /// Asks the model to think so long, from its next reply on.
    pub fn set_effort(&mut self, effort: Effort) {
        if let Some(content) = system_content_mut(&mut self.messages) {
            content.reasoning_effort = Some(effort);
        }
        self.budget = Budget::of(effort);
    }

    /// Forgets the oldest question with all that was said to it; the last one stays. Whether there was one to forget.
    pub fn drop_oldest_turn(&mut self) -> bool {
        let mut asked = self.messages.iter().enumerate().filter(|(_, message)| message.role == Role::User);
        let (Some((oldest, _)), Some((next, _))) = (asked.next(), asked.next()) else { return false };
        self.messages.drain(oldest..next);
        true
    }

    /// How many tokens the conversation has, and how many the model's context holds.
    ///
    /// # Errors
    /// If it cannot be rendered.
    pub fn size(&self) -> Result<(usize, usize)> {
        Ok((
            self.harmony.render(&self.messages, Purpose::Completion(Role::Assistant), true)?.len(),
            self.writer.context(),
        ))
    }
}

/// What a system message is filled from, if there is one.
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
