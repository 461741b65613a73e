//! One reply, token by token: which token comes next, and what each token means.

use super::{Budget, Event};
use crate::error::Result;
use crate::generate::{Control, Guided, Next, StopReason, Writer};
use crate::harmony::{Flag, Harmony, Header, Message, MessageRole, Mode, Parser};

/// The longest header that a model may write. The longest useful one names a tool and a format.
const LONGEST_HEADER: usize = 64;

/// A position in a message.
enum Position {
    /// After the role with which the prompt ends.
    AfterRole,
    Header,
    Content,
    BetweenMessages,
}

/// A reply while it is written: a [`Control`] that follows the harmony format.
pub(super) struct Turn<'c> {
    harmony: Harmony<'c>,
    parser: Parser<'c>,
    stop: &'c [u32],
    budget: Budget,
    guided: Option<Guided<'c>>,
    /// Tokens that the shortest answer of the schema takes, with everything around it.
    reserve: usize,
    watch: &'c mut dyn FnMut(Event) -> bool,
    /// Tokens that the model chose.
    pub tokens: usize,
    /// Tokens of the model's analysis.
    pub analysis: usize,
    written: usize, // all tokens
    header: usize,  // tokens of the header that is being read
    given: usize,   // tokens to come that the model did not choose
}

impl<'c> Turn<'c> {
    /// Starts a reply. `guided` and `reserve` are the form of the answer and the tokens that it needs at least.
    pub fn new(
        harmony: Harmony<'c>,
        stop: &'c [u32],
        budget: Budget,
        (guided, reserve): (Option<Guided<'c>>, usize),
        watch: &'c mut dyn FnMut(Event) -> bool,
    ) -> Self {
        let parser = Parser::new(harmony, Some(MessageRole::Assistant), Mode::Lenient);
        let (tokens, analysis, written, header, given) = (0, 0, 0, 0, 0);
        Self { harmony, parser, stop, budget, guided, reserve, watch, tokens, analysis, written, header, given }
    }

    fn position(&self) -> Position {
        match (self.parser.header(), self.header, self.written) {
            (Some(_), _, _) => Position::Content,
            (None, 0, 0) => Position::AfterRole,
            (None, 0, _) => Position::BetweenMessages,
            (None, _, _) => Position::Header,
        }
    }

    /// Returns whether the content of a message on `channel` that is for nobody in particular is being written.
    fn is_on(&self, channel: &str) -> bool {
        let is_on = |header: &Header| header.channel.as_deref() == Some(channel) && header.recipient.is_none();
        self.parser.header().is_some_and(is_on)
    }

    /// Returns whether the content of a tool call is being written.
    fn is_calling(&self) -> bool {
        self.parser.header().is_some_and(|header| header.recipient.is_some())
    }

    /// Continues with tokens that the model did not choose.
    fn give(&mut self, tokens: Vec<u32>) -> Next {
        self.given = tokens.len();
        Next::Given(tokens)
    }

    // ANCHOR: answer_now
    /// Returns the tokens that end a thought, or whatever else is being written, and begin the answer.
    fn answer_now(&self) -> Vec<u32> {
        let marks = self.harmony.marks();
        let text = |text: &str| self.harmony.tokenizer().encode(text);
        let start = || [vec![marks.start], text("assistant")].concat();
        let before = match self.position() {
            Position::Content => [vec![marks.end], start()].concat(),
            Position::Header => [vec![marks.message, marks.end], start()].concat(),
            Position::BetweenMessages => start(),
            Position::AfterRole => Vec::new(),
        };
        [before, vec![marks.channel], text("final"), vec![marks.message]].concat()
    }
    // ANCHOR_END: answer_now

    /// Lets the model choose while an answer of a given form is still to come. No other token may end the turn or use up
    /// the room that the answer needs.
    fn before_the_answer(&mut self, writer: &mut dyn Writer, left: usize) -> Result<Next> {
        let chosen = if left > self.reserve { writer.choose(None)? } else { None };
        let marks = self.harmony.marks();
        let ends = |token: u32| self.stop.contains(&token) || (marks.ends_turn(token) && !self.is_calling());
        Ok(match chosen.filter(|&token| !ends(token)) {
            Some(token) => Next::Chosen(token),
            None => self.give(self.answer_now()),
        })
    }

    /// Parses a token and reports it. Returns false if the caller asked to stop.
    fn parse(&mut self, token: u32) -> Result<bool> {
        let inside = self.parser.header().is_some();
        self.written += 1;
        self.analysis += usize::from(self.is_on("analysis"));
        let text = self.parser.push(token)?;
        let ended = inside || self.harmony.marks().ends_message(token);
        self.header = if self.parser.header().is_some() || ended { 0 } else { self.header + 1 };
        // The end of a message may complete its text.
        let wanted = !inside || text.is_empty() || (self.watch)(Event::Text(&text));
        Ok(match self.parser.header() {
            Some(header) if !inside => (self.watch)(Event::Begin(header)),
            None if inside => (self.watch)(Event::End) && wanted,
            _ => wanted,
        })
    }

    /// Returns the reason if `token`, the last one, ended the turn. A message on the channel `final` ends it even if the
    /// model closes the message as if another one followed.
    fn ended(&self, token: u32) -> Option<StopReason> {
        let marks = self.harmony.marks();
        let last = self.parser.messages().last().filter(|_| marks.ends_message(token))?;
        match &last.recipient {
            Some(tool) if tool != "all" => Some(StopReason::ToolCall(tool.clone())),
            _ if marks.ends_turn(token) || last.is_on("final") => Some(StopReason::End),
            _ => None,
        }
    }

    /// Returns the messages of the reply. If it was cut off, thoughts that led to nothing and unfinished calls are dropped.
    pub fn finish(mut self, reason: &StopReason) -> Result<(Vec<Message>, Vec<Flag>)> {
        if self.header == 0 || *reason == StopReason::End {
            self.parser.finish()?;
        }
        let flags = self.parser.flags().to_vec();
        let mut messages = self.parser.into_messages();
        if !matches!(reason, StopReason::ToolCall(_)) {
            // Half a program must not be run.
            messages.retain(|message| message.recipient.as_deref().is_none_or(|recipient| recipient == "all"));
        }
        if matches!(reason, StopReason::Interrupted | StopReason::MaxTokens | StopReason::ContextFull) {
            let said = messages.iter().rposition(|message| !message.is_on("analysis")).map_or(0, |last| last + 1);
            messages.truncate(said);
        }
        Ok((messages, flags))
    }
}

impl Control for Turn<'_> {
    // ANCHOR: next
    /// The next token is the model's choice, unless the budget for analysis, the longest header, or the room for the answer
    /// is used up.
    fn next(&mut self, writer: &mut dyn Writer) -> Result<Next> {
        if self.written >= self.budget.reply {
            return Ok(Next::Stop(StopReason::MaxTokens));
        }
        if self.is_on("analysis") && self.analysis >= self.budget.analysis {
            let goes_on = (self.watch)(Event::Spent);
            return Ok(if goes_on { self.give(self.answer_now()) } else { Next::Stop(StopReason::Interrupted) });
        }
        if self.header >= LONGEST_HEADER {
            return Ok(self.give(vec![self.harmony.marks().message]));
        }
        let left = writer.room().min(self.budget.reply - self.written);
        let is_answering = self.is_on("final");
        let next = match &mut self.guided {
            None => writer.choose(None)?.map_or(Next::Stop(StopReason::ContextFull), Next::Chosen),
            Some(guided) if is_answering => guided.choose(left, &mut |allowed| writer.choose(Some(allowed)))?,
            Some(_) => self.before_the_answer(writer, left)?,
        };
        Ok(match next {
            Next::Stop(StopReason::End) => Next::Chosen(self.harmony.marks().done),
            next => next,
        })
    }
    // ANCHOR_END: next

    fn accept(&mut self, token: u32) -> Result<Option<StopReason>> {
        if self.given > 0 {
            self.given -= 1;
            let wanted = self.parse(token)?;
            return Ok((!wanted).then_some(StopReason::Interrupted));
        }
        self.tokens += 1;
        if self.stop.contains(&token) {
            return Ok(Some(StopReason::End));
        }
        let wanted = self.parse(token)?;
        Ok(if wanted { self.ended(token) } else { Some(StopReason::Interrupted) })
    }
}
