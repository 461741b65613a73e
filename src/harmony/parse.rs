//! Tokens as messages, one token at a time.
//!
//! Three states: outside of a message, in a header, in content. A model can write anything, so nothing here can panic and
//! nothing is lost in silence: [`Mode::Strict`] ends with what is wrong and at which token, [`Mode::Lenient`] makes the
//! best of it and keeps a [`Flag`].

use super::header::{Understood, Words, understand};
use super::message::{Message, Role};
use super::{CONSTRAIN, Harmony, Header};
use crate::error::{Error, Result};
use crate::tokenizer::Utf8Stream;

/// What happens when the tokens are not a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An error.
    Strict,
    /// A guess, and a flag.
    Lenient,
}

/// Something that lenient parsing has made the best of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// At which token, from 0.
    pub token: usize,
    /// What was wrong.
    pub what: String,
}

impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "token {}: {}", self.token, self.what)
    }
}

enum State {
    /// Between messages.
    Outside,
    /// Since `<|start|>`, or since the prompt's end.
    Header { ids: Vec<u32>, role: Option<Role> },
    /// Since `<|message|>`.
    Content { header: Header, text: String, bytes: Utf8Stream },
}

/// Reads a conversation as it is written.
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
    /// A parser before the first token. With a `role`, the first message's header is already begun, as a prompt for
    /// completion does; without, `<|start|>` comes first.
    pub fn new(harmony: Harmony<'t>, role: Option<Role>, mode: Mode) -> Self {
        let state = role.map_or(State::Outside, |role| State::Header { ids: Vec::new(), role: Some(role) });
        Self { harmony, mode, state, messages: Vec::new(), flags: Vec::new(), seen: 0 }
    }

    /// Takes the next token. Returns the content that it completes: whole characters, possibly none.
    ///
    /// # Errors
    /// In strict mode, tokens that are not a conversation; the parser is then outside of a message.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let marks = self.harmony.marks();
        let delta = match std::mem::replace(&mut self.state, State::Outside) {
            State::Outside if id == marks.start => self.begin_header(),
            State::Outside if marks.ends_message(id) => {
                self.wrong("a message ends where none was begun").map(|()| String::new())
            }
            State::Outside => self.wrong("<|start|> is missing").and_then(|()| {
                self.begin_header()?;
                self.in_header(id, Vec::new(), None)
            }),
            State::Header { ids, role } => self.in_header(id, ids, role),
            State::Content { header, text, bytes } => self.in_content(id, header, text, bytes),
        };
        self.seen += 1;
        delta
    }

    /// No more tokens will come. Unfinished content becomes a message, as when a budget of tokens is spent.
    ///
    /// # Errors
    /// In strict mode, if a header is unfinished.
    pub fn finish(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Outside => Ok(()),
            State::Header { ids, role } => {
                self.wrong("the tokens end in the header of a message")?;
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

/// What has been read.
impl Parser<'_> {
    /// The messages that are complete.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The messages, at the end.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }

    /// What lenient parsing has made the best of.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// The header of the message whose content is being read.
    pub fn header(&self) -> Option<&Header> {
        match &self.state {
            State::Content { header, .. } => Some(header),
            _ => None,
        }
    }

    /// The content so far of the message that is being read.
    pub fn content(&self) -> &str {
        match &self.state {
            State::Content { text, .. } => text,
            _ => "",
        }
    }
}

impl Parser<'_> {
    /// An error, or a flag.
    fn wrong(&mut self, what: impl Into<String>) -> Result<()> {
        let flag = Flag { token: self.seen, what: what.into() };
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

    fn in_header(&mut self, id: u32, mut ids: Vec<u32>, role: Option<Role>) -> Result<String> {
        let marks = self.harmony.marks();
        if id == marks.message {
            let text = self.header_text(&ids)?;
            let Understood { header, wrong, .. } = understand(&text, role, Words::Header);
            for what in wrong {
                self.wrong(what)?;
            }
            if text.contains(CONSTRAIN) && !ids.contains(&marks.constrain) && self.mode == Mode::Lenient {
                self.wrong(format!("{CONSTRAIN} as plain text"))?;
            }
            self.state = State::Content { header, text: String::new(), bytes: Utf8Stream::new() };
        } else if marks.ends_message(id) {
            self.wrong("a message ends in its header: <|message|> is missing")?;
            self.message_without_mark(&ids, role)?;
        } else if id == marks.start {
            self.wrong("<|start|> in a header: the message before it has no <|message|> and no end")?;
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
            // As the reference has it, also in strict mode.
            None => {
                self.flags.push(Flag { token: self.seen, what: format!("id {id} is not in the vocabulary") });
                std::mem::take(&mut bytes).finish() + "\u{FFFD}"
            }
        };
        text.push_str(&delta);
        self.state = State::Content { header, text, bytes };
        Ok(delta)
    }

    /// The text of a header's tokens, which has to be UTF-8.
    fn header_text(&mut self, ids: &[u32]) -> Result<String> {
        let known: Vec<u32> =
            ids.iter().copied().filter(|&id| self.harmony.tokenizer().token_bytes(id).is_some()).collect();
        if known.len() < ids.len() {
            self.wrong("the header has ids that are not in the vocabulary")?;
        }
        match String::from_utf8(self.harmony.tokenizer().decode_bytes(&known)?) {
            Ok(text) => Ok(text),
            Err(error) => {
                self.wrong("the header is not UTF-8")?;
                Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
            }
        }
    }

    /// A header that was never followed by content: its words are the content.
    fn message_without_mark(&mut self, ids: &[u32], role: Option<Role>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let text = self.header_text(ids)?;
        let Understood { header, rest, wrong } = understand(&text, role, Words::Content);
        for what in wrong {
            self.wrong(what)?;
        }
        self.end_message(header, rest, Utf8Stream::new());
        Ok(())
    }

    fn end_message(&mut self, header: Header, text: String, bytes: Utf8Stream) {
        let Header { role, name, channel, recipient, content_type } = header;
        let content = vec![(text + &bytes.finish()).into()];
        self.messages.push(Message { role, name, content, channel, recipient, content_type });
    }
}
