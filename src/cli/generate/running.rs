//! Texts that are being generated: several at once, or one with drafts.

use crate::error::Result;
use crate::generate::generation::Course;
use crate::generate::{Batch, Control, Speculative, Statistics, StopReason};

/// Texts that are being generated.
pub trait Running {
    /// Appends one token to each text that has not ended. Returns the tokens with the numbers of their texts; none if all have ended.
    ///
    /// # Errors
    /// Those of the model and of what controls the texts.
    fn step(&mut self) -> Result<Vec<(usize, u32)>>;

    /// Ends a text before its control does.
    fn interrupt(&mut self, text: usize);

    /// Returns why a text ended, or `None` if it goes on.
    fn end(&self, text: usize) -> Option<&StopReason>;

    /// Returns how well drafts have done, if there are any.
    fn statistics(&self) -> Option<Statistics> {
        None
    }
}

impl<C: Control> Running for Batch<C> {
    fn step(&mut self) -> Result<Vec<(usize, u32)>> {
        Batch::step(self)
    }

    fn interrupt(&mut self, text: usize) {
        Batch::interrupt(self, text);
    }

    fn end(&self, text: usize) -> Option<&StopReason> {
        Batch::end(self, text)
    }
}

/// A text with drafts.
pub struct Drafted<'d, C> {
    writer: Speculative<'d>,
    course: Course<C>,
    interrupted: bool,
}

impl<'d, C: Control> Drafted<'d, C> {
    /// Creates a text that has not started.
    pub fn new(writer: Speculative<'d>, control: C) -> Self {
        Self { writer, course: Course::new(control), interrupted: false }
    }
}

impl<C: Control> Running for Drafted<'_, C> {
    fn step(&mut self) -> Result<Vec<(usize, u32)>> {
        match self.interrupted {
            true => Ok(Vec::new()),
            false => Ok(self.course.step(&mut self.writer)?.map(|token| (0, token)).into_iter().collect()),
        }
    }

    fn interrupt(&mut self, _: usize) {
        self.interrupted = true;
    }

    fn end(&self, _: usize) -> Option<&StopReason> {
        self.course.end().or(self.interrupted.then_some(&StopReason::Interrupted))
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.writer.statistics())
    }
}
