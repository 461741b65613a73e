//! A conversation with a model: its messages, and the one text that the model reads.       Book: effort.md
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

use turn::{Place, Turn};

use crate::error::{Error, Result};
use crate::generate::{Generator, Sampling};
use crate::harmony::{Content, Effort, Flag, Harmony, Header, Message, Purpose, Role, SystemContent};
use crate::model::Transformer;
use crate::schema::{Choice, Guide};

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
    /// The form that its answers take, where they have to take one. Its thoughts are free.
    pub guide: Option<Guide>,
}

/// What happens next in a reply.
enum Step {
    /// The model has chosen this token.
    Token(u32),
    /// These come without asking it.
    Given { tokens: Vec<u32>, is_spent: bool },
    /// There is no room for more.
    Full,
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
        Self { writer, harmony, stop, messages, budget, guide: None }
    }

    // ANCHOR: reply
    /// Lets the model write until its turn is over, and adds what it wrote to the messages.
    ///
    /// # Errors
    /// If the conversation cannot be rendered, or does not fit in the context with the shortest answer that the guide
    /// allows; nothing is added then.
    pub fn reply(&mut self, watch: &mut dyn FnMut(Event) -> bool) -> Result<Reply> {
        let prompt = self.harmony.render(&self.messages, Purpose::Completion(Role::Assistant), true)?;
        let room = (self.writer.context() + 1).saturating_sub(prompt.len());
        let budget = self.budget.within(room);
        let reserve = self.reserve(room.min(budget.reply))?;
        let kept = self.writer.go_to(&prompt)?;
        let mut turn = Turn::new(self.harmony);
        let ending = 'turn: loop {
            if turn.written >= budget.reply {
                break Ending::Length;
            }
            let left = room.min(budget.reply).saturating_sub(turn.written);
            match self.step(&turn, left, reserve, budget.analysis) {
                Step::Full => break Ending::ContextFull,
                Step::Given { tokens, is_spent } => {
                    if is_spent {
                        watch(Event::Spent);
                    }
                    for token in tokens {
                        if self.writer.push(token).is_err() {
                            break 'turn Ending::ContextFull;
                        }
                        turn.take(token, watch)?;
                    }
                }
                Step::Token(token) => {
                    self.writer.push(token)?;
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
                }
            }
        };
        let (tokens, analysis) = (turn.tokens, turn.analysis);
        let (messages, flags) = turn.finish(&ending)?;
        self.messages.extend(messages);
        Ok(Reply { ending, prompt: prompt.len(), kept, tokens, analysis, flags })
    }
    // ANCHOR_END: reply

    /// Which token comes next: the model's choice, unless its thoughts, its header or the room for its answer are spent.
    fn step(&mut self, turn: &Turn, left: usize, reserve: usize, analysis: usize) -> Step {
        if turn.is_thinking() && turn.analysis >= analysis {
            return Step::Given { tokens: self.answer_now(turn), is_spent: true };
        }
        if turn.header >= LONGEST_HEADER {
            return Step::Given { tokens: vec![self.harmony.marks().message], is_spent: false };
        }
        let writer = &mut self.writer;
        let Some(guide) = &mut self.guide else { return writer.choose(None).map_or(Step::Full, Step::Token) };
        if turn.is_answering() {
            let choice = guide.choose(left, self.harmony.tokenizer(), &mut |allowed| writer.choose(Some(allowed)));
            return match choice {
                Choice::Token(token) => Step::Token(token),
                Choice::End => Step::Token(self.harmony.marks().done),
                Choice::Exhausted => Step::Full,
            };
        }
        // Where an answer of a form is wanted, nothing else may end the turn or fill the context.
        let drawn = if left > reserve { writer.choose(None) } else { None };
        let marks = self.harmony.marks();
        let ends = |token: u32| self.stop.contains(&token) || (marks.ends_turn(token) && !turn.is_calling());
        match drawn.filter(|&token| !ends(token)) {
            Some(token) => Step::Token(token),
            None => Step::Given { tokens: self.answer_now(turn), is_spent: false },
        }
    }

    // ANCHOR: answer_now
    /// What ends a thought, or whatever else is being written, and begins the answer.
    fn answer_now(&self, turn: &Turn) -> Vec<u32> {
        let marks = self.harmony.marks();
        let text = |text: &str| self.harmony.tokenizer().encode(text);
        let start = || [vec![marks.start], text("assistant")].concat();
        let before = match turn.place() {
            Place::Content => [vec![marks.end], start()].concat(),
            Place::Header => [vec![marks.message, marks.end], start()].concat(),
            Place::Outside => start(),
            Place::Beginning => Vec::new(),
        };
        [before, vec![marks.channel], text("final"), vec![marks.message]].concat()
    }
    // ANCHOR_END: answer_now

    /// Makes the guide ready, and tells how many tokens its shortest answer takes, with all that stands around it.
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
