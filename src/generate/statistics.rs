//! Statistics of drafts.
//!
//! Book: [drafts](../../../../book/drafts.html)

/// The success of drafts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Passes of the model, each of which checks drafts and adds one token more than it accepts.
    pub passes: usize,
    /// Tokens that were drafted.
    pub drafted: usize,
    /// Tokens that were drafted and are in the text.
    pub accepted: usize,
}

impl Statistics {
    /// Returns how many tokens a pass adds to the text, on average.
    pub fn tokens_per_pass(&self) -> f64 {
        1.0 + self.accepted as f64 / self.passes.max(1) as f64
    }
}
