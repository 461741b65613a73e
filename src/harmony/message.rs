//! The messages of a conversation, before they become tokens.
//!
//! As JSON they have the format of openai-harmony's `Message.to_dict()` and `Conversation.to_dict()`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The author of a message. If instructions conflict, the role that comes earlier in this list takes precedence:
/// system, developer, user, assistant, tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageRole {
    /// The system: states the model's identity, effort, channels and built-in tools.
    System,
    /// The developer: gives the instructions that are usually called the system prompt, and defines function tools.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool, whose result the message is. The header has the tool's name instead of the role.
    Tool,
}

impl MessageRole {
    /// All roles.
    pub const ALL: [MessageRole; 5] =
        [MessageRole::System, MessageRole::Developer, MessageRole::User, MessageRole::Assistant, MessageRole::Tool];

    /// Returns the name of the role in a header.
    pub fn name(self) -> &'static str {
        match self {
            MessageRole::System => "system",
            MessageRole::Developer => "developer",
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
            MessageRole::Tool => "tool",
        }
    }

    /// Returns the role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A message: a header and content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The author.
    pub role: MessageRole,
    /// The name of a tool, such as `functions.get_weather`, or of one of several authors with the same role.
    #[serde(default)]
    pub name: Option<String>,
    /// The content, usually a single part.
    #[serde(deserialize_with = "one_or_many")]
    pub content: Vec<Content>,
    /// The channel: `analysis`, `commentary` or `final` for the assistant, and the channel of the call for a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The recipient, if the message is not for everyone: for the assistant, the tool that it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The format of the content, such as `<|constrain|>json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

impl Message {
    /// Makes a message to everyone, without a channel.
    pub fn new(role: MessageRole, content: impl Into<Content>) -> Self {
        Self { role, name: None, content: vec![content.into()], channel: None, recipient: None, content_type: None }
    }

    /// Makes a result of the tool `name` for the assistant.
    pub fn from_tool(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::new(MessageRole::Tool, text.into()) }.to("assistant")
    }

    /// Makes a result of the tool that `call` calls, on the channel of the call.
    pub fn answering(call: &Message, text: impl Into<String>) -> Self {
        let name = call.recipient.clone().unwrap_or_default();
        Self { channel: call.channel.clone(), ..Self::from_tool(name, text) }
    }

    /// Sets the channel.
    #[must_use]
    pub fn on(self, channel: impl Into<String>) -> Self {
        Self { channel: Some(channel.into()), ..self }
    }

    /// Sets the recipient.
    #[must_use]
    pub fn to(self, recipient: impl Into<String>) -> Self {
        Self { recipient: Some(recipient.into()), ..self }
    }

    /// Sets the type of the content.
    #[must_use]
    pub fn of_type(self, content_type: impl Into<String>) -> Self {
        Self { content_type: Some(content_type.into()), ..self }
    }

    /// Returns whether the message is on this channel.
    pub fn is_on(&self, channel: &str) -> bool {
        self.channel.as_deref() == Some(channel)
    }

    /// Returns whether the message defines functions that the model may call.
    pub fn defines_functions(&self) -> bool {
        self.content.iter().any(|content| match content {
            Content::DeveloperContent(developer) => {
                let functions = developer.tools.as_ref().and_then(|tools| tools.get("functions"));
                functions.is_some_and(|namespace| !namespace.tools.is_empty())
            }
            _ => false,
        })
    }

    /// Returns all plain text of the message.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|content| match content {
            Content::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

/// A list of messages, as stored in a file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Conversation {
    /// The messages, from first to last.
    pub messages: Vec<Message>,
}

/// A part of the content of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Plain text. It never becomes a special token, even if it spells the name of one.
    Text {
        /// The text.
        text: String,
    },
    /// The parts of a system message.
    SystemContent(SystemContent),
    /// The parts of a developer message.
    DeveloperContent(DeveloperContent),
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Content::Text { text }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Content::Text { text: text.into() }
    }
}

impl From<SystemContent> for Content {
    fn from(content: SystemContent) -> Self {
        Content::SystemContent(content)
    }
}

impl From<DeveloperContent> for Content {
    fn from(content: DeveloperContent) -> Self {
        Content::DeveloperContent(content)
    }
}

/// Deserializes a list of parts. A string is accepted as a single part of text.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Content>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<Value>),
    }
    let pieces = match OneOrMany::deserialize(from)? {
        OneOrMany::One(text) => return Ok(vec![Content::Text { text }]),
        OneOrMany::Many(pieces) => pieces,
    };
    // The parts are deserialized as values first, so that the error describes the part instead of saying that no
    // variant fits.
    pieces.into_iter().map(|piece| serde_json::from_value(piece).map_err(serde::de::Error::custom)).collect()
}

/// The amount of reasoning before an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effort {
    /// One or two lines.
    Low,
    /// The default of gpt-oss.
    Medium,
    /// As much as the task needs.
    High,
}

impl Effort {
    /// All levels, from low to high.
    pub const ALL: [Effort; 3] = [Effort::Low, Effort::Medium, Effort::High];

    /// Returns the name of the level in a system message.
    pub fn name(self) -> &'static str {
        match self {
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
        }
    }
}

/// The parts of a system message. Parts that are `None` are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemContent {
    /// The identity of the model, which is the first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_identity: Option<String>,
    /// The reasoning effort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<Effort>,
    /// The current date, as YYYY-MM-DD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_start_date: Option<String>,
    /// The month in which the training data ends, as YYYY-MM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<String>,
    /// The available channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_config: Option<ChannelConfig>,
    /// The built-in tools by namespace: [`super::browser_tool`], [`super::python_tool`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, ToolNamespace>>,
}

impl Default for SystemContent {
    /// Returns the content that gpt-oss was trained with: medium effort, three channels, no date, no tools.
    fn default() -> Self {
        Self {
            model_identity: Some("You are ChatGPT, a large language model trained by OpenAI.".into()),
            reasoning_effort: Some(Effort::Medium),
            conversation_start_date: None,
            knowledge_cutoff: Some("2024-06".into()),
            channel_config: Some(ChannelConfig {
                valid_channels: ["analysis", "commentary", "final"].map(String::from).into(),
                channel_required: true,
            }),
            tools: None,
        }
    }
}

/// The channels that a system message lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelConfig {
    /// The names of the channels. If there are none, the system message does not mention channels.
    pub valid_channels: Vec<String>,
    /// Whether every message of the assistant must be on a channel.
    pub channel_required: bool,
}

/// The parts of a developer message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeveloperContent {
    /// The instructions for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Tools by namespace. Tools that a user defines are in `functions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, ToolNamespace>>,
}

/// A namespace of tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolNamespace {
    /// The name of the namespace, which is before the dot in a recipient.
    pub name: String,
    /// The purpose of the tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The functions. There are none if the tool takes free text.
    pub tools: Vec<Tool>,
}

/// A function that the model can call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// The name of the function, which is after the dot in a recipient.
    pub name: String,
    /// A description of the function.
    pub description: String,
    /// The JSON Schema of the argument; `None` if there is no argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
}
