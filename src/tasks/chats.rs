//! Conversations of an assistant, from files: what a model should learn from them.
//!
//! A file has one conversation per line, in OpenAI's chat format. What the assistant wrote is learned, and nothing else: not the
//! questions, not the results of tools, and not the `<|start|>assistant` with which a prompt ends.
//!
//! A prompt leaves out the reasoning before the first answer. So the second reply follows an answer without its reasoning, but this
//! reasoning should be learned as well. Each reply is therefore learned as it is written: behind the messages that the prompt has at
//! that time. If the prompt of a later reply begins with all of this, both share one example.
//!
//! Book: [fine_tuning](../../../../book/fine_tuning.html)

use super::lines::read_lines;
use super::questions;
use crate::chat::{Budget, Chat};
use crate::data::read::{Part, read};
use crate::data::{Example, IGNORE};
use crate::error::{Error, Result};
use crate::generate::Sampling;
use crate::harmony::{
    ChatMessage, Harmony, Marks, Message, MessageRole, Purpose, SystemContent, messages_of_chat, messages_of_prompt,
};
use crate::model::Transformer;
use crate::tokenizer::{self, END_OF_TEXT, Tokenizer};
use serde_json::Value;
use std::path::Path;

/// Returns whether the files have conversations: whether the first part of the first file is a JSON object with `messages`, or
/// with a `question`.
///
/// # Errors
/// If the file cannot be read.
pub fn are_chats<P: AsRef<Path>>(paths: &[P]) -> Result<bool> {
    Ok(begin_with(paths, "messages")? || are_questions(paths)?)
}

/// Returns whether the files have questions with answers.
///
/// # Errors
/// If the file cannot be read.
pub fn are_questions<P: AsRef<Path>>(paths: &[P]) -> Result<bool> {
    begin_with(paths, "question")
}

/// Returns whether the first part of the first file is a JSON object with this key.
fn begin_with<P: AsRef<Path>>(paths: &[P], key: &str) -> Result<bool> {
    let mut found = false;
    read(paths, &mut |_, _, part| {
        let value = match part {
            Part::Json(Ok(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        found = value.get(key).is_some();
        Ok(false)
    })?;
    Ok(found)
}

/// Reads conversations, or questions with their answers. `system` is the system message of the model.
///
/// # Errors
/// The file, the line and the field of the first thing that is wrong.
pub fn read_chats<P: AsRef<Path>>(paths: &[P], system: &SystemContent) -> Result<Vec<Vec<ChatMessage>>> {
    let mut chats = Vec::new();
    if are_questions(paths)? {
        for path in paths {
            let questions = questions::read(path.as_ref(), system.clone())?;
            chats.extend([questions.conversations(false)?, questions.conversations(true)?].concat());
        }
        return Ok(chats);
    }
    read_lines(paths, "a conversation", &mut |chat, _| {
        let messages = messages_of_chat(chat, system.clone()).map_err(|error| error.to_string())?;
        if !messages.iter().any(|message| message.learned) {
            return Err("messages: found nothing that the assistant should learn to write".into());
        }
        chats.push(messages);
        Ok(())
    })?;
    match chats.is_empty() {
        false => Ok(chats),
        true => Err(Error::argument("found no conversation in the data")),
    }
}

// ANCHOR: examples
/// Returns what a model should learn from a conversation.
///
/// # Errors
/// If a message cannot be rendered.
pub fn examples(harmony: Harmony, chat: &[ChatMessage]) -> Result<Vec<Example>> {
    let messages: Vec<&Message> = chat.iter().map(|message| &message.message).collect();
    let mut found: Vec<Lesson> = Vec::new();
    let is_own = |i: usize| messages[i].role == MessageRole::Assistant;
    for start in (0..messages.len()).filter(|&i| is_own(i) && (i == 0 || !is_own(i - 1))) {
        let reply = (start..messages.len()).take_while(|&i| is_own(i));
        let mut learned: Vec<usize> = reply.clone().filter(|&i| chat[i].learned).collect();
        let context: Vec<usize> = messages_of_prompt(&messages[..start]).into_iter().chain(reply).collect();
        if learned.is_empty() {
            continue;
        }
        if let Some(before) = found.pop_if(|before| context.starts_with(&before.context)) {
            learned.splice(..0, before.learned);
        }
        found.push(Lesson { context, learned });
    }
    found.iter().map(|lesson| lesson.example(harmony, &messages)).collect()
}

/// What is learned of a conversation at one time.
struct Lesson {
    /// The messages that the model sees or writes.
    context: Vec<usize>,
    /// Those that it should learn to write.
    learned: Vec<usize>,
}

impl Lesson {
    fn example(&self, harmony: Harmony, messages: &[&Message]) -> Result<Example> {
        let (mut read, mut written) = (Vec::new(), Vec::new()); // `written`: what the model wrote itself, otherwise IGNORE
        let function_tools = self.context.iter().any(|&i| messages[i].defines_functions());
        let prompt_end = 1 + harmony.tokenizer().encode(MessageRole::Assistant.name()).len(); // <|start|>assistant
        for (place, &i) in self.context.iter().enumerate() {
            let (message, before) = (messages[i], read.len());
            harmony.render_message(message, function_tools, &mut read)?;
            if !self.learned.contains(&i) {
                written.resize(read.len(), IGNORE);
                continue;
            }
            let follows_own = place > 0 && messages[self.context[place - 1]].role == MessageRole::Assistant;
            let given = if follows_own { 0 } else { prompt_end };
            written.resize(before + given, IGNORE);
            written.extend(&read[before + given..]);
            let next = self.context.get(place + 1).map(|&i| messages[i].role);
            if message.is_on("final") && next.is_none_or(|role| role != MessageRole::Assistant) {
                // The model wrote <|return|>. The history of a conversation has <|end|> instead.
                *written.last_mut().expect("a message has tokens") = harmony.marks().done;
            }
        }
        read.pop(); // nothing follows the last token
        written.remove(0);
        Ok(Example { inputs: read, targets: written })
    }
}
// ANCHOR_END: examples

/// Trains a tokenizer for conversations, which has harmony's marks. It learns from everything that a model reads in them.
///
/// # Errors
/// If `vocab_size` has no room for the bytes and the marks.
pub fn tokenizer(chats: &[Vec<ChatMessage>], vocab_size: usize) -> Result<Tokenizer> {
    let specials: Vec<&str> = [END_OF_TEXT].into_iter().chain(Marks::NAMES).collect();
    let bytes = tokenizer::train(std::iter::empty::<&str>(), 256 + specials.len(), &specials)?;
    let harmony = Harmony::new(&bytes)?;
    let mut texts = Vec::new();
    for chat in chats {
        let messages: Vec<Message> = chat.iter().map(|message| message.message.clone()).collect();
        let ids = harmony.render(&messages, Purpose::Raw, false)?;
        for part in ids.split(|&id| bytes.specials().iter().any(|(_, special)| *special == id)) {
            texts.push(bytes.decode(part)?);
        }
    }
    let tokenizer = tokenizer::train(texts.iter().map(String::as_str), vocab_size, &specials)?;
    Ok(tokenizer.with_start(None)) // conversations begin with a mark of their own
}

/// Lets a model reply to a conversation, in at most 120 tokens. `show` gets the last question, and then the reply.
///
/// # Errors
/// If the conversation does not fit in the model's context.
pub fn sample(
    model: &Transformer,
    tokenizer: &Tokenizer,
    messages: Vec<Message>,
    show: &mut dyn FnMut(&str),
) -> Result<String> {
    let mut text = messages.last().map(Message::text).unwrap_or_default() + "\n";
    show(&text);
    let asked = messages.len();
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut chat = Chat::new(model, Harmony::new(tokenizer)?, greedy, messages)?;
    chat.budget = Budget { analysis: 60, reply: 120 };
    chat.reply(&mut |_| true)?;
    for message in &chat.messages[asked..] {
        let to = message.recipient.as_ref().map_or(String::new(), |to| format!(" to {to}"));
        let line = format!("{}{to}: {}\n", message.channel.as_deref().unwrap_or("assistant"), message.text());
        show(&line);
        text += &line;
    }
    Ok(text)
}
