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
    /// The parser reads exactly what openai-harmony 0.0.8 reads, and returns an error where that does. This includes an
    /// oddity: in `<|channel|>final <|constrain|>json` the format counts as the recipient, as if the answer were a call.
    Strict,
    /// The parser guesses what was meant and records a [`Flag`]. A format in the header of an answer is a format, and a
    /// role may have a name (`user:alice`).
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
    Header(PartialHeader),
    /// After `<|message|>`.
    Content { header: Header, text: String, bytes: Utf8Stream },
}

/// A header that is being read.
struct PartialHeader {
    ids: Vec<u32>,
    /// The role, if the prompt has begun the message.
    role: Option<MessageRole>,
    /// Whether `<|start|>` or a prompt began the header. Otherwise it may also be a stray token between messages.
    started: bool,
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
        let header = |role| State::Header(PartialHeader { ids: Vec::new(), role: Some(role), started: true });
        let state = role.map_or(State::Outside, header);
        Self { harmony, mode, state, messages: Vec::new(), flags: Vec::new(), seen: 0 }
    }

    // ANCHOR: push
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
            State::Outside => self
                .report("<|start|> is missing")
                .and_then(|()| self.in_header(id, PartialHeader { ids: Vec::new(), role: None, started: false })),
            State::Header(header) => self.in_header(id, header),
            State::Content { header, text, bytes } => self.in_content(id, header, text, bytes),
        };
        self.seen += 1;
        delta
    }
    // ANCHOR_END: push

    /// Ends the input. Unfinished content becomes a message, because a model may run out of tokens. Returns the content that
    /// the end completes: joined, the pieces of [`push`](Self::push) and of this are the contents of all messages.
    ///
    /// # Errors
    /// In strict mode, if a header is unfinished.
    pub fn finish(&mut self) -> Result<String> {
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Outside => Ok(String::new()),
            State::Header(header) => {
                self.report("the tokens end in the header of a message")?;
                self.message_without_mark(header)
            }
            State::Content { header, text, bytes } => Ok(self.end_message(header, text, bytes)),
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
        self.state = State::Header(PartialHeader { ids: Vec::new(), role: None, started: true });
        Ok(String::new())
    }

    fn in_header(&mut self, id: u32, mut header: PartialHeader) -> Result<String> {
        let marks = self.harmony.marks();
        if id == marks.message {
            let PartialHeader { ids, role, .. } = header;
            let text = self.header_text(&ids)?;
            let ParsedHeader { header, problems, .. } = parse_header(&text, role, WordsAfterRole::Header, self.mode);
            for problem in problems {
                self.report(problem)?;
            }
            if text.contains(CONSTRAIN) && !ids.contains(&marks.constrain) && self.mode == Mode::Lenient {
                self.report(format!("{CONSTRAIN} as plain text"))?;
            }
            self.state = State::Content { header, text: String::new(), bytes: Utf8Stream::new() };
        } else if marks.ends_message(id) {
            self.report("a message ends in its header: <|message|> is missing")?;
            return self.message_without_mark(header);
        } else if id == marks.start {
            self.report("<|start|> in a header: the message before it has no <|message|> and no end")?;
            let content = self.message_without_mark(header)?;
            self.begin_header()?;
            return Ok(content);
        } else {
            header.ids.push(id);
            self.state = State::Header(header);
        }
        Ok(String::new())
    }

    fn in_content(&mut self, id: u32, header: Header, mut text: String, mut bytes: Utf8Stream) -> Result<String> {
        if self.harmony.marks().ends_message(id) {
            return Ok(self.end_message(header, text, bytes));
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

    /// Ends a message whose header was not followed by content. The words of the header become the content, which is
    /// returned. Without a header, the words are stray tokens between messages, and no message.
    fn message_without_mark(&mut self, header: PartialHeader) -> Result<String> {
        let PartialHeader { ids, role, started } = header;
        if ids.is_empty() || !started {
            return Ok(String::new());
        }
        let text = self.header_text(&ids)?;
        let ParsedHeader { header, leftover, problems } = parse_header(&text, role, WordsAfterRole::Content, self.mode);
        for problem in problems {
            self.report(problem)?;
        }
        self.end_message(header, leftover.clone(), Utf8Stream::new());
        Ok(leftover)
    }

    /// Ends a message. Returns the end of its content: U+FFFD if the content ends within a character.
    fn end_message(&mut self, header: Header, text: String, bytes: Utf8Stream) -> String {
        let Header { role, name, channel, recipient, content_type } = header;
        let end = bytes.finish();
        let content = vec![(text + &end).into()];
        self.messages.push(Message { role, name, content, channel, recipient, content_type });
        end
    }
}
