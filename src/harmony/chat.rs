//! Conversations in OpenAI's chat format, as harmony messages.
//!
//! A chat is a JSON object with `messages`, and perhaps `tools` and `reasoning_effort`. A message has a `role` and `content`. The
//! first system or developer message has the instructions, and the functions of `tools` stand below them. An assistant's message
//! may have `reasoning_content` (also called `thinking`) and `tool_calls`, and becomes one harmony message for each of its parts. A
//! tool's message answers the call with its `tool_call_id`. The tokens are those of the model's chat template.
//! <https://platform.openai.com/docs/api-reference/chat/create>

use super::{CONSTRAIN, DeveloperContent, Effort, Message, MessageRole, SystemContent, Tool, ToolNamespace};
use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;

/// A message of a chat, in harmony's form.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage {
    /// The message.
    pub message: Message,
    /// Whether a model should learn to write it: a message of the assistant whose `weight` is not 0.
    pub learned: bool,
}

/// A value in a chat, and where it stands.
#[derive(Clone)]
struct Field<'v> {
    path: String,
    value: &'v Value,
}

impl<'v> Field<'v> {
    /// Returns a member of an object; `None` if it is missing or null.
    fn get(&self, name: &str) -> Option<Field<'v>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        let dot = if self.path.is_empty() { "" } else { "." };
        Some(Field { path: format!("{}{dot}{name}", self.path), value })
    }

    fn require(&self, name: &str) -> Result<Field<'v>> {
        self.get(name).ok_or_else(|| self.wrong(format!("{name} is missing")))
    }

    fn items(&self) -> Result<Vec<Field<'v>>> {
        let Value::Array(items) = self.value else { return Err(self.expected("a list")) };
        let item = |(i, value)| Field { path: format!("{}[{i}]", self.path), value };
        Ok(items.iter().enumerate().map(item).collect())
    }

    fn text(&self) -> Result<&'v str> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    fn expected(&self, what: &str) -> Error {
        let kind = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.wrong(format!("found {kind}, expected {what}"))
    }

    fn wrong(&self, message: impl Display) -> Error {
        let colon = if self.path.is_empty() { "" } else { ": " };
        Error::argument(format!("{}{colon}{message}", self.path))
    }

    /// Returns a name in a header.
    fn name(&self, with_dots: bool) -> Result<&'v str> {
        let name = self.text()?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || (with_dots && c == '.');
        match !name.is_empty() && name.chars().all(allowed) {
            true => Ok(name),
            false => Err(self.wrong(format!("a name may consist of letters, digits, _ and -, not {name:?}"))),
        }
    }

    /// Returns the text of a content: a string, or a list with a single part of the type text.
    fn content(&self) -> Result<String> {
        let only = || self.expected("a string, or a list with a single part of the type text");
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Array(parts) => match &parts[..] {
                [part] if part["type"] == "text" => part["text"].as_str().map(String::from).ok_or_else(only),
                _ => Err(only()),
            },
            _ => Err(only()),
        }
    }
}

/// Converts a chat. `system` is the system message of the model; its tools are those that the assistant may call beside the
/// functions of the chat.
///
/// # Errors
/// The path of the first field that is wrong, and what was expected.
pub fn messages_of_chat(chat: &Value, mut system: SystemContent) -> Result<Vec<ChatMessage>> {
    let chat = Field { path: String::new(), value: chat };
    if !chat.value.is_object() {
        return Err(chat.expected("an object with messages"));
    }
    let messages = chat.require("messages")?.items()?;
    if messages.is_empty() {
        return Err(chat.wrong("messages: found none, expected at least 1"));
    }
    if let Some(effort) = chat.get("reasoning_effort") {
        let name = effort.text()?;
        let found = Effort::ALL.into_iter().find(|effort| effort.name() == name);
        system.reasoning_effort =
            Some(found.ok_or_else(|| effort.wrong(format!("expected low, medium or high, not {name:?}")))?);
    }
    let builtin: Vec<String> = system.tools.iter().flat_map(BTreeMap::keys).cloned().collect();
    let mut functions = functions(&chat, &builtin)?;
    let mut converted = Chat { builtin, calls: Vec::new(), open: 0, all: Vec::new() };
    converted.add(Message::new(MessageRole::System, system), false);
    for (i, message) in messages.iter().enumerate() {
        let (role, has) = (message.require("role")?, |name: &str| message.get(name));
        let role = MessageRole::from_name(role.text()?)
            .ok_or_else(|| role.wrong("expected system, developer, user, assistant or tool"))?;
        let instructs = matches!(role, MessageRole::System | MessageRole::Developer);
        if i == 0 && !instructs && functions.is_some() {
            let content = DeveloperContent { instructions: None, tools: functions.take() };
            converted.add(Message::new(MessageRole::Developer, content), false);
        }
        if let Some(name) = has("name").filter(|_| instructs || role == MessageRole::Assistant) {
            return Err(name.wrong("only messages of users and tools have names"));
        }
        if let Some(calls) = has("tool_calls").filter(|_| role != MessageRole::Assistant) {
            return Err(calls.wrong("only messages of the assistant have tool_calls"));
        }
        match role {
            MessageRole::System | MessageRole::Developer => {
                let content = DeveloperContent {
                    instructions: Some(message.require("content")?.content()?),
                    tools: functions.take(),
                };
                converted.add(Message::new(MessageRole::Developer, content), false);
            }
            MessageRole::User => {
                let name = has("name").map(|name| name.name(false).map(String::from)).transpose()?;
                let content = message.require("content")?.content()?;
                converted.add(Message { name, ..Message::new(role, content) }, false);
            }
            MessageRole::Assistant => converted.assistant(message)?,
            MessageRole::Tool => {
                let call = converted.answered(message)?;
                converted.add(Message::answering(call, message.require("content")?.content()?), false);
            }
        }
    }
    Ok(converted.all)
}

/// A chat as far as it is converted.
struct Chat<'v> {
    builtin: Vec<String>,
    calls: Vec<Call<'v>>,
    /// The number of calls in the last message of the assistant.
    open: usize,
    all: Vec<ChatMessage>,
}

/// A call of a tool.
struct Call<'v> {
    id: Option<&'v Value>,
    name: &'v str,
    message: Message,
}

impl<'v> Chat<'v> {
    fn add(&mut self, message: Message, learned: bool) {
        self.all.push(ChatMessage { message, learned });
    }

    /// Adds the messages of an assistant: reasoning, then an answer, or a preamble and calls.
    fn assistant(&mut self, message: &Field<'v>) -> Result<()> {
        let learned = match message.get("weight") {
            None => true,
            Some(weight) => match weight.value.as_f64() {
                Some(0.0) => false,
                Some(1.0) => true,
                _ => return Err(weight.wrong("expected 0 or 1")),
            },
        };
        let say = |text: &str, channel: &str| Message::new(MessageRole::Assistant, text).on(channel);
        let reasoning = match (message.get("reasoning_content"), message.get("thinking")) {
            (Some(a), Some(b)) if a.value != b.value => return Err(b.wrong("differs from reasoning_content")),
            (a, b) => a.or(b),
        };
        let content = message.get("content").map(|content| content.content()).transpose()?;
        let calls = message.get("tool_calls").map(|calls| calls.items()).transpose()?.unwrap_or_default();
        if reasoning.is_none() && content.is_none() && calls.is_empty() {
            return Err(message.wrong("the assistant has neither content nor reasoning_content nor tool_calls"));
        }
        self.open = calls.len();
        if let Some(text) = reasoning {
            self.add(say(text.text()?, "analysis"), learned);
        }
        if let Some(text) = content {
            self.add(say(&text, if calls.is_empty() { "final" } else { "commentary" }), learned);
        }
        for call in calls {
            let function = call.require("function")?;
            let (name, arguments) = (function.require("name")?.name(true)?, function.require("arguments")?);
            let arguments = match arguments.value {
                Value::String(text) => text.clone(),
                object @ Value::Object(_) => spaced_json(object),
                _ => return Err(arguments.expected("a string or an object")),
            };
            let made = match self.builtin.iter().any(|tool| name.split('.').next() == Some(tool)) {
                true => say(&arguments, "analysis").to(name).of_type("code"),
                false => {
                    say(&arguments, "commentary").to(format!("functions.{name}")).of_type(format!("{CONSTRAIN}json"))
                }
            };
            self.calls.push(Call { id: call.get("id").map(|id| id.value), name, message: made.clone() });
            self.add(made, learned);
        }
        Ok(())
    }

    /// Returns the call that a tool's message answers, as the chat template finds it: the last one with its id; or else with its
    /// name; or, if it has neither, the only call of the last message of the assistant.
    fn answered(&self, message: &Field) -> Result<&Message> {
        let (id, name) = (message.get("tool_call_id"), message.get("name"));
        let with_id = |id: &Field| self.calls.iter().rfind(|call| call.id == Some(id.value));
        let named = |name: &Field, call: &Call| {
            name.value == call.name || Some(name.value.as_str()) == Some(call.message.recipient.as_deref())
        };
        let with_name = |name: &Field| self.calls.iter().rfind(|call| named(name, call));
        let only = || match &self.calls[self.calls.len() - self.open..] {
            [call] if id.is_none() && name.is_none() => Some(call),
            _ => None,
        };
        let found = id.as_ref().and_then(with_id).or_else(|| name.as_ref().and_then(with_name)).or_else(only);
        let found = found.map(|call| &call.message);
        found.ok_or_else(|| message.wrong("answers no call: give it the tool_call_id or the name of a call"))
    }
}

/// Returns the functions of a chat.
fn functions(chat: &Field, builtin: &[String]) -> Result<Option<BTreeMap<String, ToolNamespace>>> {
    let items = chat.get("tools").map(|tools| tools.items()).transpose()?.unwrap_or_default();
    let mut tools = Vec::new();
    for item in items {
        let function = item.get("function").unwrap_or_else(|| item.clone());
        let name = function.require("name")?;
        if builtin.iter().any(|tool| tool == name.name(false).unwrap_or("")) {
            return Err(name.wrong("a function has the name of a built-in tool"));
        }
        name.name(false)?;
        tools.push(serde_json::from_value::<Tool>(function.value.clone()).map_err(|e| function.wrong(e))?);
    }
    let namespace = ToolNamespace { name: "functions".into(), description: None, tools };
    Ok((!namespace.tools.is_empty()).then(|| BTreeMap::from([("functions".into(), namespace)])))
}

/// Returns a value as JSON with a space behind each comma and each colon, as Python and the chat template write it.
fn spaced_json(value: &Value) -> String {
    struct Spaced;
    impl Formatter for Spaced {
        fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }
        fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }
        fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b": ")
        }
    }
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, Spaced)).expect("a JSON value is written to memory");
    String::from_utf8(text).expect("JSON is UTF-8")
}
