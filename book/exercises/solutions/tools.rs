use crate::tools::Tool;
use ossia::harmony::Message;
use serde_json::{Map, Value};

pub fn answer(call: &Message, tools: &[Tool]) -> Message {
    let text = result(call, tools).unwrap_or_else(|error| format!("error: {error}"));
    Message::answering(call, text)
}

fn result(call: &Message, tools: &[Tool]) -> Result<String, String> {
    let name = call.recipient.as_deref().unwrap_or_default();
    let tool = tools.iter().find(|tool| tool.name == name).ok_or_else(|| format!("there is no tool {name}"))?;
    let arguments: Map<String, Value> =
        serde_json::from_str(&call.text()).map_err(|_| "the arguments are not a JSON object")?;
    (tool.run)(&arguments)
}

pub fn run(
    conversation: &mut Vec<Message>,
    model: &mut dyn FnMut(&[Message]) -> Message,
    tools: &[Tool],
    most_calls: usize,
) -> Option<String> {
    let mut calls = 0;
    loop {
        let message = model(conversation);
        conversation.push(message.clone());
        if message.recipient.is_some() {
            if calls == most_calls {
                return None;
            }
            calls += 1;
            conversation.push(answer(&message, tools));
        } else if message.is_on("final") {
            return Some(message.text());
        }
    }
}
