//! One reply, token by token.

use super::{Ending, Event};
use crate::error::Result;
use crate::harmony::{Flag, Harmony, Header, Marks, Message, Mode, Parser, Role};

/// A place in a message.
pub(super) enum Place {
    /// Behind the role that the prompt ends with.
    Beginning,
    Header,
    Content,
    /// Between messages.
    Outside,
}

/// What the model has written since it was asked.
pub(super) struct Turn<'m> {
    parser: Parser<'m>,
    marks: Marks,
    /// Tokens of the model's choice.
    pub tokens: usize,
    /// All tokens.
    pub written: usize,
    pub analysis: usize,
    pub header: usize, // tokens of the header that is being read
}

impl<'m> Turn<'m> {
    pub fn new(harmony: Harmony<'m>) -> Self {
        let parser = Parser::new(harmony, Some(Role::Assistant), Mode::Lenient);
        Self { parser, marks: harmony.marks(), tokens: 0, written: 0, analysis: 0, header: 0 }
    }

    /// Where in a message it is.
    pub fn place(&self) -> Place {
        match (self.parser.header(), self.header, self.written) {
            (Some(_), _, _) => Place::Content,
            (None, 0, 0) => Place::Beginning,
            (None, 0, _) => Place::Outside,
            (None, _, _) => Place::Header,
        }
    }

    /// Whether what is written now is the answer.
    pub fn is_answering(&self) -> bool {
        let answers = |header: &Header| header.channel.as_deref() == Some("final") && header.recipient.is_none();
        self.parser.header().is_some_and(answers)
    }

    /// Whether what is written now is for a tool.
    pub fn is_calling(&self) -> bool {
        self.parser.header().is_some_and(|header| header.recipient.is_some())
    }

    /// Whether what is written now is a thought.
    pub fn is_thinking(&self) -> bool {
        let thinks = |header: &Header| header.channel.as_deref() == Some("analysis") && header.recipient.is_none();
        self.parser.header().is_some_and(thinks)
    }

    /// Reads a token and tells what it means. Whether to go on.
    pub fn take(&mut self, token: u32, watch: &mut dyn FnMut(Event) -> bool) -> Result<bool> {
        let inside = self.parser.header().is_some();
        self.written += 1;
        self.analysis += usize::from(self.is_thinking());
        let text = self.parser.push(token)?;
        let ended = inside || self.marks.ends_message(token);
        self.header = if self.parser.header().is_some() || ended { 0 } else { self.header + 1 };
        Ok(match self.parser.header() {
            Some(header) if !inside => watch(Event::Begin(header)),
            Some(_) if !text.is_empty() => watch(Event::Text(&text)),
            None if inside => watch(Event::End),
            _ => true,
        })
    }

    /// Whether this token, the last, ended the turn. An answer is its end also where the model closes it as if another
    /// message followed.
    pub fn ended(&self, token: u32) -> Option<Ending> {
        let last = self.parser.messages().last().filter(|_| self.marks.ends_message(token))?;
        match &last.recipient {
            Some(tool) if tool != "all" => Some(Ending::Call(tool.clone())),
            _ if self.marks.ends_turn(token) || last.is_on("final") => Some(Ending::Answered),
            _ => None,
        }
    }

    /// The messages. Of a reply that was cut off, thoughts that led to nothing are forgotten, and calls that were not made.
    pub fn finish(mut self, ending: &Ending) -> Result<(Vec<Message>, Vec<Flag>)> {
        if self.header == 0 || *ending == Ending::Answered {
            self.parser.finish()?;
        }
        let flags = self.parser.flags().to_vec();
        let mut messages = self.parser.into_messages();
        if !matches!(ending, Ending::Call(_)) {
            // Half a program must not be run.
            messages.retain(|message| message.recipient.as_deref().is_none_or(|recipient| recipient == "all"));
        }
        if matches!(ending, Ending::Interrupted | Ending::Length | Ending::ContextFull) {
            let said = messages.iter().rposition(|message| !message.is_on("analysis")).map_or(0, |last| last + 1);
            messages.truncate(said);
        }
        Ok((messages, flags))
    }
}
