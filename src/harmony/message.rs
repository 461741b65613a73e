//! What is said in a conversation, before it becomes tokens.
//!
//! As JSON these are what openai-harmony's `Message.to_dict()` and `Conversation.to_dict()` give and take.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Who speaks. In a conflict, the earlier one here has the last word: system, developer, user, assistant, tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who the model is, its effort, its channels, its built-in tools.
    System,
    /// The instructions that are usually called the system prompt, and function tools.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// What a tool answers; its name stands in the place of the role.
    Tool,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool];

    /// As a header spells it.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// The role that a header spells so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// One message: a header, and content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The tool's name, such as `functions.get_weather`; or that of one speaker among several of a role.
    #[serde(default)]
    pub name: Option<String>,
    /// One piece, usually.
    #[serde(deserialize_with = "one_or_many")]
    pub content: Vec<Content>,
    /// `analysis`, `commentary` or `final`, of the assistant; whatever it was called on, of a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Whom it is for where that is not everyone: of the assistant, the tool that it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// How the content is to be read, such as `<|constrain|>json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

impl Message {
    /// A message of `role` with this content, to everyone, without a channel.
    pub fn new(role: Role, content: impl Into<Content>) -> Self {
        Self { role, name: None, content: vec![content.into()], channel: None, recipient: None, content_type: None }
    }

    /// What the tool `name` answers to the assistant.
    pub fn from_tool(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::new(Role::Tool, text.into()) }.to("assistant")
    }

    /// What the tool that a message calls answers to it, on the channel of the call.
    pub fn answering(call: &Message, text: impl Into<String>) -> Self {
        let name = call.recipient.clone().unwrap_or_default();
        Self { channel: call.channel.clone(), ..Self::from_tool(name, text) }
    }

    /// The same on a channel.
    #[must_use]
    pub fn on(self, channel: impl Into<String>) -> Self {
        Self { channel: Some(channel.into()), ..self }
    }

    /// The same to a recipient.
    #[must_use]
    pub fn to(self, recipient: impl Into<String>) -> Self {
        Self { recipient: Some(recipient.into()), ..self }
    }

    /// The same with a type of content.
    #[must_use]
    pub fn of_type(self, content_type: impl Into<String>) -> Self {
        Self { content_type: Some(content_type.into()), ..self }
    }

    /// Whether it is on this channel.
    pub fn is_on(&self, channel: &str) -> bool {
        self.channel.as_deref() == Some(channel)
    }

    /// All of its plain text.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|content| match content {
            Content::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

/// A list of messages, as a file holds it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Conversation {
    /// First to last.
    pub messages: Vec<Message>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Plain text. Never a special token, whatever it spells.
    Text {
        /// The text.
        text: String,
    },
    /// What a system message is filled from.
    SystemContent(SystemContent),
    /// What a developer message is filled from.
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

/// A string is short for one piece of text.
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
    // By way of values, so that the error is that of the piece and not "no variant fits".
    pieces.into_iter().map(|piece| serde_json::from_value(piece).map_err(serde::de::Error::custom)).collect()
}

/// How long the model thinks before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effort {
    /// A line or two.
    Low,
    /// The default.
    Medium,
    /// As long as it takes.
    High,
}

impl Effort {
    /// From little to much.
    pub const ALL: [Effort; 3] = [Effort::Low, Effort::Medium, Effort::High];

    /// As the system message spells it.
    pub fn name(self) -> &'static str {
        match self {
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
        }
    }
}

/// The parts of a system message. What is `None` is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemContent {
    /// Its first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_identity: Option<String>,
    /// How long to think.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<Effort>,
    /// Today, as YYYY-MM-DD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_start_date: Option<String>,
    /// Where the training data ends, as YYYY-MM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<String>,
    /// The channels there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_config: Option<ChannelConfig>,
    /// Built-in tools by namespace: [`super::browser_tool`], [`super::python_tool`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, ToolNamespace>>,
}

impl Default for SystemContent {
    /// What gpt-oss was trained with: medium effort, three channels, no date, no tools.
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

/// The channels of which a system message speaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelConfig {
    /// Their names; of none, nothing is said.
    pub valid_channels: Vec<String>,
    /// Whether every message of the assistant must be on one.
    pub channel_required: bool,
}

/// The parts of a developer message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeveloperContent {
    /// What the model is to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Tools by namespace; those that a user defines are in `functions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, ToolNamespace>>,
}

/// Tools under one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolNamespace {
    /// What stands before the dot in a recipient.
    pub name: String,
    /// What they are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// None, of a tool that takes free text.
    pub tools: Vec<Tool>,
}

/// A function that the model can call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// What stands behind the dot in a recipient.
    pub name: String,
    /// What it does.
    pub description: String,
    /// A JSON Schema of its argument; `None` if it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
}
