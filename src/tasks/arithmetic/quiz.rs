//! Asks held-out questions in a chat and checks the answers exactly.

use super::{Question, Wording, conversation};
use crate::chat::Chat;
use crate::error::Result;
use crate::generate::{Sampling, StopReason};
use crate::harmony::{Effort, Harmony, Message};
use crate::kernels::parallel;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::iter::Sum;
use std::ops::AddAssign;

/// The answer of a model to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct QuizAnswer {
    /// All messages of the model and of tools, in order.
    pub messages: Vec<Message>,
    /// The number of tokens on the channel `analysis`.
    pub analysis: usize,
}

impl QuizAnswer {
    /// Returns the text on the channel `final`.
    pub fn text(&self) -> String {
        let last = self.messages.iter().rfind(|message| message.is_on("final"));
        last.map(Message::text).unwrap_or_default()
    }
}

/// Asks a model a question, with greedy decoding. If the model calls Python with the correct program for a product, the
/// product is computed here; any other program ends the answer.
///
/// # Errors
/// If the question does not fit in the model's context.
pub fn ask(
    model: &Transformer,
    tokenizer: &Tokenizer,
    question: &Question,
    wording: Wording,
    effort: Effort,
) -> Result<QuizAnswer> {
    let is_product = matches!(question, Question::Product(..));
    let messages = conversation(question.text(wording), effort, is_product);
    let (asked, greedy) = (messages.len(), Sampling { temperature: 0.0, ..Sampling::default() });
    let mut chat = Chat::new(model, Harmony::new(tokenizer)?, greedy, messages)?;
    let mut reply = chat.reply(&mut |_| true)?;
    let mut analysis = reply.analysis;
    if let (Question::Product(a, b), StopReason::ToolCall(_)) = (question, &reply.reason)
        && chat.messages.last().is_some_and(|call| call.text() == format!("print({a}*{b})"))
    {
        chat.messages.push(Message::from_tool("python", format!("{}\n", a * b)).on("analysis"));
        reply = chat.reply(&mut |_| true)?;
        analysis += reply.analysis;
    }
    Ok(QuizAnswer { messages: chat.messages.split_off(asked), analysis })
}

/// The result of a quiz.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Score {
    /// The number of questions.
    pub asked: usize,
    /// The number of final answers that are exactly correct.
    pub right: usize,
    /// The number of tokens on the channel `analysis`, over all answers.
    pub analysis: usize,
}

impl Score {
    /// Returns the fraction of correct answers.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.asked.max(1) as f64
    }

    /// Returns the mean number of tokens on the channel `analysis` per answer.
    pub fn mean_analysis(&self) -> f64 {
        self.analysis as f64 / self.asked.max(1) as f64
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.right += other.right;
        self.analysis += other.analysis;
    }
}

impl Sum for Score {
    fn sum<I: Iterator<Item = Self>>(scores: I) -> Self {
        scores.fold(Self::default(), |mut sum, score| {
            sum += score;
            sum
        })
    }
}

/// Asks `count` held-out questions, on all cores: sums of `terms` terms, or products if `terms` is `None`. The
/// questions depend only on `seed`, so they are the same for every effort.
///
/// # Errors
/// If a question does not fit in the model's context.
pub fn quiz(
    model: &Transformer,
    tokenizer: &Tokenizer,
    terms: Option<usize>,
    effort: Effort,
    count: usize,
    seed: u64,
) -> Result<Score> {
    let one = |i: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(i as u64);
        let question = Question::draw(true, &mut rng, |rng| match terms {
            Some(terms) => Question::sum(terms, rng),
            None => Question::product(rng),
        });
        let answer = ask(model, tokenizer, &question, Wording::random(&mut rng), effort)?;
        let right = answer.text() == question.answer().to_string();
        Ok(Score { asked: 1, right: usize::from(right), analysis: answer.analysis })
    };
    let scores: Result<Vec<Score>> = parallel::map(count, one).into_iter().collect();
    Ok(scores?.into_iter().sum())
}
