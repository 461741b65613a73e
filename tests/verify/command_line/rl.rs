//! `ossia train --rl`, and tasks from files.

use super::{refuse, succeed, text, workplace};
use std::fs;
use std::path::Path;

/// Writes questions, and trains a model a little on their answers.
fn write_base(at: &Path) {
    let line =
        |i: usize| format!("{{\"question\": \"What is {i} + 1?\", \"answer\": {}, \"reasoning\": \"Add.\"}}\n", i + 1);
    let city = "{\"question\": \"The capital of France?\", \"answer\": \"Paris\"}\n";
    fs::write(at.join("questions.jsonl"), (0..9).map(line).collect::<String>() + city).unwrap();
    let sft = ["--task", "questions.jsonl", "--context", "512", "--batch-size", "1", "--steps", "3", "--out", "base"];
    let said = text(&succeed(&[&["train", "--config", "small.json"], &sft[..]].concat(), at).stderr);
    assert!(said.contains("to train on: 9 conversations") && said.contains("to measure on: 1 conversation"), "{said}");
}

const RL: [&str; 19] = [
    "train",
    "--init",
    "base",
    "--rl",
    "questions.jsonl",
    "--batch-size",
    "3",
    "--samples",
    "4",
    "--longest",
    "8",
    "--questions",
    "2",
    "--schedule",
    "constant",
    "--save-every",
    "2",
    "--learning-rate",
    "0.01",
];

#[test]
fn command_line_rl_learns_and_resumes_bit_for_bit() {
    let place = workplace();
    let at = place.path();
    write_base(at);
    let file = |run: &str, name: &str| fs::read(at.join(run).join(name)).unwrap();
    let prices = ["--price", "0.1,0.2,0.3", "--kl", "0.1"];
    for (name, more) in [
        ("plain", vec![]),
        ("gspo", vec!["--objective", "gspo", "--updates", "2"]),
        ("fast", vec!["--fast-rollouts", "--replay-routing", "--objective", "cispo"]),
        ("lora", vec!["--lora", "2"]),
    ] {
        let run = |steps: &str, out: &str| {
            let arguments = [&RL[..], &prices, &more, &["--steps", steps, "--out", out]].concat();
            text(&succeed(&arguments, at).stderr)
        };
        let [whole, parts] = ["whole", "parts"].map(|kind| format!("{name}-{kind}"));
        let said = run("4", &whole);
        assert!(said.contains("9 questions, and 1 that are held out; 4 steps of 3 questions × 4 rollouts"), "{said}");
        assert!(said.contains("step 4/4  reward -") && said.contains("held-out questions: right "), "{said}");
        assert_eq!(said.contains("mismatch "), name == "fast", "{said}");
        run("2", &parts);
        let resumed = text(&succeed(&["train", "--resume", "--out", &parts, "--steps", "4"], at).stderr);
        assert!(!resumed.contains("step 2/4") && resumed.contains("step 3/4"), "{resumed}");
        let model = if name == "lora" { "adapter_model.safetensors" } else { "model.safetensors" };
        for kind in ["state.safetensors", model] {
            assert!(file(&whole, kind) == file(&parts, kind), "{name}: {kind}");
        }
        let steps = text(&file(&whole, "metrics.jsonl"));
        let rollouts = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split("\"held_out\"").next().unwrap().to_string()).collect()
        };
        assert_eq!(rollouts(&steps), rollouts(&text(&file(&parts, "metrics.jsonl"))), "{name}");
        assert!(steps.lines().count() == 4 && text(&file(&whole, "rewards.svg")).contains("reward per rollout"));
    }
    assert!(file("base", "model.safetensors") != file("plain-whole", "model.safetensors"));
    assert!(file("base", "tokenizer.json") == file("plain-whole", "tokenizer.json"));
    refuse(&["train", "--resume", "--out", "plain-whole"], at, "is finished: 4 steps; give more with --steps");
    let again = [&["train", "--resume", "--out", "plain-whole"], &RL[1..5]].concat();
    refuse(&again, at, "--init cannot change with --resume");
    fs::write(at.join("questions.jsonl"), "{\"question\": \"a\", \"answer\": 1}\n".repeat(3)).unwrap();
    let changed = "the questions are not those with which the run was started";
    refuse(&["train", "--resume", "--out", "plain-whole", "--steps", "6"], at, changed);
}

#[test]
fn command_line_rl_says_when_rewards_are_equal() {
    let place = workplace();
    let at = place.path();
    write_base(at);
    let said = text(&succeed(&[&RL[..], &["--steps", "1", "--out", "run"]].concat(), at).stderr);
    assert!(said.contains("3 groups with equal rewards are skipped"), "nothing is right by chance: {said}");
    let measured = text(&succeed(&["eval", "run", "--task", "questions.jsonl"], at).stdout);
    assert!(measured.starts_with("10 questions, of which 1 are held out from training"), "{measured}");
    assert!(["low ", "medium ", "high "].iter().all(|effort| measured.contains(effort)), "{measured}");
    let json = ["eval", "run", "--task", "questions.jsonl", "--json", "results.json"];
    refuse(&json, at, "--json: has no effect on the questions of a file");
    let read = text(&succeed(&["eval", "run", "--data", "questions.jsonl"], at).stdout);
    assert!(read.starts_with("10 conversations, "), "{read}");
}

#[test]
fn command_line_rl_refuses_what_it_cannot_use() {
    let place = workplace();
    let at = place.path();
    write_base(at);
    let cases: [(&[&str], &str); 12] = [
        (&["--samples", "1"], "error: --samples 1: expected at least 2"),
        (&["--price", "1,2"], "error: --price: expected three numbers, for low, medium and high effort"),
        (&["--price", "0,-1,0"], "error: --price -1: expected 0 or more"),
        (&["--price", "inf,0,0"], "error: --price inf: expected a finite number"),
        (&["--kl", "NaN"], "error: --kl NaN: expected 0 or more"),
        (&["--longest", "0"], "error: --longest 0: expected at least 1"),
        (&["--updates", "0"], "error: --updates 0: expected 1 to 1024"),
        (&["--objective", "ppo"], "invalid value 'ppo' for '--objective <NAME>'"),
        (&["--clip-ratio", "0.1"], "--objective"),
        (&["--ranks", "2"], "error: --rl: reinforcement learning runs on one rank"),
        (&["--context", "16"], "cannot be used with"),
        (&["--questions", "0"], "error: --questions 0: expected at least 1"),
    ];
    for (more, expected) in cases {
        let flag = RL.iter().position(|argument| *argument == more[0]);
        let kept = flag.map_or(RL.to_vec(), |flag| [&RL[..flag], &RL[flag + 2..]].concat());
        refuse(&[&kept[..], more, &["--steps", "1", "--out", "x"]].concat(), at, expected);
    }
    refuse(&["train", "--rl", "questions.jsonl", "--out", "x"], at, "--init");
    let lines = [
        (
            "{\"question\": \"a\", \"answer\": 1}\n{\"question\": 2, \"answer\": 1}",
            "q.jsonl:2: question: expected a text",
        ),
        ("{\"question\": \"a\"}\n", "q.jsonl:1: answer is missing"),
        ("{\"question\": \"a\", \"answer\": {\"pattern\": \"(\"}}\n", "q.jsonl:1: answer.pattern: \"(\" is malformed"),
        ("{\"question\": \"a\", \"answer\": 1}\n", "q.jsonl: expected at least two questions"),
        ("{\"question\": \"a\", \"answer\": 1, \"reasoning\": 3}\n", "q.jsonl:1: reasoning: expected a text"),
    ];
    for (content, expected) in lines {
        fs::write(at.join("q.jsonl"), content).unwrap();
        refuse(&["train", "--init", "base", "--rl", "q.jsonl", "--out", "x"], at, expected);
        refuse(&["eval", "base", "--task", "q.jsonl"], at, expected);
    }
    refuse(
        &["train", "--init", "base", "--rl", "missing.jsonl", "--out", "x"],
        at,
        "--rl missing.jsonl: expected arithmetic, or a JSONL file of ",
    );
    let pattern = "{\"question\": \"a\", \"answer\": {\"pattern\": \"a+\"}}\n".repeat(2);
    fs::write(at.join("q.jsonl"), pattern).unwrap();
    refuse(
        &["train", "--config", "small.json", "--task", "q.jsonl", "--context", "512", "--out", "x"],
        at,
        "q.jsonl:1: answer: a pattern can be checked, but not learned",
    );
    assert!(!at.join("x").exists());
}
