//! Harmony: the language in which gpt-oss is spoken to.       Book: harmony.md
//!
//! A conversation is messages, and a message is a header and content between marks, which are special tokens. The model
//! thinks on the channel `analysis`, calls tools on `commentary`, and answers on `final`. [`Harmony::render`] makes tokens
//! of messages, [`Parser`] messages of the tokens that a model writes, one at a time. Both equal OpenAI's
//! `openai-harmony` 0.0.8: <https://github.com/openai/harmony>.

mod header;
mod message;
mod parse;
mod render;
mod system;
mod tool_schema;

pub use header::Header;
pub use message::{
    ChannelConfig, Content, Conversation, DeveloperContent, Effort, Message, Role, SystemContent, Tool, ToolNamespace,
};
pub use parse::{Flag, Mode, Parser};
pub use render::Purpose;
pub use system::{browser_tool, python_tool};
pub use tool_schema::typescript;

use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;

/// Stands before the format of constrained content, in a header.
pub const CONSTRAIN: &str = "<|constrain|>";
/// Stands before the channel, in a header.
pub const CHANNEL: &str = "<|channel|>";

/// The special tokens between which messages stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// `<|start|>`: a header begins.
    pub start: u32,
    /// `<|message|>`: content begins.
    pub message: u32,
    /// `<|end|>`: a message ends, and the next may follow.
    pub end: u32,
    /// `<|return|>`: a message ends, and with it the model's turn.
    pub done: u32,
    /// `<|call|>`: a message ends that calls a tool.
    pub call: u32,
    /// `<|channel|>`
    pub channel: u32,
    /// `<|constrain|>`
    pub constrain: u32,
}

impl Marks {
    /// Their names, in the order of the fields.
    pub const NAMES: [&str; 7] = ["<|start|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", CHANNEL, CONSTRAIN];

    /// Whether a message ends here.
    pub fn ends_message(&self, id: u32) -> bool {
        [self.end, self.done, self.call].contains(&id)
    }

    /// Whether the model's turn ends here: it has answered, or waits for a tool.
    pub fn ends_turn(&self, id: u32) -> bool {
        [self.done, self.call].contains(&id)
    }
}

/// A tokenizer that has the marks.
#[derive(Debug, Clone, Copy)]
pub struct Harmony<'t> {
    tokenizer: &'t Tokenizer,
    marks: Marks,
}

impl<'t> Harmony<'t> {
    /// Looks for the marks in a tokenizer.
    ///
    /// # Errors
    /// If it lacks one of them.
    pub fn new(tokenizer: &'t Tokenizer) -> Result<Self> {
        let mark = |name: &str| {
            tokenizer.special_id(name).ok_or_else(|| {
                Error::argument(format!(
                    "this tokenizer has no {name}: its model was not made for harmony conversations"
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

    /// The ids of the marks.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// What turns text into tokens and back.
    pub fn tokenizer(&self) -> &'t Tokenizer {
        self.tokenizer
    }
}
