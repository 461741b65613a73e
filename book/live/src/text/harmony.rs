//! Harmony: conversations as tokens, and tokens as conversations.

use crate::Live;
use crate::marks::{Marked, marked};
use ossia::error::{Error, Result};
use ossia::harmony::{Harmony, Message, MessageRole, Mode, Parser, Purpose};
use ossia::tokenizer::Allowed;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Question {
    /// Renders a conversation, up to the point where the assistant answers.
    Render { vocabulary: String, messages: Vec<Message> },
    /// Parses a text with special tokens. The role is that of the first message, if a prompt has begun it.
    Parse { vocabulary: String, text: String, role: Option<String>, lenient: bool },
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    Rendered { tokens: Vec<Marked>, text: String },
    Parsed { tokens: Vec<Marked>, messages: Vec<Message>, flags: Vec<String> },
}

pub fn answer(live: &mut Live, question: Question) -> Result<Answer> {
    match question {
        Question::Render { vocabulary, messages } => {
            let tokenizer = live.vocabulary(&vocabulary)?;
            let harmony = Harmony::new(tokenizer)?;
            let ids = harmony.render(&messages, Purpose::Completion(MessageRole::Assistant), true)?;
            Ok(Answer::Rendered { tokens: marked(harmony, &ids), text: tokenizer.decode(&ids)? })
        }
        Question::Parse { vocabulary, text, role, lenient } => {
            let tokenizer = live.vocabulary(&vocabulary)?;
            let harmony = Harmony::new(tokenizer)?;
            let role = role.map(|name| {
                MessageRole::from_name(&name).ok_or_else(|| Error::argument(format!("there is no role {name:?}")))
            });
            let mode = if lenient { Mode::Lenient } else { Mode::Strict };
            let ids = tokenizer.encode_with_special(&text, Allowed::All);
            let mut parser = Parser::new(harmony, role.transpose()?, mode);
            ids.iter().try_for_each(|&id| parser.push(id).map(drop)).and_then(|()| parser.finish())?;
            let flags = parser.flags().iter().map(ToString::to_string).collect();
            Ok(Answer::Parsed { tokens: marked(harmony, &ids), messages: parser.into_messages(), flags })
        }
    }
}
