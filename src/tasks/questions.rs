//! Questions from a file: a task without a line of Rust.
//!
//! ```text
//! {"question": "What is 2 + 3?", "answer": 5}
//! {"question": "What is the capital of France?", "answer": "Paris"}
//! {"question": "Name a primary color.", "answer": {"pattern": "(?i)(red|yellow|blue)\\.?"}}
//! ```
//!
//! `reasoning` may be given beside them, for training: what the model should write on the channel `analysis` before its answer.

use super::lines::read_lines;
use super::{Answer, Problem};
use crate::error::{Error, Result};
use crate::harmony::{ChatMessage, Effort, Message, MessageRole, SystemContent};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// One in so many questions is held out.
const HELD_OUT: usize = 8;

/// A question of a file.
#[derive(Debug, Clone)]
struct Line {
    question: String,
    answer: Answer,
    reasoning: Option<String>,
    number: usize,
}

/// The questions of a file. Copies share them.
#[derive(Debug, Clone)]
pub struct Questions(Arc<Content>);

/// What the copies share.
#[derive(Debug)]
struct Content {
    lines: Vec<Line>,
    choices: [Vec<usize>; 2], // to train on, and held out
    system: SystemContent,
    name: String,
    fingerprint: u64,
}

/// Reads a file of questions, one in a line of JSON Lines.
///
/// # Errors
/// The line and the field of the first thing that is wrong, or if there are fewer than two questions.
pub fn read(path: &Path, system: SystemContent) -> Result<Questions> {
    let mut lines = Vec::new();
    let mut fingerprint = 0xcbf2_9ce4_8422_2325_u64;
    read_lines(&[path], "a question", &mut |value, number| {
        let text = |key: &str| match value.get(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
            Some(_) => Err(format!("{key}: expected a text")),
            None => Err(format!("{key} is missing")),
        };
        let question = text("question")?;
        let answer = Answer::from_json(value.get("answer").ok_or("answer is missing")?)?;
        let reasoning = value.get("reasoning").map(|_| text("reasoning")).transpose()?;
        for byte in value.to_string().bytes() {
            fingerprint = (fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        lines.push(Line { question, answer, reasoning, number });
        Ok(())
    })?;
    // Every eighth question is held out, in the order of the file; of fewer than eight, the last one.
    let is_held_out = |i: usize| (i + 1).is_multiple_of(HELD_OUT) || (lines.len() < HELD_OUT && i + 1 == lines.len());
    let choices = [false, true].map(|held_out| (0..lines.len()).filter(|&i| is_held_out(i) == held_out).collect());
    match lines.len() {
        0 | 1 => Err(Error::file(path, "expected at least two questions: one of them is held out")),
        _ => {
            let name = path.display().to_string();
            Ok(Questions(Arc::new(Content { lines, choices, system, name, fingerprint })))
        }
    }
}

impl Questions {
    /// Returns the number of questions, at least 2.
    pub fn count(&self) -> usize {
        self.0.lines.len()
    }

    /// Returns the numbers of the questions that are trained on, or of those that are held out.
    pub fn choices(&self, held_out: bool) -> &[usize] {
        &self.0.choices[usize::from(held_out)]
    }

    /// Returns a question at an effort.
    pub fn problem(&self, i: usize, effort: Effort) -> Problem {
        let line = &self.0.lines[i];
        let messages = conversation(&line.question, &self.0.system, effort);
        Problem { messages, effort, answer: line.answer.clone() }
    }

    /// Returns a hash of the questions (FNV-1a).
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }

    /// Returns the questions with their answers as conversations to learn from, those that are held out or the others.
    ///
    /// # Errors
    /// If an answer is a pattern, which can be checked but not learned.
    pub fn conversations(&self, held_out: bool) -> Result<Vec<Vec<ChatMessage>>> {
        let one = |(place, &i): (usize, &usize)| {
            let line = &self.0.lines[i];
            let answer = line.answer.text().ok_or_else(|| {
                let (name, number) = (&self.0.name, line.number);
                Error::argument(format!("{name}:{number}: answer: a pattern can be checked, but not learned"))
            })?;
            let effort = Effort::ALL[place % Effort::ALL.len()];
            let assistant = |text: &str, channel| Message::new(MessageRole::Assistant, text).on(channel);
            let mut messages = conversation(&line.question, &self.0.system, effort);
            messages.extend(line.reasoning.as_ref().map(|reasoning| assistant(reasoning, "analysis")));
            messages.push(assistant(&answer, "final"));
            let learned = |message: &Message| message.role == MessageRole::Assistant;
            Ok(messages.into_iter().map(|message| ChatMessage { learned: learned(&message), message }).collect())
        };
        self.choices(held_out).iter().enumerate().map(one).collect()
    }
}

/// Returns the conversation of a question, up to the point where the model should answer.
fn conversation(question: &str, system: &SystemContent, effort: Effort) -> Vec<Message> {
    let system = SystemContent { reasoning_effort: Some(effort), ..system.clone() };
    vec![Message::new(MessageRole::System, system), Message::new(MessageRole::User, question)]
}
