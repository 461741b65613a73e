//! `ossia train` and `ossia eval` on conversations.

use super::{losses, refuse, succeed, text, workplace};
use std::fs;
use std::path::Path;

/// Writes conversations in which the assistant repeats a name.
fn write_chats(at: &Path) {
    let line = |name: &str| {
        format!(
            r#"{{"messages":[{{"role":"user","content":"I am {name}."}},{{"role":"assistant","content":"Hi {name}!"}},{{"role":"user","content":"Who?"}},{{"role":"assistant","thinking":"They said it.","content":"{name}."}}]}}"#
        )
    };
    let names = ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas"];
    fs::write(at.join("chats.jsonl"), names.map(line).join("\n")).unwrap();
}

const RUN: [&str; 11] = [
    "train",
    "--config",
    "small.json",
    "--data",
    "chats.jsonl",
    "--context",
    "512",
    "--batch-size",
    "1",
    "--log-every",
    "1",
];

#[test]
fn command_line_chats_are_trained_on_and_continued() {
    let place = workplace();
    let at = place.path();
    write_chats(at);
    let run = |more: &[&str]| succeed(&[&RUN[..], more].concat(), at);
    let said = run(&["--accumulate", "2", "--steps", "4", "--save-every", "2", "--out", "whole"]);
    let (said, shown) = (text(&said.stderr), text(&said.stdout));
    assert!(said.contains("to train on: 9 conversations in 5 windows of 512 tokens, "), "{said}");
    assert!(said.contains("to measure on: 1 conversation in 1 window of 512 tokens, "), "{said}");
    assert!(said.contains(" tokens of the assistant; 4 steps"), "{said}");
    assert!(said.contains("more: ossia chat whole"), "{said}");
    assert!(shown.starts_with("I am "), "the question of the conversation that was set aside: {shown}");
    run(&["--accumulate", "2", "--steps", "2", "--out", "parts"]);
    succeed(&["train", "--resume", "--out", "parts", "--steps", "4"], at);
    run(&["--accumulate", "1", "--ranks", "2", "--steps", "4", "--out", "ranks"]);
    let file = |run: &str, name: &str| fs::read(at.join(run).join(name)).unwrap();
    assert!(file("whole", "model.safetensors") == file("ranks", "model.safetensors"));
    assert!(file("whole", "chat_template.jinja") == file("parts", "chat_template.jinja"));

    // A chat model keeps its tokenizer, its template and its system message.
    fs::write(at.join("whole/system.json"), r#"{"model_identity": "You repeat names."}"#).unwrap();
    fs::write(at.join("whole/chat_template.jinja"), "own").unwrap();
    let more =
        ["train", "--init", "whole", "--data", "chats.jsonl", "--context", "512", "--steps", "2", "--out", "more"];
    succeed(&more, at);
    for name in ["tokenizer.json", "system.json", "chat_template.jinja"] {
        assert!(file("whole", name) == file("more", name), "{name}");
    }
    assert!(fs::read_to_string(at.join("more/train.json")).unwrap().contains("You repeat names."));
    assert_eq!(losses(&at.join("more")).len(), 2);
    succeed(&["train", "--resume", "--out", "more", "--steps", "3"], at);

    let measured = text(&succeed(&["eval", "more", "--data", "chats.jsonl"], at).stdout);
    assert!(measured.starts_with("10 conversations, "), "{measured}");
}

#[test]
fn command_line_chats_that_do_not_fit_are_refused_or_counted() {
    let place = workplace();
    let at = place.path();
    write_chats(at);
    fs::write(at.join("text.txt"), "Once upon a time").unwrap();
    let chats = fs::read_to_string(at.join("chats.jsonl")).unwrap();
    fs::write(at.join("one.jsonl"), chats.lines().next().unwrap()).unwrap();
    fs::write(at.join("bad.jsonl"), chats.replacen("\"David.\"", "3", 1)).unwrap();
    succeed(&super::train(&["--steps", "1", "--out", "stories"]), at);
    let train =
        |data: &str| ["train", "--config", "small.json", "--data", data, "--out", "x"].map(String::from).to_vec();
    let with = |data: &str, more: &[&str]| {
        let mut arguments = train(data);
        arguments.extend(more.iter().map(|argument| argument.to_string()));
        arguments
    };
    let cases = [
        (train("bad.jsonl"), "error: bad.jsonl:4: messages[3].content: found a number, expected a string"),
        (train("one.jsonl"), "error: found 1 conversation, expected 2 or more to set one aside, or --eval-data"),
        (
            with("chats.jsonl", &["--field", "x"]),
            "error: --field: the data has conversations, on which it has no effect",
        ),
        (
            with("chats.jsonl", &["--eval-data", "text.txt"]),
            "error: text.txt: is a text, expected a conversation in each",
        ),
        (with("chats.jsonl", &["--context", "12"]), "error: found nothing to learn in the first 12 tokens of any"),
        (with("chats.jsonl", &["--tokenizer", "stories/tokenizer.json"]), "error: this tokenizer has no <|start|>"),
    ];
    for (arguments, expected) in cases {
        refuse(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), at, expected);
        assert!(!at.join("x").exists());
    }
    refuse(&["train", "--init", "stories", "--data", "chats.jsonl"], at, "this tokenizer has no <|start|>");
    let said =
        succeed(&[&RUN[..5], &["--context", "190", "--batch-size", "1", "--steps", "1", "--out", "y"]].concat(), at);
    let said = text(&said.stderr);
    assert!(said.contains(" longer than a window: ") && said.contains(" without the end, "), "{said}");
}
