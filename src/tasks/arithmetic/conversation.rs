//! Questions and their solutions as conversations.

use super::{Question, Wording, working};
use crate::error::Result;
use crate::harmony::{ChatMessage, Effort, Marks, Message, MessageRole, SystemContent, ToolNamespace};
use crate::kernels::parallel;
use crate::tokenizer::{self, END_OF_TEXT, Tokenizer};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

/// The model's answer to a product if Python is not available.
const BEYOND: &str = "I need python for that.";

/// The relative frequencies of the efforts. Low effort is rare, because most sums at low effort are beyond a tiny
/// model, and a few examples are enough to show that.
const EFFORTS: [Effort; 6] = [Effort::Low, Effort::Medium, Effort::High, Effort::Medium, Effort::High, Effort::Medium];

/// Returns the system message, which states only the effort and the available tools. The full system message of gpt-oss
/// would be longer than the conversations.
pub fn system(effort: Effort, python: bool) -> SystemContent {
    SystemContent {
        model_identity: None,
        reasoning_effort: Some(effort),
        conversation_start_date: None,
        knowledge_cutoff: None,
        channel_config: None,
        tools: python.then(|| BTreeMap::from([("python".into(), self::python())])),
    }
}

/// Returns the description of Python for the model, which is shorter than that of gpt-oss.
pub fn python() -> ToolNamespace {
    ToolNamespace {
        name: "python".into(),
        description: Some("Runs a program and shows what it prints.".into()),
        tools: Vec::new(),
    }
}

/// Returns the messages with which the model should answer a question, including the output of Python.
fn solution(question: &Question, effort: Effort, python: bool) -> Vec<Message> {
    let assistant = |text: String| Message::new(MessageRole::Assistant, text);
    let answer = assistant(question.answer().to_string()).on("final");
    match question {
        Question::Sum(_) => {
            let working = working(question, effort).map(|text| assistant(text).on("analysis"));
            working.into_iter().chain([answer]).collect()
        }
        Question::Product(..) if !python => vec![assistant(BEYOND.into()).on("final")],
        Question::Product(a, b) => vec![
            assistant(format!("print({a}*{b})")).on("analysis").to("python").of_type("code"),
            Message::from_tool("python", format!("{}\n", a * b)).on("analysis"),
            answer,
        ],
    }
}

/// Returns a conversation with one question, up to the point where the model should answer.
pub fn conversation(text: String, effort: Effort, python: bool) -> Vec<Message> {
    vec![Message::new(MessageRole::System, system(effort, python)), Message::new(MessageRole::User, text)]
}

/// The words that begin a text without a space before them: in the headers of messages, and in programs.
const FIRST_WORDS: [&str; 11] = [
    "system",
    "user",
    "assistant",
    "python",
    "analysis",
    "commentary",
    "final",
    "code",
    "=python",
    "=assistant",
    "print",
];

/// Returns texts with the words of the conversations, for a tokenizer that also learns from other texts. They have no numbers,
/// so each digit remains a token, and the model sees the columns of a sum.
pub fn words() -> Vec<String> {
    // A pair of tokens is merged if it occurs at least twice.
    let first = FIRST_WORDS.iter().flat_map(|word| [word.to_string(), word.to_string()]);
    texts().into_iter().chain(first).collect()
}

/// Returns what is said in the conversations, without the numbers.
fn texts() -> Vec<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut texts = vec!["assistant user system analysis final commentary code".repeat(8), BEYOND.into()];
    for effort in Effort::ALL {
        let content = system(effort, true);
        texts.extend(content.tools.into_iter().flatten().filter_map(|(_, tool)| tool.description));
        texts.push(format!("Reasoning: {} # Tools\n\n## python\n\n print", effort.name()));
    }
    texts.extend((0..512).map(|_| Question::sum(3, &mut rng).text(Wording::random(&mut rng))));
    texts.iter().map(|text| text.replace(|c: char| c.is_ascii_digit(), " ")).collect()
}

/// Trains a tokenizer with harmony's marks. It learns words but no numbers: each digit remains a token, so that the
/// model sees the columns of a sum.
///
/// # Errors
/// If `vocab_size` has no room for the bytes and the marks.
pub fn tokenizer(vocab_size: usize) -> Result<Tokenizer> {
    let specials: Vec<&str> = [END_OF_TEXT].into_iter().chain(Marks::NAMES).collect();
    let tokenizer = tokenizer::train(texts(), vocab_size, &specials)?;
    Ok(tokenizer.with_start(None)) // conversations begin with a mark of their own
}

// ANCHOR: conversations
/// Returns conversations for training or, with `held_out`, for evaluation. In a share `mixed` of them, the questions are worked out as
/// at random efforts, whichever the system message asks for: a model then learns that there are several ways to work a question out, and
/// little about when to use which.
pub fn conversations(count: usize, seed: u64, held_out: bool, mixed: f64) -> Vec<Vec<ChatMessage>> {
    let one = |i: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(i as u64);
        let effort = EFFORTS[i % EFFORTS.len()];
        let python = rng.random_range(0..4) == 0;
        let turns = if rng.random_range(0..6) == 0 { 2 } else { 1 };
        let mut messages = vec![Message::new(MessageRole::System, system(effort, python))];
        for _ in 0..turns {
            let question = question(held_out, python, turns, &mut rng);
            messages.push(Message::new(MessageRole::User, question.text(Wording::random(&mut rng))));
            let worked = match mixed > 0.0 && rng.random_bool(mixed) {
                true => Effort::ALL[rng.random_range(0..Effort::ALL.len())],
                false => effort,
            };
            messages.extend(solution(&question, worked, python));
        }
        let learned = |message: &Message| message.role == MessageRole::Assistant;
        messages.into_iter().map(|message| ChatMessage { learned: learned(&message), message }).collect()
    };
    parallel::map(count, one)
}
// ANCHOR_END: conversations

/// Returns a random question: a sum of two to five terms, or a product. Products are half of the questions if the model
/// can call Python, and one in sixteen otherwise.
fn question(held_out: bool, python: bool, turns: usize, rng: &mut ChaCha8Rng) -> Question {
    if rng.random_range(0..if python { 2 } else { 16 }) == 0 {
        return Question::draw(held_out, rng, Question::product);
    }
    let terms = if turns == 1 { rng.random_range(2..=5) } else { rng.random_range(2..=3) };
    Question::draw(held_out, rng, |rng| Question::sum(terms, rng))
}
