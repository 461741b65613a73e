//! The chat template renders a chat in transformers as ossia renders the equivalent harmony conversation, token for token,
//! and raises an exception for what it cannot render.
//!
//! The fixture has the chats, and the tokens or the exception of transformers: `reference/chat_template.py`.
//!
//! Book: [harmony](../../book/src/harmony.md)

use ossia::harmony::{
    Effort, Harmony, Marks, Message, MessageRole, Purpose, SystemContent, ToolNamespace, browser_tool,
    messages_of_chat, python_tool,
};
use ossia::tasks::arithmetic;
use ossia::tasks::chats::examples;
use ossia::tokenizer::{Tokenizer, o200k_harmony};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

#[derive(Deserialize)]
struct Fixture {
    templates: BTreeMap<String, u32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    messages: Vec<Value>,
    #[serde(default)]
    tools: Vec<Value>,
    #[serde(default)]
    options: Value,
    ids: Option<Vec<u32>>,
    error: Option<String>,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify/reference/chat_template.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The tokenizer of `ossia train --task arithmetic` with the preset nano.
fn arithmetic_tokenizer() -> &'static Tokenizer {
    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| arithmetic::tokenizer(2_048).unwrap());
    &TOKENIZER
}

/// The tokenizer and the system message of a template.
fn model(name: &str) -> (Harmony<'static>, SystemContent) {
    let (tokenizer, system) = match name {
        "arithmetic" => (arithmetic_tokenizer(), arithmetic::system(Effort::Medium, true)),
        _ => (o200k_harmony(), SystemContent::default()),
    };
    (Harmony::new(tokenizer).unwrap(), system)
}

impl Case {
    fn option(&self, name: &str) -> Option<String> {
        self.options[name].as_str().map(String::from)
    }

    /// The names of the built-in tools that the system message offers.
    fn offered(&self, system: &SystemContent) -> Vec<String> {
        match self.options["builtin_tools"].as_array() {
            Some(names) => names.iter().map(|name| name.as_str().unwrap().into()).collect(),
            None => system.tools.iter().flat_map(BTreeMap::keys).cloned().collect(),
        }
    }

    /// The system message, with what the caller of the template has changed.
    fn system(&self, mut system: SystemContent) -> SystemContent {
        let own = system.tools.take().unwrap_or_else(|| {
            [browser_tool(), python_tool()].map(|tool: ToolNamespace| (tool.name.clone(), tool)).into()
        });
        let offered = self.offered(&model(&self.template).1);
        let tools: BTreeMap<_, _> = own.into_iter().filter(|(name, _)| offered.contains(name)).collect();
        let effort = self.option("reasoning_effort");
        let effort = effort.and_then(|name| Effort::ALL.into_iter().find(|effort| effort.name() == name));
        SystemContent {
            model_identity: self.option("model_identity").or(system.model_identity),
            reasoning_effort: effort.or(system.reasoning_effort),
            conversation_start_date: self.option("conversation_start_date").or(system.conversation_start_date),
            tools: (!tools.is_empty()).then_some(tools),
            ..system
        }
    }

    /// The chat as harmony messages.
    fn conversation(&self) -> ossia::error::Result<Vec<Message>> {
        let chat = json!({ "messages": self.messages, "tools": self.tools });
        let messages = messages_of_chat(&chat, self.system(model(&self.template).1))?;
        Ok(messages.into_iter().map(|message| message.message).collect())
    }
}

/// The template renders what it promises. A prompt is [`Purpose::Completion`]. A text for training is the prompt for the last
/// turn, and then the turn as the model should write it, with its reasoning.
fn rendered(harmony: Harmony, messages: &[Message], prompt: bool) -> Vec<u32> {
    if prompt {
        return harmony.render(messages, Purpose::Completion(MessageRole::Assistant), true).unwrap();
    }
    let after = messages.iter().rposition(|message| message.role == MessageRole::User).map_or(0, |last| last + 1);
    let mut ids = harmony.render(&messages[..after], Purpose::Raw, true).unwrap();
    ids.extend(harmony.render(&messages[after..], Purpose::Training, false).unwrap());
    ids
}

#[test]
fn chat_template_is_the_one_of_the_fixture() {
    let advice = "run tests/verify/reference/chat_template.py again";
    for (name, expected) in fixture().templates {
        let (harmony, system) = model(&name);
        assert_eq!(crc32fast::hash(harmony.chat_template(&system).as_bytes()), expected, "{name}: {advice}");
    }
}

#[test]
fn chat_template_renders_what_harmony_renders() {
    let (mut compared, mut different) = (BTreeMap::new(), Vec::new());
    for case in fixture().cases {
        let Some(ids) = &case.ids else { continue };
        let prompt = case.options["add_generation_prompt"].as_bool().unwrap();
        let harmony = model(&case.template).0;
        let ours = rendered(harmony, &case.conversation().unwrap(), prompt);
        let text = |ids: &[u32]| harmony.tokenizer().decode(ids).unwrap();
        if ours != *ids {
            different.push(format!("harmony {:?}\ntemplate {:?}\n", text(&ours), text(ids)));
        }
        *compared.entry(case.template).or_insert(0) += 1;
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    assert!(compared["gpt-oss"] > 200 && compared["arithmetic"] > 8, "{compared:?}");
}

/// Text that spells a mark is the most important of the chats that raise an exception: in Jinja it would become the mark.
#[test]
fn chat_template_raises_an_exception_for_what_it_cannot_render() {
    let errors: Vec<String> = fixture().cases.into_iter().filter_map(|case| case.error).collect();
    assert!(errors.len() > 30 && errors.iter().all(|error| error.starts_with("TemplateError: ")), "{errors:?}");
    for mark in Marks::NAMES {
        let expected = format!("TemplateError: content contains {mark}, which would become a special token");
        assert!(errors.contains(&expected), "{mark}");
    }
}

/// What is malformed for the template is malformed for ossia. Text that spells a mark is not: it stays text. The options of the
/// template are no part of a chat.
#[test]
fn chat_that_is_malformed_is_refused_with_its_field() {
    let mut refused = Vec::new();
    for case in fixture().cases {
        let Some(error) = &case.error else { continue };
        let of_options = [
            "would become a special token",
            "documents",
            "built-in tool browser",
            "built-in tool shell",
            "not enormous",
        ];
        if of_options.iter().any(|part| error.contains(part)) {
            continue;
        }
        let message = case.conversation().err().unwrap_or_else(|| panic!("accepted: {error}")).to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.starts_with("messages[") || message.starts_with("tools["), "{message}");
        refused.push(message);
    }
    assert!(refused.len() > 14, "{refused:#?}");
    assert!(
        refused.iter().any(|m| m == "messages[0].role: expected system, developer, user, assistant or tool"),
        "{refused:#?}"
    );
}

/// The first reply of each conversation of the task is learned in what the template renders.
#[test]
fn chat_template_renders_the_conversations_of_the_arithmetic_task() {
    let (harmony, _) = model("arithmetic");
    for chat in arithmetic::conversations(60, 5, false, 0.0) {
        let messages: Vec<Message> = chat.iter().map(|message| message.message.clone()).collect();
        let end = messages.iter().position(|message| message.is_on("final")).unwrap() + 1;
        let ids = rendered(harmony, &messages[..end], false);
        let learned = examples(harmony, &chat[..end]).unwrap();
        assert_eq!(learned.len(), 1);
        assert_eq!(learned[0].inputs, ids[..ids.len() - 1]);
        assert_eq!(learned[0].targets.last(), ids.last());
    }
}
