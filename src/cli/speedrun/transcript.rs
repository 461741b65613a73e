//! Conversations for the report: what a model answers to the same questions at each effort.

use crate::checkpoint;
use crate::cli::sandboxes::Sandboxes;
use crate::error::Result;
use crate::harmony::{Effort, Harmony, Message, MessageRole};
use crate::tasks::arithmetic::{Question, Wording, conversation};
use crate::tasks::{Answer, Problem, Rollout, Rollouts};
use crate::tokenizer::Tokenizer;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use std::path::Path;

/// The most tokens of an answer.
const LONGEST: usize = 200;
/// The most characters that are shown of an answer that is not well-formed.
const MOST_CHARACTERS: usize = 120;

/// A question and the answers of a model, in Markdown.
pub struct Transcript {
    /// The sum, at low, medium and high effort.
    pub sums: [String; 3],
    /// The product, at medium effort.
    pub product: String,
}

/// The questions of the transcripts, which are held out from training.
pub struct Questions {
    /// A sum of three terms with three digits each.
    pub sum: Question,
    /// A product.
    pub product: Question,
}

impl Questions {
    /// Returns the questions of a speedrun.
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let is_long = |question: &Question| match question {
            Question::Sum(terms) => terms.iter().all(|term| term.abs() >= 100),
            Question::Product(a, b) => a.min(b) >= &100,
        };
        let mut draw = |draw: &dyn Fn(&mut ChaCha8Rng) -> Question| {
            loop {
                let question = Question::draw(true, &mut rng, draw);
                if is_long(&question) {
                    return question;
                }
            }
        };
        Self { sum: draw(&|rng| Question::sum(3, rng)), product: draw(&Question::product) }
    }
}

/// Returns the text of a question.
pub fn text(question: &Question) -> String {
    question.text(Wording::Plain)
}

/// Asks a model the questions. It always chooses the most probable token, and programs run in a sandbox.
///
/// # Errors
/// If the model cannot be opened, or a question does not fit in its context.
pub fn ask(model: &Path, questions: &Questions) -> Result<Transcript> {
    let (model, tokenizer) = checkpoint::open(model)?;
    let problem = |question: &Question, effort, python| Problem {
        messages: conversation(text(question), effort, python),
        effort,
        answer: Answer::Number(question.answer().into()),
    };
    let sums = Effort::ALL.map(|effort| problem(&questions.sum, effort, false));
    let problems = [&sums[..], &[problem(&questions.product, Effort::Medium, true)]].concat();
    let sandboxes = Sandboxes::new();
    let rollouts = Rollouts {
        harmony: Harmony::new(&tokenizer)?,
        longest: LONGEST,
        temperature: 0.0,
        tools: &|| sandboxes.tools(),
        record_routing: false,
    };
    let drawn = rollouts.draw(&model, &problems, 1, 0);
    sandboxes.end();
    let drawn = drawn?.concat();
    let shown: Result<Vec<String>> =
        problems.iter().zip(&drawn).map(|(problem, rollout)| shown(&tokenizer, problem, rollout)).collect();
    let shown = shown?;
    Ok(Transcript { sums: [0, 1, 2].map(|i| shown[i].clone()), product: shown[3].clone() })
}

/// Returns an answer in Markdown: its messages, and whether it is right.
fn shown(tokenizer: &Tokenizer, problem: &Problem, rollout: &Rollout) -> Result<String> {
    let mut lines = String::new();
    for message in &rollout.messages {
        let name = name_of(message);
        for (number, line) in message.text().trim_end().lines().enumerate() {
            let name = if number == 0 { &name } else { "" };
            lines += &format!("{name:16}{line}\n");
        }
    }
    if !rollout.well_formed {
        // A model that is hardly trained may write anything.
        let written: String =
            tokenizer.decode(&rollout.tokens[rollout.prompt..])?.chars().take(MOST_CHARACTERS).collect();
        lines = written.replace('\n', " ").replace(char::is_control, "\u{fffd}") + "\n";
    }
    let verdict = match (problem.answer.accepts(&rollout.answer()), rollout.well_formed) {
        (true, _) => "right",
        (false, true) => "wrong",
        (false, false) => "no answer",
    };
    Ok(format!("{verdict}, {} tokens:\n\n```text\n{}```\n", rollout.length(), lines.replace("```", "'''")))
}

/// Returns how a message is named: by its channel, or by the tool that it calls or that wrote it.
fn name_of(message: &Message) -> String {
    match (&message.recipient, message.role) {
        (Some(tool), MessageRole::Assistant) => format!("call of {tool}"),
        (_, MessageRole::Tool) => "output".into(),
        _ => message.channel.clone().unwrap_or_else(|| "no channel".into()),
    }
}
