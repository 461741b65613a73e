//! Harmony: the prompt format of gpt-oss.
//!
//! A conversation is a list of messages. A message is a header and content, delimited by marks, which are special
//! tokens. The model reasons on the channel `analysis`, calls tools on `commentary`, and answers on `final`.
//! [`Harmony::render`] converts messages to tokens. [`Parser`] converts the tokens that a model writes to messages, one
//! token at a time. Both give the same results as OpenAI's `openai-harmony` 0.0.8: <https://github.com/openai/harmony>.
//!
//! Book: [harmony](../../../book/harmony.html)

mod header;
mod message;
mod parse;
mod render;
mod system;
mod tool_schema;
mod chat;
mod chat_template;

pub use chat::{ChatMessage, messages_of_chat};
pub use header::Header;
pub use message::{
    ChannelConfig, Content, Conversation, DeveloperContent, Effort, Message, MessageRole, SystemContent, Tool,
    ToolNamespace,
};
pub use parse::{Flag, Mode, Parser};
pub use render::{Purpose, messages_of_prompt};
pub use system::{browser_tool, python_tool};
pub use tool_schema::typescript;

use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;

/// The mark before the format of constrained content, in a header.
pub const CONSTRAIN: &str = "<|constrain|>";
/// The mark before the channel, in a header.
pub const CHANNEL: &str = "<|channel|>";

/// The special tokens that delimit messages and their parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// `<|start|>`: starts a header.
    pub start: u32,
    /// `<|message|>`: starts the content.
    pub message: u32,
    /// `<|end|>`: ends a message, after which another one may follow.
    pub end: u32,
    /// `<|return|>`: ends a message and the model's turn.
    pub done: u32,
    /// `<|call|>`: ends a message that calls a tool.
    pub call: u32,
    /// `<|channel|>`: comes before the channel.
    pub channel: u32,
    /// `<|constrain|>`: comes before the format of constrained content.
    pub constrain: u32,
}

impl Marks {
    /// The names of the marks, in the order of the fields.
    pub const NAMES: [&str; 7] = ["<|start|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", CHANNEL, CONSTRAIN];

    /// Returns whether this token ends a message.
    pub fn ends_message(&self, id: u32) -> bool {
        [self.end, self.done, self.call].contains(&id)
    }

    /// Returns whether this token ends the model's turn, because the model has answered or waits for a tool.
    pub fn ends_turn(&self, id: u32) -> bool {
        [self.done, self.call].contains(&id)
    }
}

/// A tokenizer that has the marks. It renders and parses conversations.
#[derive(Debug, Clone, Copy)]
pub struct Harmony<'t> {
    tokenizer: &'t Tokenizer,
    marks: Marks,
}

impl<'t> Harmony<'t> {
    /// Looks up the marks in a tokenizer.
    ///
    /// # Errors
    /// If the tokenizer lacks one of them.
    pub fn new(tokenizer: &'t Tokenizer) -> Result<Self> {
        let mark = |name: &str| {
            tokenizer.special_id(name).ok_or_else(|| {
                Error::argument(format!(
                    "this tokenizer has no {name}: its model was not made for harmony conversations (see ossia tokenizer train --harmony)"
                ))
            })
        };
        let [start, message, end, done, call, channel, constrain] = Marks::NAMES.map(mark);
        let marks = Marks {
            start: start?,
            message: message?,
            end: end?,
            done: done?,
            call: call?,
            channel: channel?,
            constrain: constrain?,
        };
        Ok(Self { tokenizer, marks })
    }

    /// Returns the ids of the marks.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Returns the tokenizer.
    pub fn tokenizer(&self) -> &'t Tokenizer {
        self.tokenizer
    }
}
