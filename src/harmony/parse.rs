//! Parses tokens to messages, one token at a time.
//!
//! The parser has three states: outside of a message, in a header, in content. A model can write anything, so the
//! parser never panics and never ignores a mistake: [`Mode::Strict`] stops with an error that names the problem and the
//! token, and [`Mode::Lenient`] continues with a guess and records a [`Flag`].

use super::header::{ParsedHeader, WordsAfterRole, parse_header};
use super::message::{Message, MessageRole};
use super::{CONSTRAIN, Harmony, Header};
use crate::error::{Error, Result};
use crate::tokenizer::Utf8Stream;

/// The reaction to tokens that are not a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The parser returns an error.
    Strict,
    /// The parser guesses what was meant and records a [`Flag`].
    Lenient,
}

/// A problem that the lenient parser has worked around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The index of the token, from 0.
    pub token: usize,
    /// A description of the problem.
    pub problem: String,
}

impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "token {}: {}", self.token, self.problem)
    }
}

enum State {
    /// Between messages.
    Outside,
    /// After `<|start|>`, or after a prompt that has begun the message.
    Header { ids: Vec<u32>, role: Option<MessageRole> },
    /// After `<|message|>`.
    Content { header: Header, text: String, bytes: Utf8Stream },
}

/// Parses a conversation while it is written.
pub struct Parser<'t> {
    harmony: Harmony<'t>,
    mode: Mode,
    state: State,
    messages: Vec<Message>,
    flags: Vec<Flag>,
    seen: usize,
}

// ANCHOR: parser
impl<'t> Parser<'t> {
    /// Makes a parser. With a `role`, the header of the first message has already been begun, as in a prompt for
    /// completion; otherwise the first token must be `<|start|>`.
    pub fn new(harmony: Harmony<'t>, role: Option<MessageRole>, mode: Mode) -> Self {
        let state = role.map_or(State::Outside, |role| State::Header { ids: Vec::new(), role: Some(role) });
        Self { harmony, mode, state, messages: Vec::new(), flags: Vec::new(), seen: 0 }
    }

    /// Reads the next token. Returns the content that it completes, in whole characters; the string may be empty.
    ///
    /// # Errors
    /// In strict mode, if the tokens are not a conversation. The parser is then outside of a message.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let marks = self.harmony.marks();
        let delta = match std::mem::replace(&mut self.state, State::Outside) {
            State::Outside if id == marks.start => self.begin_header(),
            State::Outside if marks.ends_message(id) => {
                self.report("a message ends where none was begun").map(|()| String::new())
            }
            State::Outside => self.report("<|start|> is missing").and_then(|()| {
                self.begin_header()?;
                self.in_header(id, Vec::new(), None)
            }),
            State::Header { ids, role } => self.in_header(id, ids, role),
            State::Content { header, text, bytes } => self.in_content(id, header, text, bytes),
        };
        self.seen += 1;
        delta
    }

    /// Ends the input. Unfinished content becomes a message, because a model may run out of tokens.
    ///
    /// # Errors
    /// In strict mode, if a header is unfinished.
    pub fn finish(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Outside => Ok(()),
            State::Header { ids, role } => {
                self.report("the tokens end in the header of a message")?;
                self.message_without_mark(&ids, role)
            }
            State::Content { header, text, bytes } => {
                self.end_message(header, text, bytes);
                Ok(())
            }
        }
    }
}
// ANCHOR_END: parser

/// Accessors for the results.
impl Parser<'_> {
    /// Returns the messages that are complete.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the messages.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }

    /// Returns the problems that the lenient parser has worked around.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Returns the header of the message whose content is being read.
    pub fn header(&self) -> Option<&Header> {
        match &self.state {
            State::Content { header, .. } => Some(header),
            _ => None,
        }
    }

    /// Returns the content so far of the message that is being read.
    pub fn content(&self) -> &str {
        match &self.state {
            State::Content { text, .. } => text,
            _ => "",
        }
    }
}

impl Parser<'_> {
    /// Reports a problem: as an error in strict mode, as a flag in lenient mode.
    fn report(&mut self, problem: impl Into<String>) -> Result<()> {
        let flag = Flag { token: self.seen, problem: problem.into() };
        match self.mode {
            Mode::Strict => Err(Error::argument(flag.to_string())),
            Mode::Lenient => {
                self.flags.push(flag);
                Ok(())
            }
        }
    }

    fn begin_header(&mut self) -> Result<String> {
        self.state = State::Header { ids: Vec::new(), role: None };
        Ok(String::new())
    }

    fn in_header(&mut self, id: u32, mut ids: Vec<u32>, role: Option<MessageRole>) -> Result<String> {
        let marks = self.harmony.marks();
        if id == marks.message {
            let text = self.header_text(&ids)?;
            let ParsedHeader { header, problems, .. } = parse_header(&text, role, WordsAfterRole::Header);
            for problem in problems {
                self.report(problem)?;
            }
            if text.contains(CONSTRAIN) && !ids.contains(&marks.constrain) && self.mode == Mode::Lenient {
                self.report(format!("{CONSTRAIN} as plain text"))?;
            }
            self.state = State::Content { header, text: String::new(), bytes: Utf8Stream::new() };
        } else if marks.ends_message(id) {
            self.report("a message ends in its header: <|message|> is missing")?;
            self.message_without_mark(&ids, role)?;
        } else if id == marks.start {
            self.report("<|start|> in a header: the message before it has no <|message|> and no end")?;
            self.message_without_mark(&ids, role)?;
            return self.begin_header();
        } else {
            ids.push(id);
            self.state = State::Header { ids, role };
        }
        Ok(String::new())
    }

    fn in_content(&mut self, id: u32, header: Header, mut text: String, mut bytes: Utf8Stream) -> Result<String> {
        if self.harmony.marks().ends_message(id) {
            self.end_message(header, text, bytes);
            return Ok(String::new());
        }
        let delta = match self.harmony.tokenizer().token_bytes(id) {
            Some(token) => bytes.push(token),
            // The reference implementation accepts this too, even in strict mode.
            None => {
                self.flags.push(Flag { token: self.seen, problem: format!("id {id} is not in the vocabulary") });
                std::mem::take(&mut bytes).finish() + "\u{FFFD}"
            }
        };
        text.push_str(&delta);
        self.state = State::Content { header, text, bytes };
        Ok(delta)
    }

    /// Decodes the tokens of a header, which must be UTF-8.
    fn header_text(&mut self, ids: &[u32]) -> Result<String> {
        let known: Vec<u32> =
            ids.iter().copied().filter(|&id| self.harmony.tokenizer().token_bytes(id).is_some()).collect();
        if known.len() < ids.len() {
            self.report("the header has ids that are not in the vocabulary")?;
        }
        match String::from_utf8(self.harmony.tokenizer().decode_bytes(&known)?) {
            Ok(text) => Ok(text),
            Err(error) => {
                self.report("the header is not UTF-8")?;
                Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
            }
        }
    }

    /// Ends a message whose header was not followed by content. The words of the header become the content.
    fn message_without_mark(&mut self, ids: &[u32], role: Option<MessageRole>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let text = self.header_text(ids)?;
        let ParsedHeader { header, leftover, problems } = parse_header(&text, role, WordsAfterRole::Content);
        for problem in problems {
            self.report(problem)?;
        }
        self.end_message(header, leftover, Utf8Stream::new());
        Ok(())
    }

    fn end_message(&mut self, header: Header, text: String, bytes: Utf8Stream) {
        let Header { role, name, channel, recipient, content_type } = header;
        let content = vec![(text + &bytes.finish()).into()];
        self.messages.push(Message { role, name, content, channel, recipient, content_type });
    }
}
