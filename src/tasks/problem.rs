//! A question with its answer.

use super::Answer;
use crate::harmony::{Effort, Message};

/// A question with its answer.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The conversation up to the point where the model should answer.
    pub messages: Vec<Message>,
    /// The reasoning effort for which the conversation asks.
    pub effort: Effort,
    /// The right answer.
    pub answer: Answer,
}
