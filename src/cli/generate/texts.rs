//! The texts of `ossia generate`, in the order of their numbers.

use super::running::Running;
use crate::cli::print;
use crate::cli::terminal::{eprint_dim, printable, shown_on};
use crate::error::Result;
use crate::generate::{StopReason, TextStream};
use crate::tokenizer::Tokenizer;
use serde_json::json;
use std::io::stdout;

/// Prints texts that are generated at once. The first one that has not ended is printed as it is generated, and those after it
/// wait.
pub struct Texts<'t> {
    texts: Vec<Text<'t>>,
    printed: usize,         // texts
    prompt: Option<String>, // shown before each text
    json: bool,
}

/// A text, of which `waiting` has not been printed.
struct Text<'t> {
    stream: Option<TextStream<'t>>, // until the end
    waiting: String,
    begun: bool,
    tokens: usize,
    end: Option<&'static str>,
}

impl<'t> Texts<'t> {
    /// Creates empty texts that end before the first of the `stop` strings. The prompt is shown on standard error before each
    /// text.
    pub fn new(tokenizer: &'t Tokenizer, stop: &[String], count: usize, prompt: Option<String>, json: bool) -> Self {
        let text = || Text {
            stream: Some(TextStream::new(tokenizer, stop)),
            waiting: String::new(),
            begun: false,
            tokens: 0,
            end: None,
        };
        Self { texts: std::iter::repeat_with(text).take(count).collect(), printed: 0, prompt, json }
    }

    /// Takes the tokens of a step, and prints what can be printed.
    ///
    /// # Errors
    /// If a token is not in the tokenizer, or the text cannot be printed.
    pub fn add(&mut self, tokens: &[(usize, u32)], running: &mut dyn Running) -> Result<()> {
        for &(i, token) in tokens {
            let text = &mut self.texts[i];
            let Some(stream) = &mut text.stream else { continue };
            text.tokens += 1;
            text.waiting += &stream.push(token)?;
            if stream.is_stopped() {
                running.interrupt(i);
            }
        }
        for (i, text) in self.texts.iter_mut().enumerate() {
            let Some(end) = running.end(i) else { continue };
            let Some(stream) = text.stream.take() else { continue };
            text.waiting += &stream.finish();
            text.end = Some(words(end));
        }
        self.print()
    }

    fn print(&mut self) -> Result<()> {
        while let Some(text) = self.texts.get_mut(self.printed) {
            if self.json {
                let Some(end) = text.end else { break };
                print(&format!("{}\n", json!({ "text": text.waiting, "tokens": text.tokens, "end": end })))?;
            } else {
                if let Some(prompt) = &self.prompt
                    && !std::mem::replace(&mut text.begun, true)
                {
                    eprint_dim(&printable(prompt));
                }
                print(&shown_on(&stdout(), &std::mem::take(&mut text.waiting)))?;
                if text.end.is_none() {
                    break;
                }
                print(if self.printed + 1 < self.texts.len() { "\n\n" } else { "\n" })?;
            }
            self.printed += 1;
        }
        Ok(())
    }

    /// Returns how many tokens the texts have.
    pub fn tokens(&self) -> usize {
        self.texts.iter().map(|text| text.tokens).sum()
    }

    /// Says why the texts ended.
    pub fn ends(&self) -> String {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for end in self.texts.iter().filter_map(|text| text.end) {
            match counts.iter_mut().find(|(other, _)| *other == end) {
                Some((_, count)) => *count += 1,
                None => counts.push((end, 1)),
            }
        }
        let one = self.texts.len() == 1;
        let parts = counts.iter().map(|(end, n)| if one { end.to_string() } else { format!("{n} × {end}") });
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Says why a text ended.
fn words(reason: &StopReason) -> &'static str {
    match reason {
        StopReason::End | StopReason::ToolCall(_) => "the model ended the text",
        StopReason::Interrupted => "stop text reached",
        StopReason::MaxTokens => "--max-new-tokens reached",
        StopReason::ContextFull => "the context is full",
    }
}
