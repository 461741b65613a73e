//! Renders a conversation as tokens.
//!
//! ```text
//! <|start|>ROLE to=RECIPIENT<|channel|>CHANNEL TYPE<|message|>CONTENT<|end|>
//! ```
//!
//! Everything except the marks is text, and text never becomes a mark, even if it spells the name of one. Only this
//! keeps a user, a tool or a web page from writing messages of another role. Each part is encoded separately, as in the
//! reference implementation, so that the tokens are identical and not only the text.
//! <https://github.com/openai/harmony> `src/encoding.rs`; the format: <https://cookbook.openai.com/articles/openai-harmony>

use super::message::{Content, Message, MessageRole};
use super::{Harmony, system};
use crate::error::{Error, Result};

/// The purpose of the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To render the messages alone.
    Raw,
    /// To let a model write the next message: the header of a message of this role is begun.
    Completion(MessageRole),
    /// To train a model: a final answer at the end is closed with `<|return|>`, which is the token that the model
    /// should write there.
    Training,
}

impl Harmony<'_> {
    // ANCHOR: render
    /// Renders a conversation. With `drop_analysis`, the reasoning before the first final answer is left out, unless
    /// the last message of the assistant is not a final answer: then the model still needs its reasoning, for example
    /// until a tool has answered.
    ///
    /// # Errors
    /// If a tool message has no name, or if system or developer content is in a message of another role.
    pub fn render(&self, messages: &[Message], purpose: Purpose, drop_analysis: bool) -> Result<Vec<u32>> {
        let function_tools = messages.iter().any(Message::defines_functions);
        let (messages, mut ids) = (messages.iter().collect::<Vec<_>>(), Vec::new());
        let shown = if drop_analysis { messages_of_prompt(&messages) } else { (0..messages.len()).collect() };
        for i in shown {
            self.render_message(messages[i], function_tools, &mut ids)?;
        }
        match (purpose, messages.last()) {
            (Purpose::Completion(role), _) => {
                ids.push(self.marks.start);
                ids.extend(self.tokenizer.encode(role.name()));
            }
            (Purpose::Training, Some(last)) if last.role == MessageRole::Assistant && last.is_on("final") => {
                *ids.last_mut().expect("a message has tokens") = self.marks.done;
            }
            _ => {}
        }
        Ok(ids)
    }
    // ANCHOR_END: render

    // ANCHOR: render_message
    /// Appends the tokens of one message. `function_tools` tells whether the conversation defines function tools, which
    /// the system message mentions.
    ///
    /// # Errors
    /// The same as those of [`Harmony::render`].
    pub fn render_message(&self, message: &Message, function_tools: bool, ids: &mut Vec<u32>) -> Result<()> {
        let text = |text: &str, ids: &mut Vec<u32>| ids.extend(self.tokenizer.encode(text));
        ids.push(self.marks.start);
        match (message.role, &message.name) {
            (MessageRole::Tool, Some(name)) => text(name, ids),
            (MessageRole::Tool, None) => {
                return Err(Error::argument("a tool message has no name: say which tool answers"));
            }
            (role, name) => {
                text(role.name(), ids);
                name.iter().for_each(|name| text(&format!(":{name}"), ids));
            }
        }
        if let Some(recipient) = message.recipient.as_deref().filter(|recipient| *recipient != "all") {
            text(&format!(" to={recipient}"), ids);
        }
        if let Some(channel) = &message.channel {
            ids.push(self.marks.channel);
            text(channel, ids);
        }
        if let Some(content_type) = &message.content_type {
            match content_type.strip_prefix(super::CONSTRAIN) {
                Some(format) => {
                    text(" ", ids);
                    ids.push(self.marks.constrain);
                    text(format, ids);
                }
                None => text(&format!(" {content_type}"), ids),
            }
        }
        ids.push(self.marks.message);
        for content in &message.content {
            text(&content_text(content, message.role, function_tools)?, ids);
        }
        let calls = message.role == MessageRole::Assistant && message.recipient.is_some();
        ids.push(if calls { self.marks.call } else { self.marks.end });
        Ok(())
    }
    // ANCHOR_END: render_message
}

// ANCHOR: messages_of_prompt
/// Returns which messages of a conversation a prompt has: all except the reasoning before the first final answer, unless the last
/// message of the assistant is not a final answer.
pub fn messages_of_prompt(messages: &[&Message]) -> Vec<usize> {
    let last_of_assistant = messages.iter().rfind(|message| message.role == MessageRole::Assistant);
    let answered = last_of_assistant.is_some_and(|message| message.is_on("final"));
    let first_final = messages.iter().position(|message| message.is_on("final")).unwrap_or(0);
    let dropped = if answered { first_final } else { 0 };
    (0..messages.len()).filter(|&i| i >= dropped || !messages[i].is_on("analysis")).collect()
}
// ANCHOR_END: messages_of_prompt

/// Returns the text of a part of a message of `role`.
fn content_text(content: &Content, role: MessageRole, function_tools: bool) -> Result<String> {
    let only = |expected: MessageRole, name: &str, text: String| match role == expected {
        true => Ok(text),
        false => Err(Error::argument(format!(
            "{name} in a message of the role {}; only {} messages have it",
            role.name(),
            expected.name()
        ))),
    };
    match content {
        Content::Text { text } => Ok(text.clone()),
        Content::SystemContent(content) => {
            only(MessageRole::System, "system_content", system::system_text(content, function_tools))
        }
        Content::DeveloperContent(content) => {
            only(MessageRole::Developer, "developer_content", system::developer_text(content))
        }
    }
}
