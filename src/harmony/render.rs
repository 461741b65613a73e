//! A conversation as tokens.
//!
//! ```text
//! <|start|>ROLE to=RECIPIENT<|channel|>CHANNEL TYPE<|message|>CONTENT<|end|>
//! ```
//!
//! Everything but the marks is text, and text never becomes a mark, whatever it spells: that is all that keeps a user, a
//! tool or a web page from speaking as somebody else. Each part is encoded by itself, as the reference does, so that
//! the tokens are the same and not only the text.
//! <https://github.com/openai/harmony> `src/encoding.rs`; the format: <https://cookbook.openai.com/articles/openai-harmony>

use super::message::{Content, Message, Role};
use super::{Harmony, system};
use crate::error::{Error, Result};

/// What the tokens are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing but the messages.
    Raw,
    /// The next message of this role is to be written: its header is begun.
    Completion(Role),
    /// To learn from: a final answer at the end is closed with `<|return|>`, which is what the model should say there.
    Training,
}

impl Harmony<'_> {
    // ANCHOR: render
    /// The tokens of a conversation. With `drop_analysis`, what the assistant thought before its first final answer is
    /// left out, unless it is still at work: then it needs its thoughts, for instance until a tool has answered.
    ///
    /// # Errors
    /// A tool without a name; system content in a message that is not of the system; the same of a developer.
    pub fn render(&self, messages: &[Message], purpose: Purpose, drop_analysis: bool) -> Result<Vec<u32>> {
        let function_tools = messages.iter().any(defines_functions);
        let mut ids = Vec::new();
        for message in kept(messages, drop_analysis) {
            self.render_message(message, function_tools, &mut ids)?;
        }
        match (purpose, messages.last()) {
            (Purpose::Completion(role), _) => {
                ids.push(self.marks.start);
                ids.extend(self.tokenizer.encode(role.name()));
            }
            (Purpose::Training, Some(last)) if last.role == Role::Assistant && last.is_on("final") => {
                *ids.last_mut().expect("a message has tokens") = self.marks.done;
            }
            _ => {}
        }
        Ok(ids)
    }
    // ANCHOR_END: render

    // ANCHOR: render_message
    /// The tokens of one message. `function_tools`: whether the conversation defines any, which the system message says.
    ///
    /// # Errors
    /// As [`Harmony::render`].
    pub fn render_message(&self, message: &Message, function_tools: bool, ids: &mut Vec<u32>) -> Result<()> {
        let text = |text: &str, ids: &mut Vec<u32>| ids.extend(self.tokenizer.encode(text));
        ids.push(self.marks.start);
        match (message.role, &message.name) {
            (Role::Tool, Some(name)) => text(name, ids),
            (Role::Tool, None) => return Err(Error::argument("a tool message has no name: say which tool answers")),
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
        let calls = message.role == Role::Assistant && message.recipient.is_some();
        ids.push(if calls { self.marks.call } else { self.marks.end });
        Ok(())
    }
    // ANCHOR_END: render_message
}

/// The messages that are rendered. See [`Harmony::render`].
fn kept(messages: &[Message], drop_analysis: bool) -> impl Iterator<Item = &Message> {
    let last_of_assistant = messages.iter().rfind(|message| message.role == Role::Assistant);
    let answered = last_of_assistant.is_some_and(|message| message.is_on("final"));
    let first_final = messages.iter().position(|message| message.is_on("final")).unwrap_or(0);
    let dropped = if drop_analysis && answered { first_final } else { 0 };
    messages.iter().enumerate().filter(move |(i, message)| *i >= dropped || !message.is_on("analysis")).map(|(_, m)| m)
}

fn defines_functions(message: &Message) -> bool {
    message.content.iter().any(|content| match content {
        Content::DeveloperContent(developer) => {
            let functions = developer.tools.as_ref().and_then(|tools| tools.get("functions"));
            functions.is_some_and(|namespace| !namespace.tools.is_empty())
        }
        _ => false,
    })
}

fn content_text(content: &Content, role: Role, function_tools: bool) -> Result<String> {
    let only = |expected: Role, what: &str, text: String| match role == expected {
        true => Ok(text),
        false => Err(Error::argument(format!(
            "{what} in a message of the role {}; only {} messages have it",
            role.name(),
            expected.name()
        ))),
    };
    match content {
        Content::Text { text } => Ok(text.clone()),
        Content::SystemContent(content) => {
            only(Role::System, "system_content", system::system_text(content, function_tools))
        }
        Content::DeveloperContent(content) => {
            only(Role::Developer, "developer_content", system::developer_text(content))
        }
    }
}
