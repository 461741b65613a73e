//! The generation loop: one loop for plain text, for text that follows a schema, and for the replies of a chat.
//!
//! A [`Writer`] holds the text and chooses tokens: a model, or a recording in a test. A [`Control`] decides how the text
//! continues and when it ends. A [`Course`] runs the two against each other, and [`Generation`] is an iterator over the new
//! tokens.

use super::statistics::Statistics;
use crate::error::Result;
use crate::tokenizer::TokenSet;
use std::collections::VecDeque;

/// The reason why a text or a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// The model ended it: it chose a stop token, or the answer is complete.
    End,
    /// The model called the tool of this name and waits for its result.
    ToolCall(String),
    /// The limit of new tokens was reached.
    MaxTokens,
    /// The context of the model is full.
    ContextFull,
    /// The caller wanted no more.
    Interrupted,
}

/// Called while a prompt is read, with the number of tokens that are read and of those in the prompt.
pub type ReadProgress<'p> = &'p mut dyn FnMut(usize, usize);

/// Continues a text, token by token.
pub trait Writer {
    /// Returns how many tokens the text may have.
    fn context(&self) -> usize;

    /// Returns how many more tokens may be appended. The last one needs no place in the context, because nothing follows it.
    fn room(&self) -> usize;

    /// Chooses the next token, among the allowed ones if a set is given; `None` if the context is full. The token is not
    /// appended.
    ///
    /// # Errors
    /// If the weights of the model are damaged.
    fn choose(&mut self, allowed: Option<&TokenSet>) -> Result<Option<u32>>;

    /// Appends a token.
    ///
    /// # Errors
    /// If the token is not in the vocabulary, or the context is full.
    fn push(&mut self, token: u32) -> Result<()>;
}

/// A [`Writer`] whose text can be replaced.
pub trait Reader: Writer {
    /// Makes the text equal to `prompt`. Returns how many of its tokens did not have to be computed again. `progress` is
    /// called with the number of tokens that are read and of those in the prompt, several times if the prompt is long.
    ///
    /// # Errors
    /// If the prompt is empty, longer than the context, or has a token that is not in the vocabulary, or the weights of the
    /// model are damaged.
    fn go_to(&mut self, prompt: &[u32], progress: ReadProgress) -> Result<usize>;

    /// Returns how well drafts have done, if there are any.
    fn statistics(&self) -> Option<Statistics> {
        None
    }
}

/// The next step of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The text continues with the token that the model chose.
    Chosen(u32),
    /// The text continues with these tokens; the model was not asked.
    Given(Vec<u32>),
    /// The text ends here.
    Stop(StopReason),
}

/// Decides how a text continues and when it ends.
pub trait Control {
    /// Decides the next step; may ask the writer to choose a token.
    ///
    /// # Errors
    /// Those of the implementation.
    fn next(&mut self, writer: &mut dyn Writer) -> Result<Next>;

    /// Takes note of a token that was appended. Returns a reason if the text ends with it.
    ///
    /// # Errors
    /// Those of the implementation.
    fn accept(&mut self, token: u32) -> Result<Option<StopReason>>;
}

impl<C: Control + ?Sized> Control for &mut C {
    fn next(&mut self, writer: &mut dyn Writer) -> Result<Next> {
        (**self).next(writer)
    }
    fn accept(&mut self, token: u32) -> Result<Option<StopReason>> {
        (**self).accept(token)
    }
}

impl<C: Control + ?Sized> Control for Box<C> {
    fn next(&mut self, writer: &mut dyn Writer) -> Result<Next> {
        (**self).next(writer)
    }
    fn accept(&mut self, token: u32) -> Result<Option<StopReason>> {
        (**self).accept(token)
    }
}

/// The way of one text from its prompt to its end: what controls it, and why it ended.
pub struct Course<C> {
    control: C,
    given: VecDeque<u32>,
    reason: Option<StopReason>,
}

impl<C: Control> Course<C> {
    /// Creates a course that has not started.
    pub fn new(control: C) -> Self {
        Self { control, given: VecDeque::new(), reason: None }
    }

    /// Returns why the text ended, or `None` if it goes on.
    pub fn end(&self) -> Option<&StopReason> {
        self.reason.as_ref()
    }

    /// Returns what controls the text.
    pub fn control(&self) -> &C {
        &self.control
    }

    // ANCHOR: step
    /// Appends one token to the text of `writer` and returns it; `None` at the end of the text.
    ///
    /// # Errors
    /// Those of the control and of the writer.
    pub fn step(&mut self, writer: &mut dyn Writer) -> Result<Option<u32>> {
        while self.reason.is_none() {
            let token = match self.given.pop_front() {
                Some(token) => token,
                None => match self.control.next(writer)? {
                    Next::Chosen(token) => token,
                    Next::Given(tokens) => {
                        self.given.extend(tokens);
                        continue;
                    }
                    Next::Stop(reason) => {
                        self.reason = Some(reason);
                        continue;
                    }
                },
            };
            if writer.room() == 0 {
                self.reason = Some(StopReason::ContextFull);
                continue;
            }
            writer.push(token)?;
            self.reason = self.control.accept(token)?;
            return Ok(Some(token));
        }
        Ok(None)
    }
    // ANCHOR_END: step
}

/// A text being generated: an iterator over its new tokens.
pub struct Generation<'w, C> {
    writer: &'w mut dyn Writer,
    course: Course<C>,
    failed: bool,
}

impl<'w, C: Control> Generation<'w, C> {
    /// Creates a generation that has not started.
    pub fn new(writer: &'w mut dyn Writer, control: C) -> Self {
        Self { writer, course: Course::new(control), failed: false }
    }

    /// Returns why the text ended. A generation that was dropped before its end was interrupted.
    pub fn reason(self) -> StopReason {
        self.course.reason.unwrap_or(StopReason::Interrupted)
    }
}

impl<C: Control> Iterator for Generation<'_, C> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Result<u32>> {
        if self.failed {
            return None;
        }
        let step = self.course.step(self.writer);
        self.failed = step.is_err();
        step.transpose()
    }
}

/// Controls a plain text: it ends at a stop token, which is not appended, or after a number of tokens.
#[derive(Debug, Clone)]
pub struct Plain {
    left: usize,
    stop: Vec<u32>,
}

impl Plain {
    /// Creates a control that allows up to `max_new_tokens` tokens.
    pub fn new(max_new_tokens: usize, stop: &[u32]) -> Self {
        Self { left: max_new_tokens, stop: stop.to_vec() }
    }
}

impl Control for Plain {
    fn next(&mut self, writer: &mut dyn Writer) -> Result<Next> {
        if self.left == 0 {
            return Ok(Next::Stop(StopReason::MaxTokens));
        }
        Ok(match writer.choose(None)? {
            None => Next::Stop(StopReason::ContextFull),
            Some(token) if self.stop.contains(&token) => Next::Stop(StopReason::End),
            Some(token) => Next::Chosen(token),
        })
    }

    fn accept(&mut self, _: u32) -> Result<Option<StopReason>> {
        self.left = self.left.saturating_sub(1); // tokens that a caller gives may exceed the limit
        Ok((self.left == 0).then_some(StopReason::MaxTokens)) // so the last token does not run through the model
    }
}
