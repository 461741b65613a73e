//! What a model learns from conversations: what the assistant wrote, behind what it will have read, and nothing else.
//!
//! Book: [fine_tuning](../../book/src/fine_tuning.md)

use ossia::config::ModelConfig;
use ossia::data::{Example, IGNORE, Packed, Windows};
use ossia::harmony::{ChatMessage, Harmony, Message, MessageRole, Purpose, SystemContent, messages_of_chat};
use ossia::model::Transformer;
use ossia::ops::attention::Sequences;
use ossia::tasks::arithmetic;
use ossia::tasks::chats::{examples, read_chats, tokenizer};
use ossia::tokenizer::{Tokenizer, o200k_harmony};
use ossia::train::{EvaluationSet, evaluate};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

/// A chat with reasoning and a tool in both of its turns.
static TOOLS: LazyLock<Vec<ChatMessage>> = LazyLock::new(|| {
    let call = |id: &str, x: u32| {
        json!({"role": "assistant", "thinking": format!("Look up {x}."), "tool_calls": [
            {"id": id, "function": {"name": "look", "arguments": {"x": x}}}
        ]})
    };
    chat(json!({
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": null}}],
        "messages": [
            {"role": "user", "content": "One?"},
            call("a", 1),
            {"role": "tool", "tool_call_id": "a", "content": "yes"},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "Two?"},
            call("b", 2),
            {"role": "tool", "tool_call_id": "b", "content": "no"},
            {"role": "assistant", "reasoning_content": "Found.", "content": "No."},
            {"role": "user", "content": "Thanks!"},
            {"role": "assistant", "content": "Welcome!"}
        ]
    }))
});

fn chat(value: Value) -> Vec<ChatMessage> {
    messages_of_chat(&value, SystemContent { model_identity: None, ..SystemContent::default() }).unwrap()
}

fn harmony() -> Harmony<'static> {
    Harmony::new(o200k_harmony()).unwrap()
}

/// The text of an example, with what is learned in brackets.
fn shown(example: &Example) -> String {
    let text = |ids: &[u32]| o200k_harmony().decode(ids).unwrap();
    let Example { inputs, targets } = example;
    let (mut shown, mut at) = (text(&inputs[..1]), 0);
    while at < targets.len() {
        let is_learned = targets[at] != IGNORE;
        let run = (at..targets.len()).take_while(|&t| (targets[t] != IGNORE) == is_learned).count();
        shown += &match is_learned {
            true => format!("[{}]", text(&targets[at..at + run])),
            false => text(&inputs[at + 1..(at + run + 1).min(inputs.len())]),
        };
        at += run;
    }
    shown
}

// ANCHOR: written
/// Every reply of the assistant is asked for as in a chat: the prompt is rendered, and what follows it is what the assistant wrote.
/// One example begins with this prompt, and has what was written as its targets; no example learns anything else.
#[track_caller]
fn are_learned_once(harmony: Harmony, chat: &[ChatMessage]) {
    let messages: Vec<Message> = chat.iter().map(|message| message.message.clone()).collect();
    let found = examples(harmony, chat).unwrap();
    let mut left: Vec<Vec<u32>> = found.iter().map(|example| example.targets.clone()).collect();
    let is_own = |i: usize| messages[i].role == MessageRole::Assistant;
    for start in (0..messages.len()).filter(|&i| is_own(i) && !is_own(i - 1)) {
        let end = (start..messages.len()).find(|&i| !is_own(i)).unwrap_or(messages.len());
        let mut read = harmony.render(&messages[..start], Purpose::Completion(MessageRole::Assistant), true).unwrap();
        let (mut written, given) = (Vec::new(), read.len());
        for i in start..end {
            let mut message = Vec::new();
            let functions = messages.iter().any(Message::defines_functions);
            harmony.render_message(&messages[i], functions, &mut message).unwrap();
            if i + 1 == end && messages[i].is_on("final") {
                *message.last_mut().unwrap() = harmony.marks().done;
            }
            let role = 1 + harmony.tokenizer().encode("assistant").len(); // the prompt ends with <|start|>assistant
            let message = &message[if i == start { role } else { 0 }..];
            written.extend(message.iter().map(|&id| if chat[i].learned { id } else { IGNORE }));
            read.extend(message);
        }
        if written.iter().all(|&id| id == IGNORE) {
            continue;
        }
        let has = |example: &Example| {
            let inputs = example.inputs.get(..read.len() - 1);
            inputs == Some(&read[..read.len() - 1]) && example.targets[given - 1..read.len() - 1] == written
        };
        let places: Vec<usize> = (0..found.len()).filter(|&i| has(&found[i])).collect();
        assert_eq!(places.len(), 1, "the reply that begins with message {start} is in {places:?} of {:#?}", messages);
        left[places[0]][given - 1..read.len() - 1].fill(IGNORE);
    }
    assert!(left.iter().flatten().all(|&id| id == IGNORE), "something else is learned: {left:?}");
}
// ANCHOR_END: written

#[test]
fn chats_are_learned_where_the_assistant_writes() {
    let found = examples(harmony(), &TOOLS).unwrap();
    let shown: Vec<String> = found.iter().map(shown).collect();
    assert_eq!(shown.len(), 4, "{shown:#?}");
    let is = |text: &str, end: &str| assert!(text.ends_with(end), "{text:?}\nends with\n{end:?}");
    let question = "<|start|>user<|message|>One?<|end|><|start|>assistant";
    let first = "[<|channel|>analysis<|message|>Look up 1.<|end|><|start|>assistant to=functions.look<|channel|>commentary \
                 <|constrain|>json<|message|>{\"x\": 1}<|call|>]<|start|>functions.look to=assistant<|channel|>commentary\
                 <|message|>yes<|end|><|start|>assistant[<|channel|>final<|message|>Yes.<|return|>]";
    is(&shown[0], &format!("{question}{first}"));
    // The next prompt leaves out the first thought, so it is another example.
    let (start, rest) = shown[1].split_once("<|start|>user<|message|>Two?").unwrap();
    assert!(!start.contains("Look up 1.") && !start.contains('['), "{start}");
    is(rest, "<|channel|>commentary <|constrain|>json<|message|>{\"x\": 2}<|call|>]");
    // While a tool answers, the prompt has all thoughts.
    let (start, rest) = shown[2].split_once("<|start|>user<|message|>Two?").unwrap();
    assert!(start.contains("Look up 1.") && !start.contains('['), "{start}");
    assert!(rest.contains("Look up 2."), "{rest}");
    is(
        rest,
        "no<|end|><|start|>assistant[<|channel|>analysis<|message|>Found.<|end|><|start|>assistant<|channel|>final\
              <|message|>No.<|return|>]",
    );
    // Of the thoughts, those before the first answer are left out.
    let (start, rest) = shown[3].split_once("<|start|>user<|message|>Two?").unwrap();
    assert!(!start.contains("Look up 1.") && rest.contains("Look up 2."), "{start}{rest}");
    is(rest, "Thanks!<|end|><|start|>assistant[<|channel|>final<|message|>Welcome!<|return|>]");
}

#[test]
fn chats_share_an_example_if_no_thought_is_left_out() {
    let found = examples(
        harmony(),
        &chat(json!({"messages": [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "Two?"},
            {"role": "assistant", "content": "No.", "weight": 0},
            {"role": "user", "content": "Three?"},
            {"role": "assistant", "reasoning_content": "Prime.", "content": "Yes."}
        ]})),
    )
    .unwrap();
    assert_eq!(found.len(), 1);
    let text = shown(&found[0]);
    // In the history stands <|end|>, but the assistant wrote <|return|>.
    let answer = "assistant[<|channel|>final<|message|>Yes.<|return|>]<|start|>user<|message|>Two?<|end|><|start|>assistant\
                  <|channel|>final<|message|>No.<|end|><|start|>user<|message|>Three?";
    assert!(text.contains(answer), "{text}");
    let before = found[0].targets.iter().position(|&id| id == harmony().marks().done).unwrap();
    assert_eq!(found[0].inputs[before + 1], harmony().marks().end);
}

/// The chats of the fixture of the chat template, two of the task, and the chats above: token by token.
#[test]
fn chats_are_learned_as_they_are_asked_for() {
    are_learned_once(harmony(), &TOOLS);
    let tokenizer = arithmetic::tokenizer(2_048).unwrap();
    for chat in arithmetic::conversations(200, 3, false, 0.0) {
        are_learned_once(Harmony::new(&tokenizer).unwrap(), &chat);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify/reference/chat_template.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut kinds = BTreeMap::<usize, usize>::new();
    for case in fixture["cases"].as_array().unwrap().iter().filter(|case| !case["ids"].is_null()) {
        let value = json!({"messages": case["messages"], "tools": case.get("tools").unwrap_or(&json!([]))});
        let Ok(messages) = messages_of_chat(&value, SystemContent::default()) else { continue };
        are_learned_once(harmony(), &messages);
        *kinds.entry(examples(harmony(), &messages).unwrap().len()).or_default() += 1;
    }
    assert!(kinds.values().sum::<usize>() > 200 && kinds.len() > 2, "numbers of examples per chat: {kinds:?}");
}

/// The loss of packed conversations is the mean over all learned tokens, each predicted as in its example alone.
#[test]
fn chats_have_the_same_loss_packed_and_alone() {
    let tokenizer = arithmetic::tokenizer(600).unwrap();
    let harmony = Harmony::new(&tokenizer).unwrap();
    let chats = arithmetic::conversations(12, 4, false, 0.0);
    let examples: Vec<Example> = chats.iter().flat_map(|chat| examples(harmony, chat).unwrap()).collect();
    let config = ModelConfig { vocab_size: 600, ..crate::training::small() };
    let model = Transformer::random(&config, 3);
    let (mut nats, mut tokens) = (0.0, 0);
    for example in &examples {
        let output = model.forward_packed(&example.inputs, &Sequences::equal(1, example.inputs.len()));
        nats += f64::from(model.loss(&output, &example.targets).cross_entropy) * example.counted() as f64;
        tokens += example.counted();
    }
    let packed = Packed::new(examples, 300, 0).unwrap();
    assert_eq!((packed.cut, packed.dropped), (0, 0));
    assert!(packed.len() * 2 < packed.examples().len(), "several stand in a window");
    let set = EvaluationSet { windows: Windows::packed(packed), entropy_floor: None, bytes: 1 };
    let measured = evaluate(&model, &set, 2);
    assert_eq!(measured.tokens, tokens);
    assert!((measured.loss - nats / tokens as f64).abs() < 1e-5, "{} {}", measured.loss, nats / tokens as f64);
}

#[test]
fn chats_that_are_wrong_are_refused_with_line_and_field() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chats.jsonl");
    let good = json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]});
    let unlearned = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let cases = [
        (json!({"messages": [{"role": "assistant", "content": 7}]}).to_string(), "messages[0].content: found a number"),
        (unlearned.to_string(), "messages: found nothing that the assistant should learn to write"),
        ("{\"messages\": [".into(), "found malformed JSON at column"),
        (String::new(), "found an empty line, expected a JSON object"),
        ("{\"text\": \"Once\"}".into(), "messages is missing"),
        ("[1]".into(), "found a list, expected an object with messages"),
    ];
    for (bad, expected) in cases {
        std::fs::write(&path, format!("{good}\n{good}\n{bad}\n{good}\n")).unwrap();
        let error = read_chats(&[&path], &SystemContent::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("chats.jsonl:3: {expected}")), "{error}");
    }
    std::fs::write(&path, [json!([good, unlearned]).to_string().as_bytes(), b"\n"].concat()).unwrap();
    let error = read_chats(&[&path], &SystemContent::default()).unwrap_err().to_string();
    assert!(error.contains("chats.jsonl:1: messages: found nothing"), "{error}");
}

/// A new tokenizer has harmony's marks, and learns what the conversations have.
#[test]
fn chats_train_a_tokenizer() {
    let tokenizer: Tokenizer = tokenizer(std::slice::from_ref(&TOOLS), 400).unwrap();
    let harmony = Harmony::new(&tokenizer).unwrap();
    let messages: Vec<Message> = TOOLS.iter().map(|message| message.message.clone()).collect();
    let ids = harmony.render(&messages, Purpose::Raw, false).unwrap();
    let text = tokenizer.decode(&ids).unwrap();
    assert_eq!(text, o200k_harmony().decode(&self::harmony().render(&messages, Purpose::Raw, false).unwrap()).unwrap());
    assert!(ids.len() * 3 < text.len(), "{} tokens for {} bytes", ids.len(), text.len());
    assert_eq!(tokenizer.start_token(), None);
}
