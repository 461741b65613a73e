//! Harmony: conversations as tokens, and tokens as conversations.

use super::Live;
use super::tokens::spelled;
use ossia::error::{Error, Result};
use ossia::harmony::{Harmony, Message, MessageRole, Mode, Parser, Purpose};
use ossia::tokenizer::Allowed;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Question {
    /// Renders a conversation, up to the point where the assistant answers.
    Render { model: String, messages: Vec<Message> },
    /// Parses a text with special tokens. The role is that of the first message, if a prompt has begun it.
    Parse { model: String, text: String, role: Option<String>, lenient: bool },
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    Rendered { tokens: Vec<Marked>, text: String },
    Parsed { tokens: Vec<Marked>, messages: Vec<Message>, flags: Vec<String> },
}

/// A token of a conversation, and the part that it has in it.
#[derive(Serialize)]
pub struct Marked {
    id: u32,
    text: String,
    part: Part,
}

#[derive(Serialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// A special token.
    Special,
    /// The role, channel, recipient and format of a message.
    Header,
    /// The text of a message.
    Content,
}

pub fn answer(live: &mut Live, question: Question) -> Result<Answer> {
    match question {
        Question::Render { model, messages } => {
            let tokenizer = live.models.tokenizer(&model)?;
            let harmony = Harmony::new(tokenizer)?;
            let ids = harmony.render(&messages, Purpose::Completion(MessageRole::Assistant), true)?;
            Ok(Answer::Rendered { tokens: marked(harmony, &ids), text: tokenizer.decode(&ids)? })
        }
        Question::Parse { model, text, role, lenient } => {
            let tokenizer = live.models.tokenizer(&model)?;
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

/// Says for each token whether it is special, in a header, or in the text of a message.
pub fn marked(harmony: Harmony, ids: &[u32]) -> Vec<Marked> {
    let (marks, tokenizer) = (harmony.marks(), harmony.tokenizer());
    let specials = tokenizer.specials();
    let mut inside = Part::Header;
    let spelled = spelled(tokenizer, ids).into_iter();
    let mark = |token: super::tokens::Token| {
        let special = specials.iter().any(|&(_, id)| id == token.id);
        if token.id == marks.message {
            inside = Part::Content;
        } else if special && token.id != marks.constrain {
            inside = Part::Header;
        }
        Marked { id: token.id, text: token.text, part: if special { Part::Special } else { inside } }
    };
    spelled.map(mark).collect()
}
