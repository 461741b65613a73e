//! How much a model may write.

use crate::harmony::Effort;

/// Tokens that a reply may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// On the channel `analysis`, in all its messages together. When it is spent, the answer begins.
    pub analysis: usize,
    /// In all. When it is spent, the reply ends where it is.
    pub reply: usize,
}

// ANCHOR: budget
impl Budget {
    /// What the effort allows. OpenAI names no numbers; these leave every level room for what gpt-oss usually writes at
    /// it, and end a thought that turns in circles.
    pub fn of(effort: Effort) -> Self {
        let analysis = match effort {
            Effort::Low => 1_024,
            Effort::Medium => 8_192,
            Effort::High => 65_536,
        };
        Self { analysis, reply: usize::MAX }
    }

    /// The same where only `room` tokens are left: a quarter of it stays for the answer.
    pub(super) fn within(self, room: usize) -> Self {
        Self { analysis: self.analysis.min(room - room / 4), ..self }
    }
}
// ANCHOR_END: budget
