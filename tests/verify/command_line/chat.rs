//! `ossia train --task`, `ossia eval --task` and `ossia chat`, as a user runs them.

use super::{refuse, succeed, text, workplace};
use ossia::config::ModelConfig;
use ossia::harmony::{Conversation, MessageRole};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A model of the arithmetic task, as `run`, that has learned nothing yet.
fn trained() -> TempDir {
    let place = workplace();
    let path = place.path().join("small.json");
    let config = ModelConfig { context: 200, vocab_size: 400, ..ModelConfig::load(&path).unwrap() };
    fs::write(path, config.to_json()).unwrap();
    let arguments = ["--config", "small.json", "--batch-size", "2", "--steps", "4", "--out", "run"];
    succeed(&[&["train", "--task", "arithmetic"][..], &arguments].concat(), place.path());
    place
}

/// The program, with this on its standard input.
pub fn typed(arguments: &[&str], input: &str, directory: &Path) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ossia"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The chat, with these lines typed.
fn chat(arguments: &[&str], lines: &str, directory: &Path) -> Output {
    let all = [&["chat", "run", "--temperature", "0", "--max-new-tokens", "20"], arguments].concat();
    typed(&all, lines, directory)
}

#[test]
fn command_line_chat_with_drafts_replies_the_same() {
    let place = trained();
    let two = "What is 2 + 3?\nAnd 4 + 4?\n";
    let plain = chat(&[], two, place.path());
    let drafted = chat(&["--draft", "run", "--draft-tokens", "4"], two, place.path());
    assert_eq!(text(&drafted.stdout), text(&plain.stdout));
    // A model that has learned nothing may write no answer, but it writes something.
    let written = |output: &Output| {
        let all = text(&output.stderr);
        all.lines().filter(|line| !line.contains(" tokens in ")).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(written(&drafted), written(&plain));
    assert_eq!(text(&plain.stderr).matches(" tokens in ").count(), 2, "{}", text(&plain.stderr));
    assert_eq!(text(&drafted.stderr).matches("tokens per pass").count(), 2, "{}", text(&drafted.stderr));
    refuse(
        &["chat", "run", "--draft", "mtp", "-p", "x"],
        place.path(),
        "--draft mtp: this model has no multi-token prediction",
    );
}

/// The model card and the chat template go with a model wherever it is saved; a card that the user wrote stays.
#[test]
fn command_line_describes_a_trained_model_for_other_programs() {
    let place = trained();
    let at = place.path();
    succeed(&["quantize", "run", "bf16", "--to", "bf16"], at);
    let read = |name: &str| fs::read_to_string(at.join(name)).unwrap();
    let template = read("run/chat_template.jinja");
    assert!(template.contains(r#""effort": "medium""#) && template.contains(r#""offered": ["python"]"#));
    for copy in ["run/best", "bf16"] {
        assert_eq!(read(&format!("{copy}/chat_template.jinja")), template);
        assert_eq!(read(&format!("{copy}/system.json")), read("run/system.json"));
    }
    let card = read("run/README.md");
    for part in ["library_name: transformers", "| steps | 4 of 4,", "nats per token", "ossia chat MODEL"] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(!card.contains(at.to_str().unwrap()), "{card}");
    assert!(read("run/best/README.md").contains("nats per token"));

    fs::write(at.join("run/README.md"), "My model").unwrap();
    succeed(&["train", "--resume", "--steps", "6", "--out", "run"], at);
    assert_eq!(read("run/README.md"), "My model");

    let small = ["--config", "small.json", "--stories", "40", "--batch-size", "2", "--context", "16", "--steps", "1"];
    succeed(&[&["train", "--out", "text"][..], &small].concat(), at);
    assert!(!at.join("text/chat_template.jinja").exists(), "it continues text");
    assert!(read("text/README.md").contains("| training data | 40 built-in stories |"));
}

#[test]
fn command_line_trains_and_measures_the_arithmetic_task() {
    let place = trained();
    let at = place.path();
    let settings: Value = serde_json::from_str(&fs::read_to_string(at.join("run/train.json")).unwrap()).unwrap();
    assert_eq!(settings["task"], "arithmetic");
    assert!(fs::read_to_string(at.join("run/samples.txt")).unwrap().contains("\nmedium "), "a question at each effort");
    let resumed = succeed(&["train", "--resume", "--steps", "6", "--out", "run"], at);
    assert!(text(&resumed.stdout).contains("\nhigh "), "{resumed:?}");

    let table = text(&succeed(&["eval", "run", "--task", "arithmetic", "--questions", "2", "--seeds", "2"], at).stdout);
    let rows = ["2 terms", "3 terms", "4 terms", "5 terms", "products, Python", "all sums"];
    assert!(rows.iter().all(|row| table.contains(&format!("\n{row} "))), "{table}");
    let again = succeed(&["eval", "run", "--task", "arithmetic", "--questions", "2", "--seeds", "2"], at);
    assert_eq!(text(&again.stdout), table, "greedy, from fixed questions");

    refuse(&["train", "--task", "geometry"], at, "--task geometry: expected arithmetic, or a JSONL file");
    refuse(&["train", "--task", "arithmetic", "--stories", "9"], at, "cannot be used with");
    refuse(&["train", "--resume", "--out", "run", "--task", "arithmetic"], at, "--task cannot change");
    refuse(&["eval", "run"], at, "--data");
    refuse(&["eval", "run", "--task", "arithmetic", "--seeds", "0"], at, "0 is not in 1..=1000");
}

#[test]
fn command_line_chats() {
    let place = trained();
    let at = place.path();
    let output = chat(
        &["--reasoning", "low", "--analysis-budget", "3"],
        "1 + 2?\n/effort\n/tools\n/effort high\n/effort\n/help\n",
        at,
    );
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for part in ["[effort low]", "[effort high]", "[no tools]", " cached]"] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert!(text(&output.stdout).contains("/save FILE"));

    let lines = "1 + 2?\n/system Be brief.\n/system\n/save talk.json\n/reset\n/save none.json\n/load talk.json\n/save again.json\n";
    let said = text(&chat(&[], lines, at).stderr);
    assert!(said.contains("[Be brief.]"), "{said}");
    let read =
        |name: &str| -> Conversation { serde_json::from_str(&fs::read_to_string(at.join(name)).unwrap()).unwrap() };
    let roles = |name: &str| read(name).messages.iter().map(|message| message.role).collect::<Vec<_>>();
    assert_eq!(roles("talk.json")[..3], [MessageRole::System, MessageRole::Developer, MessageRole::User]);
    assert_eq!(roles("none.json"), [MessageRole::System, MessageRole::Developer], "instructions stay");
    assert_eq!(read("again.json"), read("talk.json"));
    // What was saved is what `ossia harmony` reads, and what the chat goes on with.
    succeed(&["harmony", "render", "talk.json", "--tokenizer", "run"], at);
    succeed(&["chat", "run", "--load", "talk.json", "--prompt", "3 + 4?", "--max-new-tokens", "9"], at);
}

/// New instructions do not take from the model what it was told of its tools.
#[test]
#[cfg(feature = "tools")]
fn command_line_chat_keeps_what_is_said_of_tools() {
    let place = trained();
    let at = place.path();
    let config = at.join("run/config.json");
    let larger = ModelConfig { context: 4_000, ..ModelConfig::load(&config).unwrap() };
    fs::write(&config, larger.to_json()).unwrap();
    let arguments = ["--tool", "apply_patch", "--root", ".", "--system", "Be kind."];
    let said = text(&chat(&arguments, "/system Be brief.\n/system\n/tools\n", at).stderr);
    assert!(said.contains("[Be brief.\n\n# Changing files") && !said.contains("Be kind."), "{said}");
    assert!(said.contains("[functions.apply_patch]"), "{said}");
    refuse(&["chat", "run", "--tool", "apply_patch"], at, "needs --root DIR");
}

#[test]
fn command_line_chat_says_what_is_wrong_and_goes_on() {
    let place = trained();
    let at = place.path();
    fs::write(at.join("precious.txt"), "not a conversation").unwrap();
    let many = "7 ".repeat(120);
    let lines = format!(
        "/nonsense\n/effort huge\n/load nowhere.json\n/load precious.txt\n/save precious.txt\n/save\n{many}\n{many}\n/drop\n1 + 2?\n"
    );
    let output = chat(&[], &lines, at);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for part in [
        "there is no /nonsense",
        "/effort huge: expected low, medium or high",
        "nowhere.json: ",
        "expected a conversation",
        "is there already, and is not a conversation",
        "/save needs a FILE",
        "tokens, the context holds 200: /drop forgets the oldest question",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(fs::read_to_string(at.join("precious.txt")).unwrap(), "not a conversation");

    let forgetful = text(&chat(&["--drop-oldest"], &format!("1 2 3\n{}\n4\n", "7 ".repeat(60)), at).stderr);
    assert!(forgetful.contains("the oldest question is forgotten"), "{forgetful}");

    succeed(&["train", "--config", "small.json", "--steps", "1", "--stories", "60", "--out", "stories"], at);
    refuse(&["chat", "stories"], at, "was not made for harmony conversations");
    refuse(&["chat", "nowhere"], at, "no such directory");
    refuse(&["chat", "run", "--load", "talk.json", "--system", "Be brief."], at, "cannot be used with");
    refuse(&["chat", "run", "--reasoning", "huge"], at, "possible values: low, medium, high");
    refuse(&["chat", "run", "--prompt", &"7 ".repeat(200)], at, "the context holds 200");
    fs::write(at.join("run/system.json"), "{").unwrap();
    refuse(&["chat", "run"], at, "system.json: ");
}
