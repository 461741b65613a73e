//! Budgets: limits of what a model may write.

use crate::harmony::Effort;

/// The limits of a reply, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most tokens on the channel `analysis`, in all messages together. After these, the answer begins.
    pub analysis: usize,
    /// The most tokens in all. After these, the reply ends.
    pub reply: usize,
}

// ANCHOR: budget
impl Budget {
    /// Returns the budget of an effort. OpenAI publishes no numbers; these leave every level room for what gpt-oss
    /// usually writes, and end thoughts that go in circles.
    pub fn of(effort: Effort) -> Self {
        let analysis = match effort {
            Effort::Low => 1_024,
            Effort::Medium => 8_192,
            Effort::High => 65_536,
        };
        Self { analysis, reply: usize::MAX }
    }

    /// Returns the budget if only `room` tokens are left: a quarter of them is kept for the answer.
    pub(super) fn within(self, room: usize) -> Self {
        Self { analysis: self.analysis.min(room - room / 4), ..self }
    }
}
// ANCHOR_END: budget
