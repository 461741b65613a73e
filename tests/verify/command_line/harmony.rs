//! `ossia harmony`: conversations to tokens and back, as files.

use super::{ossia, refuse, succeed, text};
use serde_json::{Value, json};
use std::fs;

const CONVERSATION: &str = r#"{"messages": [
    {"role": "system", "content": [{"type": "system_content", "reasoning_effort": "Low"}]},
    {"role": "user", "content": "2 + 2?"},
    {"role": "assistant", "channel": "analysis", "content": "Easy."},
    {"role": "assistant", "channel": "final", "content": "4"}
]}"#;

#[test]
fn command_line_renders_and_parses_harmony() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("talk.json"), CONVERSATION).unwrap();
    let render = |purpose: &str| -> Value {
        let arguments = ["harmony", "render", "talk.json", "--for", purpose, "--keep-analysis"];
        serde_json::from_slice(&succeed(&arguments, place.path()).stdout).unwrap()
    };
    let raw = render("raw");
    assert_eq!(
        raw["text"],
        "<|start|>system<|message|>Reasoning: low<|end|><|start|>user<|message|>2 + 2?<|end|>\
         <|start|>assistant<|channel|>analysis<|message|>Easy.<|end|>\
         <|start|>assistant<|channel|>final<|message|>4<|end|>"
    );
    assert!(render("training")["text"].as_str().unwrap().ends_with("4<|return|>"));
    let chat = r#"{"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "thinking": "Easy.", "content": "4"}]}"#;
    fs::write(place.path().join("chat.json"), chat).unwrap();
    let arguments = ["harmony", "render", "chat.json", "--chat", "--for", "training", "--keep-analysis"];
    let chat: Value = serde_json::from_slice(&succeed(&arguments, place.path()).stdout).unwrap();
    let end = raw["text"].as_str().unwrap().split_once("<|end|>").unwrap().1.strip_suffix("<|end|>").unwrap();
    assert!(chat["text"].as_str().unwrap().ends_with(&format!("{end}<|return|>")), "{chat}");
    let completion =
        serde_json::from_slice::<Value>(&succeed(&["harmony", "render", "talk.json"], place.path()).stdout);
    let completion = completion.unwrap()["text"].as_str().unwrap().to_string();
    assert!(!completion.contains("Easy.") && completion.ends_with("<|end|><|start|>assistant"), "{completion}");

    fs::write(place.path().join("ids.json"), raw["tokens"].to_string()).unwrap();
    let parsed: Value =
        serde_json::from_slice(&succeed(&["harmony", "parse", "ids.json"], place.path()).stdout).unwrap();
    let message = |role: &str, channel: Option<&str>, text: &str| {
        let mut message = json!({"role": role, "name": null, "content": [{"type": "text", "text": text}]});
        if let Some(channel) = channel {
            message["channel"] = channel.into();
        }
        message
    };
    let expected = [
        message("system", None, "Reasoning: low"),
        message("user", None, "2 + 2?"),
        message("assistant", Some("analysis"), "Easy."),
        message("assistant", Some("final"), "4"),
    ];
    assert_eq!(parsed, json!({"messages": expected}));
}

#[test]
fn command_line_refuses_malformed_harmony_and_lenient_says_what_it_did() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("ids.json", "[40, 2804, 41897, 200007]"); // I must refuse<|end|>
    write("text.json", "[\"I\"]");
    write("half.json", "{\"messages\": [{\"role\": \"user\"");
    write("role.json", "{\"messages\": [{\"role\": \"robot\", \"content\": \"x\"}]}");
    write("kind.json", "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}");
    write("tool.json", "{\"messages\": [{\"role\": \"tool\", \"content\": \"x\"}]}");
    let parse = ["harmony", "parse", "ids.json", "--role", "assistant"];
    refuse(&parse, directory, "ids.json: token 3: a message ends in its header: <|message|> is missing");
    let lenient = ossia(&[&parse[..], &["--lenient"]].concat(), directory);
    assert!(lenient.status.success());
    assert!(text(&lenient.stderr).contains("ids.json: token 3: "), "{}", text(&lenient.stderr));
    assert!(text(&lenient.stdout).contains("I must refuse"));

    refuse(&["harmony", "parse", "text.json"], directory, "expected a list of token ids");
    refuse(&["harmony", "parse", "missing.json"], directory, "missing.json: cannot read");
    refuse(&["harmony", "render", "half.json"], directory, "half.json: EOF");
    let expected = "role.json: messages[0].role: expected system, developer, user, assistant or tool";
    refuse(&["harmony", "render", "role.json", "--chat"], directory, expected);
    refuse(&["harmony", "render", "role.json"], directory, "unknown variant `robot`");
    refuse(&["harmony", "render", "kind.json"], directory, "unknown variant `image`");
    refuse(&["harmony", "render", "tool.json"], directory, "tool.json: a tool message has no name");
}
