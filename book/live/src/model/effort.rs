//! Effort: the same question at low, medium and high reasoning effort.

use super::check;
use crate::Live;
use crate::marks::{Marked, marked};
use ossia::chat::Chat;
use ossia::error::Result;
use ossia::generate::Sampling;
use ossia::harmony::{Effort, Harmony, Message, Purpose};
use ossia::tasks::arithmetic::conversation;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct Question {
    model: String,
    text: String,
    temperature: f32,
    seed: u64,
}

#[derive(Serialize)]
pub struct Answer {
    /// A reply at each effort, low first.
    replies: Vec<Reply>,
}

#[derive(Serialize)]
struct Reply {
    effort: &'static str,
    messages: Vec<Message>,
    /// The number of tokens of all messages, and of those on the channel `analysis`.
    tokens: usize,
    analysis: usize,
    /// The tokens of the conversation.
    marked: Vec<Marked>,
}

pub fn answer(live: &mut Live, Question { model, text, temperature, seed }: Question) -> Result<Answer> {
    check("temperature", temperature, 0.0..=100.0)?;
    let model = live.models.get(&model)?;
    let harmony = Harmony::new(&model.tokenizer)?;
    let reply = |effort: Effort| {
        let messages = conversation(text.clone(), effort, false);
        let asked = messages.len();
        let sampling = Sampling { temperature, seed, ..Sampling::default() };
        let mut chat = Chat::new(&model.transformer, harmony, sampling, messages)?;
        let reply = chat.reply(&mut |_| true)?;
        let marked = marked(harmony, &harmony.render(&chat.messages, Purpose::Training, false)?);
        let messages = chat.messages.split_off(asked);
        Ok(Reply { effort: effort.name(), messages, tokens: reply.tokens, analysis: reply.analysis, marked })
    };
    let replies = [Effort::Low, Effort::Medium, Effort::High].into_iter().map(reply).collect::<Result<_>>()?;
    Ok(Answer { replies })
}
