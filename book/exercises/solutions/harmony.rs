use crate::harmony::{Message, Purpose};
use ossia::harmony::Marks;
use ossia::tokenizer::Tokenizer;

pub fn render_message(message: &Message, tokenizer: &Tokenizer, marks: Marks) -> Vec<u32> {
    let mut ids = vec![marks.start];
    ids.extend(tokenizer.encode(&message.role));
    if let Some(recipient) = &message.recipient {
        ids.extend(tokenizer.encode(&format!(" to={recipient}")));
    }
    if let Some(channel) = &message.channel {
        ids.push(marks.channel);
        ids.extend(tokenizer.encode(channel));
    }
    ids.push(marks.message);
    ids.extend(tokenizer.encode(&message.content));
    let calls = message.role == "assistant" && message.recipient.is_some();
    ids.push(if calls { marks.call } else { marks.end });
    ids
}

pub fn in_prompt(messages: &[Message]) -> Vec<Message> {
    let is_on = |message: &Message, channel| message.channel.as_deref() == Some(channel);
    let answered =
        messages.iter().rfind(|message| message.role == "assistant").is_some_and(|last| is_on(last, "final"));
    let first_answer = messages.iter().position(|message| is_on(message, "final")).unwrap_or(0);
    let keep_from = if answered { first_answer } else { 0 };
    let kept = messages.iter().enumerate().filter(|(i, message)| *i >= keep_from || !is_on(message, "analysis"));
    kept.map(|(_, message)| message.clone()).collect()
}

pub fn render(messages: &[Message], purpose: Purpose, tokenizer: &Tokenizer, marks: Marks) -> Vec<u32> {
    let tokens = |messages: &[Message]| -> Vec<u32> {
        messages.iter().flat_map(|message| render_message(message, tokenizer, marks)).collect()
    };
    match purpose {
        Purpose::Completion => {
            [tokens(&in_prompt(messages)), vec![marks.start], tokenizer.encode("assistant")].concat()
        }
        Purpose::Training => {
            let mut ids = tokens(messages);
            ids.pop();
            ids.push(marks.done);
            ids
        }
    }
}

pub fn parse(ids: &[u32], tokenizer: &Tokenizer, marks: Marks) -> Result<Vec<Message>, String> {
    let text = |ids: &[u32]| tokenizer.decode(ids).map_err(|error| error.to_string());
    let mut messages = Vec::new();
    for tokens in ids.split_inclusive(|&id| marks.ends_message(id)) {
        let [first, inner @ .., last] = tokens else { return Err("a message has at least two tokens".into()) };
        if *first != marks.start || !marks.ends_message(*last) {
            return Err("a message begins with <|start|> and ends with <|end|>, <|call|> or <|return|>".into());
        }
        let content = inner.iter().position(|&id| id == marks.message).ok_or("<|message|> is missing")?;
        let header = &inner[..content];
        let channel = header.iter().position(|&id| id == marks.channel).unwrap_or(content);
        let (before, after) = (text(&header[..channel])?, text(header.get(channel + 1..).unwrap_or_default())?);
        let recipient = before.split(' ').chain(after.split(' ')).find_map(|word| word.strip_prefix("to="));
        let first_word = |text: &str| text.split(' ').next().filter(|word| !word.is_empty()).map(String::from);
        messages.push(Message {
            role: first_word(&before).ok_or("a message has no role")?,
            recipient: recipient.map(String::from),
            channel: first_word(&after),
            content: text(&inner[content + 1..])?,
        });
    }
    Ok(messages)
}
