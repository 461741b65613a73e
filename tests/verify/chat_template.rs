//! The chat template renders a chat in transformers as ossia renders the equivalent harmony conversation, token for token,
//! and raises an exception for what it cannot render.
//!
//! The fixture has the chats, and the tokens or the exception of transformers: `reference/chat_template.py`.
//!
//! Book: [harmony](../../book/src/harmony.md)

use ossia::harmony::{
    DeveloperContent, Effort, Harmony, Marks, Message, MessageRole, Purpose, SystemContent, Tool, ToolNamespace,
    browser_tool, python_tool,
};
use ossia::tasks::arithmetic;
use ossia::tokenizer::{Tokenizer, o200k_harmony};
use serde::Deserialize;
use serde_json::Value;
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

    fn functions(&self) -> Option<BTreeMap<String, ToolNamespace>> {
        let tools = self.tools.iter().map(|tool| {
            let function = tool.get("function").unwrap_or(tool);
            serde_json::from_value::<Tool>(function.clone()).unwrap()
        });
        let namespace = ToolNamespace { name: "functions".into(), description: None, tools: tools.collect() };
        (!self.tools.is_empty()).then(|| BTreeMap::from([("functions".into(), namespace)]))
    }

    /// The chat as a harmony conversation.
    fn conversation(&self) -> Vec<Message> {
        let system = model(&self.template).1;
        let offered = self.offered(&system);
        let mut all = vec![Message::new(MessageRole::System, self.system(system))];
        let mut tools = self.functions();
        if !["system", "developer"].contains(&self.messages[0]["role"].as_str().unwrap()) && tools.is_some() {
            all.push(Message::new(
                MessageRole::Developer,
                DeveloperContent { instructions: None, tools: tools.take() },
            ));
        }
        let mut calls = Vec::new();
        for message in &self.messages {
            match message["role"].as_str().unwrap() {
                "system" | "developer" => {
                    let content = DeveloperContent { instructions: text(message), tools: tools.take() };
                    all.push(Message::new(MessageRole::Developer, content));
                }
                "user" => {
                    let name = message["name"].as_str().map(String::from);
                    all.push(Message { name, ..Message::new(MessageRole::User, text(message).unwrap()) });
                }
                "assistant" => all.extend(assistant(message, &offered, &mut calls)),
                _ => all.push(Message::answering(answered(message, &calls), text(message).unwrap())),
            }
        }
        all
    }
}

/// The text of a chat message.
fn text(message: &Value) -> Option<String> {
    let content = &message["content"];
    content.as_str().or(content[0]["text"].as_str()).map(String::from)
}

/// The messages of an assistant: reasoning, then an answer, or a preamble and calls, which are added to `calls`.
fn assistant(message: &Value, offered: &[String], calls: &mut Vec<(Value, Message)>) -> Vec<Message> {
    let say = |text: &str, channel: &str| Message::new(MessageRole::Assistant, text).on(channel);
    let thinking = message["reasoning_content"].as_str().or(message["thinking"].as_str());
    let mut all: Vec<Message> = thinking.map(|text| say(text, "analysis")).into_iter().collect();
    let Some(list) = message["tool_calls"].as_array() else {
        all.extend(text(message).map(|text| say(&text, "final")));
        return all;
    };
    all.extend(text(message).map(|text| say(&text, "commentary")));
    for call in list {
        let name = call["function"]["name"].as_str().unwrap();
        let arguments = match &call["function"]["arguments"] {
            Value::String(text) => text.clone(),
            // As Python writes JSON: with spaces.
            Value::Object(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{}: {value}", Value::from(key.as_str()))).collect();
                format!("{{{}}}", entries.join(", "))
            }
            other => panic!("{other}"),
        };
        let made = match offered.iter().any(|tool| name.split('.').next() == Some(tool)) {
            true => say(&arguments, "analysis").to(name).of_type("code"),
            false => say(&arguments, "commentary").to(format!("functions.{name}")).of_type("<|constrain|>json"),
        };
        calls.push((call.clone(), made.clone()));
        all.push(made);
    }
    all
}

/// The call that a tool message answers: the one with its id or its name, or else the last one.
fn answered<'m>(message: &Value, calls: &'m [(Value, Message)]) -> &'m Message {
    let fits = |call: &Value| {
        let same = |field: &Value, value: &Value| field.is_null() || field == value;
        same(&message["tool_call_id"], &call["id"]) && same(&message["name"], &call["function"]["name"])
    };
    &calls.iter().rfind(|(call, _)| fits(call)).unwrap().1
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
        let ours = rendered(harmony, &case.conversation(), prompt);
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

/// The model of the task is trained on what the template renders.
#[test]
fn chat_template_renders_the_documents_of_the_arithmetic_task() {
    let (harmony, _) = model("arithmetic");
    for document in arithmetic::documents(harmony.tokenizer(), 60, 5, false).unwrap() {
        let mut parser = ossia::harmony::Parser::new(harmony, None, ossia::harmony::Mode::Strict);
        document.ids.iter().for_each(|&id| _ = parser.push(id).unwrap());
        assert_eq!(rendered(harmony, parser.messages(), false), document.ids);
    }
}
