//! Chat: what a model writes becomes messages, whatever it writes, and what it has read is not read again.
//!
//! Book: [effort](../../book/src/effort.md)

use ossia::chat::{Budget, Chat, Event, Reply};
use ossia::config::ModelConfig;
use ossia::error::Result;
use ossia::generate::{ReadProgress, Reader, Sampling, StopReason, Writer};
use ossia::harmony::{Effort, Harmony, Message, MessageRole, SystemContent};
use ossia::model::Transformer;
use ossia::schema::Guide;
use ossia::tasks::arithmetic;
use ossia::tokenizer::{Allowed, TokenSet, Tokenizer};
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

/// A recorded model: it writes the same whatever it reads, and can see what it was given.
pub struct Script {
    pub writes: Vec<u32>,
    pub at: usize,
    pub context: usize,
    pub text: Vec<u32>,
}

impl Script {
    pub fn new(tokenizer: &Tokenizer, text: &str) -> Self {
        let writes = tokenizer.encode_with_special(text, Allowed::All);
        Self { writes, at: 0, context: 1_000, text: Vec::new() }
    }
}

impl Writer for Script {
    fn context(&self) -> usize {
        self.context
    }

    fn room(&self) -> usize {
        (self.context + 1).saturating_sub(self.text.len())
    }

    fn push(&mut self, token: u32) -> Result<()> {
        self.text.push(token);
        Ok(())
    }

    fn choose(&mut self, _: Option<&TokenSet>) -> Result<Option<u32>> {
        let token = self.writes.get(self.at).filter(|_| self.text.len() <= self.context).copied();
        self.at += usize::from(token.is_some());
        Ok(token)
    }
}

impl Reader for Script {
    fn go_to(&mut self, prompt: &[u32], _: ReadProgress) -> Result<usize> {
        let kept = self.text.iter().zip(prompt).take_while(|(old, new)| old == new).count();
        self.text = prompt.to_vec();
        Ok(kept)
    }
}

fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| arithmetic::tokenizer(600).unwrap());
    &TOKENIZER
}

fn question() -> Vec<Message> {
    let system = SystemContent { reasoning_effort: Some(Effort::High), ..SystemContent::default() };
    vec![Message::new(MessageRole::System, system), Message::new(MessageRole::User, "1 + 2?")]
}

/// The reply to a recorded text, the messages that it became, and what was shown of it.
fn reply(text: &str, change: impl Fn(&mut Chat), go_on: impl Fn(&str) -> bool) -> (Reply, Vec<Message>, String) {
    let tokenizer = tokenizer();
    let harmony = Harmony::new(tokenizer).unwrap();
    let mut chat = Chat::with(Box::new(Script::new(tokenizer, text)), harmony, question());
    change(&mut chat);
    let mut shown = String::new();
    let reply = chat.reply(&mut |event| {
        shown += &match event {
            Event::Begin(header) => format!("[{} ", header.channel.as_deref().unwrap_or("-")),
            Event::Text(text) => text.to_string(),
            Event::End => "]".into(),
            Event::Spent => "(spent)".into(),
            Event::Reading { .. } => String::new(),
        };
        go_on(&shown)
    });
    (reply.unwrap(), chat.messages.split_off(2), shown)
}

const ANSWER: &str =
    "<|channel|>analysis<|message|>1+2=3<|end|><|start|>assistant<|channel|>final<|message|>3<|return|>";

#[test]
fn chat_thinks_and_answers() {
    let (reply, messages, shown) = reply(ANSWER, |_| {}, |_| true);
    assert_eq!(reply.reason, StopReason::End);
    assert_eq!(reply.flags, []);
    assert_eq!(reply.analysis, 6, "1 + 2 = 3 and the mark that ends it");
    let assistant = |text: &str| Message::new(MessageRole::Assistant, text);
    assert_eq!(messages, [assistant("1+2=3").on("analysis"), assistant("3").on("final")]);
    assert_eq!(shown, "[analysis 1+2=3][final 3]");
}

#[test]
fn chat_waits_for_a_tool() {
    let text = "<|channel|>analysis to=python code<|message|>print(6*7)<|call|>";
    let (reply, messages, _) = reply(text, |_| {}, |_| true);
    assert_eq!(reply.reason, StopReason::ToolCall("python".into()));
    assert_eq!(reply.analysis, 0, "a program is no thought");
    assert_eq!(messages[0].recipient.as_deref(), Some("python"));
    assert_eq!(messages[0].text(), "print(6*7)");
}

/// When the budget is spent, the thought ends with `<|end|>` and the answer begins: what the model writes next is on the
/// channel final.
#[test]
fn chat_closes_analysis_when_its_budget_is_spent() {
    let text = "<|channel|>analysis<|message|>123456<|return|>";
    let set = |chat: &mut Chat| chat.budget = Budget { analysis: 4, reply: 100 };
    let (reply, messages, shown) = reply(text, set, |_| true);
    assert_eq!(shown, "[analysis 1234(spent)][final 56]");
    assert_eq!((reply.reason, reply.analysis), (StopReason::End, 5), "four, and the mark");
    assert!(messages[0].is_on("analysis") && messages[0].text() == "1234");
    assert!(messages[1].is_on("final") && messages[1].text() == "56");
}

/// A quarter of what is left of the context is kept for the answer.
#[test]
fn chat_leaves_room_for_an_answer() {
    let tokenizer = tokenizer();
    let harmony = Harmony::new(tokenizer).unwrap();
    let thoughts = format!("<|channel|>analysis<|message|>{}", "7".repeat(300));
    let mut script = Script::new(tokenizer, &thoughts);
    let prompt = Chat::with(Box::new(Script::new(tokenizer, "")), harmony, question()).size().unwrap().0;
    script.context = prompt + 80;
    let mut chat = Chat::with(Box::new(script), harmony, question());
    let reply = chat.reply(&mut |_| true).unwrap();
    assert_eq!(reply.reason, StopReason::ContextFull);
    assert_eq!(reply.analysis, 62, "61 of 81, the last of which needs no place, and the mark");
    let said = chat.messages.last().unwrap();
    assert!(said.is_on("final") && said.text().len() >= 5, "{said:?}");
}

/// An answer that was begun is kept, and thoughts that led to no answer are not. The next prompt is well-formed.
#[test]
fn chat_keeps_of_a_stopped_reply_what_was_answered() {
    let (stopped, messages, _) = reply(ANSWER, |_| {}, |shown| !shown.ends_with("+2"));
    assert_eq!((stopped.reason, messages.len()), (StopReason::Interrupted, 0));
    let long = ANSWER.replace("<|message|>3<|", "<|message|>31415<|");
    let (stopped, messages, _) = reply(&long, |_| {}, |shown| !shown.ends_with("314"));
    assert_eq!((stopped.reason, messages.len()), (StopReason::Interrupted, 2));
    assert_eq!(messages[1].text(), "314");
    let (cut, messages, _) = reply(ANSWER, |chat| chat.budget.reply = 4, |_| true);
    assert_eq!((cut.reason, messages.len()), (StopReason::MaxTokens, 0));
}

/// Half a program is not run: a call that was cut off is no message.
#[test]
fn chat_forgets_a_call_that_was_not_finished() {
    let call = "<|channel|>analysis to=python code<|message|>print(6*7)";
    let (stopped, messages, _) = reply(&format!("{call}<|call|>"), |_| {}, |shown| !shown.ends_with("6*"));
    assert_eq!((stopped.reason, messages), (StopReason::Interrupted, vec![]));
    let (cut, messages, _) = reply(&format!("{call}<|call|>"), |chat| chat.budget.reply = 8, |_| true);
    assert_eq!((cut.reason, messages), (StopReason::MaxTokens, vec![]));
    let (ended, messages, _) = reply(&format!("{call}<|endoftext|>"), |_| {}, |_| true);
    assert_eq!((ended.reason, messages), (StopReason::End, vec![]));
}

#[test]
fn chat_ends_whatever_the_model_writes() {
    let whole = |text: &str| reply(text, |_| {}, |_| true);
    let (end, messages, _) = whole("<|channel|>final<|message|>3<|end|>");
    assert_eq!((end.reason, messages[0].text().as_str()), (StopReason::End, "3"), "as if another message followed");
    let (end, messages, _) = whole("<|channel|>final<|message|>3<|endoftext|>");
    assert_eq!((end.reason, messages[0].text().as_str()), (StopReason::End, "3"));
    let (end, messages, _) = whole("<|endoftext|>");
    assert_eq!((end.reason, messages.len()), (StopReason::End, 0));
    // A header that does not end is ended.
    let (end, messages, _) = whole(&format!("{}<|return|>", "x ".repeat(200)));
    assert!(!end.flags.is_empty() && messages.len() == 1, "{end:?}");
}

/// The second prompt begins with the first; where old thoughts are dropped, with the first prompt at least.
#[test]
fn chat_does_not_read_again_what_it_knows() {
    let tokenizer = tokenizer();
    let harmony = Harmony::new(tokenizer).unwrap();
    let model = random_model(tokenizer, 3);
    let mut chat = Chat::new(&model, harmony, Sampling::default(), question()).unwrap();
    chat.budget = Budget { analysis: 8, reply: 40 };
    let first = chat.reply(&mut |_| true).unwrap();
    assert_eq!(first.kept, first.prompt - 1, "all but whose turn it is");
    chat.messages.truncate(2);
    chat.messages.push(Message::new(MessageRole::Assistant, "3").on("final"));
    chat.messages.push(Message::new(MessageRole::User, "4 + 5?"));
    let second = chat.reply(&mut |_| true).unwrap();
    assert_eq!(second.kept, first.prompt);
    assert!(second.prompt > first.prompt);
}

#[test]
fn chat_forgets_the_oldest_question() {
    let tokenizer = tokenizer();
    let harmony = Harmony::new(tokenizer).unwrap();
    let mut messages = question();
    for text in ["second", "third"] {
        messages.push(Message::new(MessageRole::Assistant, "3").on("final"));
        messages.push(Message::new(MessageRole::User, text));
    }
    let mut chat = Chat::with(Box::new(Script::new(tokenizer, "")), harmony, messages.clone());
    let size = chat.size().unwrap().0;
    assert!(chat.drop_oldest_turn());
    assert_eq!(chat.messages, [&messages[..1], &messages[3..]].concat());
    assert!(chat.size().unwrap().0 < size);
    assert!(chat.drop_oldest_turn());
    assert!(!chat.drop_oldest_turn(), "the last question stays");
    assert_eq!(chat.messages, [&messages[..1], &messages[5..]].concat());
}

#[test]
fn chat_effort_is_in_the_system_message_and_sets_the_budget() {
    let tokenizer = tokenizer();
    let harmony = Harmony::new(tokenizer).unwrap();
    let mut chat = Chat::with(Box::new(Script::new(tokenizer, "")), harmony, question());
    assert_eq!((chat.effort(), chat.budget), (Effort::High, Budget::of(Effort::High)));
    let mut budgets = Vec::new();
    for effort in Effort::ALL {
        chat.set_effort(effort);
        assert_eq!(chat.effort(), effort);
        let rendered = harmony.render(&chat.messages, ossia::harmony::Purpose::Raw, true).unwrap();
        assert!(tokenizer.decode(&rendered).unwrap().contains(&format!("Reasoning: {}", effort.name())));
        budgets.push(chat.budget.analysis);
    }
    assert!(budgets.is_sorted_by(|a, b| a < b));
}

fn random_model(tokenizer: &Tokenizer, seed: u64) -> Transformer {
    let vocab_size = tokenizer.vocab_size();
    let base = ModelConfig { layers: 2, windows: vec![Some(16), None], hidden_size: 16, ..ModelConfig::nano() };
    Transformer::random(&ModelConfig { vocab_size, context: 512, ..base }, seed)
}

proptest! {
    /// Random models write random marks. Every reply ends, and what it leaves can be rendered and replied to again.
    #[test]
    fn chat_survives_random_models(seed: u64, spent in 0usize..20, length in 1usize..80) {
        let tokenizer = tokenizer();
        let harmony = Harmony::new(tokenizer).unwrap();
        let model = random_model(tokenizer, seed);
        let sampling = Sampling { seed, temperature: 3.0, ..Sampling::default() };
        let mut chat = Chat::new(&model, harmony, sampling, question()).unwrap();
        chat.budget = Budget { analysis: spent, reply: length };
        for _ in 0..2 {
            let reply = chat.reply(&mut |_| true).unwrap();
            prop_assert!(reply.tokens <= length);
            chat.messages.push(Message::new(MessageRole::User, "and?"));
        }
    }

    /// The same for recordings of nothing but marks and few words.
    #[test]
    fn chat_survives_any_recording(pieces in prop::collection::vec(0usize..12, 0..60), spent in 0usize..9) {
        let words = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>",
            "assistant", "analysis", "final", " to=python", "\u{FFFD}"];
        let text = pieces.iter().map(|&piece| words[piece]).collect::<String>() + "<|endoftext|>";
        let (ended, messages, _) = reply(&text, |chat| chat.budget.analysis = spent, |_| true);
        prop_assert!(ended.tokens <= pieces.len() * 8 + 1);
        let tokenizer = tokenizer();
        Harmony::new(tokenizer).unwrap().render(&messages, ossia::harmony::Purpose::Raw, false).unwrap();
    }
}

/// With a schema, whatever a random model writes around it, the reply ends with an answer that the schema accepts.
#[test]
fn chat_answers_in_the_form_of_a_schema() {
    let tokenizer = tokenizer();
    let harmony = Harmony::new(tokenizer).unwrap();
    let schema = json!({"type": "object", "properties": {"sum": {"type": "integer"}, "sure": {"type": "boolean"}},
        "required": ["sum", "sure"], "additionalProperties": false});
    let judge = jsonschema::draft202012::new(&schema).unwrap();
    let mut calls = 0;
    for seed in 0..60 {
        let model = random_model(tokenizer, seed % 5);
        let sampling = Sampling { seed, temperature: 2.0, ..Sampling::default() };
        let mut chat = Chat::new(&model, harmony, sampling, question()).unwrap();
        chat.guide = Some(Guide::of(&schema, tokenizer, harmony.marks().done).unwrap());
        chat.budget = Budget { analysis: 30, reply: [usize::MAX, 50, 120][seed as usize % 3] };
        let reply = chat.reply(&mut |_| true).unwrap();
        if let StopReason::ToolCall(_) = reply.reason {
            calls += 1; // that is no answer yet
            continue;
        }
        assert_eq!(reply.reason, StopReason::End, "seed {seed}");
        let answer = chat.messages.last().unwrap();
        assert!(answer.is_on("final"), "{answer:?}");
        let value = serde_json::from_str(&answer.text()).unwrap_or_else(|e| panic!("{e}: {}", answer.text()));
        assert!(judge.is_valid(&value), "{value}");
    }
    assert!(calls < 30, "most are answers");

    let set = |chat: &mut Chat| {
        chat.guide = Some(Guide::of(&schema, tokenizer, harmony.marks().done).unwrap());
        chat.budget.reply = 10;
    };
    let mut chat = Chat::with(Box::new(Script::new(tokenizer, ANSWER)), harmony, question());
    set(&mut chat);
    let error = chat.reply(&mut |_| true).unwrap_err().to_string();
    assert!(error.contains("the shortest answer that the schema allows takes"), "{error}");
}

/// gpt-oss begins structured answers with a format, which is no recipient: they are answers, and the schema applies.
#[test]
fn chat_answers_with_a_format_are_answers() {
    for header in ["final <|constrain|>json", "final json", "final to=user", "final to=user <|constrain|>json"] {
        let text = format!("<|channel|>{header}<|message|>77<|return|>");
        let (reply, messages, shown) = reply(&text, |_| {}, |_| true);
        assert_eq!((reply.reason, reply.flags.len()), (StopReason::End, 0), "{header}");
        assert_eq!((messages[0].recipient.as_deref(), messages[0].text().as_str()), (None, "77"), "{header}");
        assert_eq!(shown, "[final 77]");
        let tokenizer = tokenizer();
        let harmony = Harmony::new(tokenizer).unwrap();
        let schema = json!({"type": "integer", "minimum": 10, "maximum": 99});
        let mut chat =
            Chat::with(Box::new(Script::new(tokenizer, &text.replace("77", "7x7 words"))), harmony, question());
        chat.guide = Some(Guide::of(&schema, tokenizer, harmony.marks().done).unwrap());
        let reply = chat.reply(&mut |_| true).unwrap();
        assert_eq!(reply.reason, StopReason::End, "{header}");
        let answer = chat.messages.last().unwrap().text();
        assert!(answer.parse().is_ok_and(|n: i32| (10..=99).contains(&n)), "{header}: {answer}");
    }
}

/// A model that wants to end without an answer, or in the middle of a header, gives one nevertheless.
#[test]
fn chat_with_a_schema_does_not_end_without_an_answer() {
    let tokenizer = tokenizer();
    let harmony = Harmony::new(tokenizer).unwrap();
    for text in [
        "<|return|>77",
        "<|endoftext|>77",
        "<|channel|>anal<|return|>77",
        "<|channel|>analysis<|message|>so<|return|>77",
        "<|channel|>analysis<|message|>so<|end|><|endoftext|>77",
        "<|channel|>analysis<|message|>so<|end|><|start|>assistant<|call|>77",
        "<|channel|>final<|message|>77",
    ] {
        let schema = json!({"type": "integer", "minimum": 10, "maximum": 99});
        let mut chat = Chat::with(Box::new(Script::new(tokenizer, text)), harmony, question());
        chat.guide = Some(Guide::of(&schema, tokenizer, harmony.marks().done).unwrap());
        let reply = chat.reply(&mut |_| true).unwrap();
        assert_eq!(reply.reason, StopReason::End, "{text}");
        assert_eq!(chat.messages.last().unwrap().text(), "77", "{text}");
    }
}
