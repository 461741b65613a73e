//! Tools: the loop in which a model calls tools and reads their answers. The chapter: tools.md.

use ossia::harmony::Message;
use serde_json::{Map, Value};

/// A tool that a model may call.
#[derive(Clone, Copy)]
pub struct Tool<'t> {
    /// The name, which is the recipient of a call.
    pub name: &'t str,
    /// Runs the tool with the arguments of a call, and returns its result or a description of an error.
    pub run: &'t dyn Fn(&Map<String, Value>) -> Result<String, String>,
}

/// Answers a call, which is a message with a recipient. The text of the call is the arguments, a JSON object. Returns a message
/// of the tool for the assistant, on the channel of the call, as `Message::answering` makes it. Its text is the result of the
/// tool, unchanged, or one of these:
///
/// - `error: there is no tool NAME` if no tool has the name of the recipient,
/// - `error: the arguments are not a JSON object` if they are not,
/// - `error: DESCRIPTION` if the tool returns an error.
pub fn answer(call: &Message, tools: &[Tool]) -> Message {
    todo!("the answer to {call:?} of one of {} tools", tools.len())
}

/// Lets a model write messages, and answers its calls, until it has answered the user. `model` returns the message with which
/// the model continues the conversation so far. Each message and each answer is appended to the conversation.
///
/// A message with a recipient is a call. After its answer, the model continues. A message without a recipient on the channel
/// `final` ends the loop; returns its text. After any other message, for example analysis, the model continues. If the model
/// makes a call after `most_calls` calls were answered, the call is appended but not answered; returns `None`.
pub fn run(
    conversation: &mut Vec<Message>,
    model: &mut dyn FnMut(&[Message]) -> Message,
    tools: &[Tool],
    most_calls: usize,
) -> Option<String> {
    _ = model;
    todo!("{} messages, {} tools, at most {most_calls} calls", conversation.len(), tools.len())
}
