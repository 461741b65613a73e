//! Tasks: questions whose answers can be checked.

use super::arithmetic::{self, Question, Wording};
use super::questions::Questions;
use super::{Answer, Problem, questions};
use crate::error::Result;
use crate::harmony::{Effort, SystemContent};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::path::Path;

/// A task: a source of problems.
#[derive(Debug, Clone)]
pub enum Task {
    /// Sums and products; see [`arithmetic`].
    Arithmetic,
    /// Questions of a file.
    Questions(Questions),
}

/// One in so many questions of arithmetic is a product, for which the model may call Python.
const PRODUCTS: usize = 16;

impl Task {
    /// The name of the built-in task.
    pub const ARITHMETIC: &str = "arithmetic";

    /// Returns the built-in task, or reads a file of questions; `system` is their system message.
    ///
    /// # Errors
    /// Those of [`questions::read`].
    pub fn open(name: &Path, system: SystemContent) -> Result<Self> {
        match name == Path::new(Self::ARITHMETIC) {
            true => Ok(Task::Arithmetic),
            false => Ok(Task::Questions(questions::read(name, system)?)),
        }
    }

    // ANCHOR: problem
    /// Returns problem `index` of a sequence that depends on `seed`: to train on, or held out to measure on. The efforts take turns.
    pub fn problem(&self, seed: u64, index: u64, held_out: bool) -> Problem {
        let effort = Effort::ALL[index as usize % Effort::ALL.len()];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index / Effort::ALL.len() as u64); // so that the same question is asked at each effort
        match self {
            Task::Arithmetic => {
                let is_product = rng.random_range(0..PRODUCTS) == 0;
                let question = Question::draw(held_out, &mut rng, |rng| match is_product {
                    true => Question::product(rng),
                    false => Question::sum(rng.random_range(2..=5), rng),
                });
                let text = question.text(Wording::random(&mut rng));
                let messages = arithmetic::conversation(text, effort, is_product);
                Problem { messages, effort, answer: Answer::Number(question.answer().into()) }
            }
            Task::Questions(questions) => {
                let choices = questions.choices(held_out);
                questions.problem(choices[rng.random_range(0..choices.len())], effort)
            }
        }
    }
    // ANCHOR_END: problem

    /// Returns a hash of the questions, to check that a run that resumes has the same ones.
    pub fn fingerprint(&self) -> u64 {
        match self {
            Task::Arithmetic => 0,
            Task::Questions(questions) => questions.fingerprint(),
        }
    }

    /// Returns how a report describes the task.
    pub fn describe(&self) -> String {
        match self {
            Task::Arithmetic => "sums and products".into(),
            Task::Questions(questions) => {
                let [training, held_out] = [false, true].map(|held_out| questions.choices(held_out).len());
                format!("{training} questions, and {held_out} that are held out")
            }
        }
    }
}
