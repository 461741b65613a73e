//! One reply, token by token.

use super::{Ending, Event};
use crate::error::Result;
use crate::harmony::{Flag, Harmony, Header, Marks, Message, Mode, Parser, Role};

/// What the model has written since it was asked.
pub(super) struct Turn<'m> {
    parser: Parser<'m>,
    marks: Marks,
    pub tokens: usize,
    pub analysis: usize,
    pub header: usize, // tokens of the header that is being read
}

impl<'m> Turn<'m> {
    pub fn new(harmony: Harmony<'m>) -> Self {
        let parser = Parser::new(harmony, Some(Role::Assistant), Mode::Lenient);
        Self { parser, marks: harmony.marks(), tokens: 0, analysis: 0, header: 0 }
    }

    pub fn is_thinking(&self) -> bool {
        let thinks = |header: &Header| header.channel.as_deref() == Some("analysis") && header.recipient.is_none();
        self.parser.header().is_some_and(thinks)
    }

    /// Reads a token and tells what it means. Whether to go on.
    pub fn take(&mut self, token: u32, watch: &mut dyn FnMut(Event) -> bool) -> Result<bool> {
        let inside = self.parser.header().is_some();
        self.analysis += usize::from(self.is_thinking());
        let text = self.parser.push(token)?;
        self.header = if self.parser.header().is_some() { 0 } else { self.header + 1 };
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

    /// The messages. Of a reply that was cut off, thoughts that led to nothing are forgotten.
    pub fn finish(mut self, ending: &Ending) -> Result<(Vec<Message>, Vec<Flag>)> {
        if self.header == 0 || *ending == Ending::Answered {
            self.parser.finish()?;
        }
        let flags = self.parser.flags().to_vec();
        let mut messages = self.parser.into_messages();
        if matches!(ending, Ending::Interrupted | Ending::Length | Ending::ContextFull) {
            let said = messages.iter().rposition(|message| !message.is_on("analysis")).map_or(0, |last| last + 1);
            messages.truncate(said);
        }
        Ok((messages, flags))
    }
}
