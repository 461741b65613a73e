//! `ossia speedrun`: a tiny one from its beginning to its report, killed and continued in every stage.

use super::resume::wait_for;
use super::{ossia, refuse, succeed, text};
use ossia::config::ModelConfig;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A directory with an architecture that goes through all stages in seconds.
fn place() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let config = ModelConfig {
        layers: 1,
        windows: vec![None],
        hidden_size: 32,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        vocab_size: 512,
        experts: 2,
        experts_per_token: 1,
        intermediate_size: 32,
        ..ModelConfig::nano()
    };
    fs::write(directory.path().join("tiny.json"), config.to_json()).unwrap();
    directory
}

const TINY: [&str; 7] = ["speedrun", "--config", "tiny.json", "--steps", "3,3,4", "--questions", "1"];

fn start(at: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ossia"))
        .args(arguments)
        .current_dir(at)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The files to which a report links.
fn linked(report: &str) -> Vec<&str> {
    report.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect()
}

#[test]
fn command_line_speedrun_continues_in_every_stage_and_reports() {
    let place = place();
    let at = place.path();
    let whole = start(at, &[&TINY[..], &["--out", "whole"]].concat());
    let continued = ["speedrun", "--out", "parts"];

    // Killed: before and after the first state of a run, and while a model is quantized.
    let mut child = start(at, &[&TINY[..], &["--out", "parts"]].concat());
    for file in ["pretrained/state.safetensors", "finetuned/train.json", "reinforced/tokenizer.json"] {
        wait_for(&at.join("parts").join(file));
        child.kill().unwrap(); // no chance to clean up
        child.wait().unwrap();
        child = start(at, &continued);
    }
    // Asked to stop.
    #[cfg(unix)]
    {
        wait_for(&at.join("parts/reinforced/state.safetensors"));
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains("\n$ ossia train ") || said.contains("\n$ ossia eval"), "{said}");
        assert!(said.ends_with("the speedrun is stopped; go on with: ossia speedrun --out parts\n"), "{said}");
        child = start(at, &continued);
    }
    assert!(child.wait_with_output().unwrap().status.success());
    let output = whole.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");

    let commands: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("$ ossia ")).collect();
    let begins = ["tokenizer train", "train", "eval", "train", "eval", "train", "eval", "quantize", "eval"];
    assert_eq!(commands.len(), begins.len(), "{said}");
    assert!(commands.iter().zip(begins).all(|(command, begin)| command.starts_with(begin)), "{commands:?}");
    for file in [
        "tokenizer/tokenizer.json",
        "pretrained/model.safetensors",
        "finetuned/model.safetensors",
        "reinforced/model.safetensors",
        "reinforced/state.safetensors",
        "reinforced/metrics.jsonl",
        "quantized/model.safetensors",
        "eval-pretrained.json",
        "eval-quantized.json",
    ] {
        let [a, b] = ["whole", "parts"].map(|out| fs::read(at.join(out).join(file)).unwrap());
        assert!(a == b, "{file}");
    }
    let trained = |model: &str| fs::read(at.join("whole").join(model).join("model.safetensors")).unwrap();
    assert!(trained("pretrained") != trained("finetuned") && trained("finetuned") != trained("reinforced"));

    let report = fs::read_to_string(at.join("whole/report.md")).unwrap();
    for part in
        ["## Results", "## Stages", "## Curves", "## Conversations", "| quantized |", "**High effort, reinforced:**"]
    {
        assert!(report.contains(part), "{part} in\n{report}");
    }
    assert!(commands.iter().all(|command| report.contains(&format!("\nossia {command}\n"))), "{report}");
    assert_eq!(linked(&report), ["pretrained/loss.svg", "finetuned/loss.svg", "reinforced/rewards.svg"]);
    assert!(linked(&report).iter().all(|file| at.join("whole").join(file).exists()));
    assert!(fs::read_to_string(at.join("parts/report.md")).unwrap().contains("more than "), "the time of a killed run");

    // What is finished is not done again, unless its record is lost.
    let again = text(&succeed(&["speedrun", "--out", "whole"], at).stderr);
    assert!(!again.contains("$ ossia") && again.contains("eval-quantized: finished, "), "{again}");
    forget(&at.join("whole"), &["reinforced", "quantized"]);
    let weights = fs::read(at.join("whole/reinforced/model.safetensors")).unwrap();
    fs::write(at.join("whole/reinforced/model.safetensors"), "of an earlier step").unwrap();
    let again = text(&succeed(&["speedrun", "--out", "whole"], at).stderr);
    assert!(again.contains("$ ossia quantize") && !again.contains("$ ossia train"), "{again}");
    assert!(fs::read(at.join("whole/reinforced/model.safetensors")).unwrap() == weights);

    for (more, expected) in [
        (&["--seed", "1"][..], "whole: has a speedrun with another --seed; leave --seed out, or choose another --out"),
        (&["--steps", "3,3,5"], "with another --steps"),
        (&["--preset", "nano"], "with another --preset"),
        (&["--questions", "2"], "with another --questions"),
    ] {
        refuse(&[&["speedrun", "--out", "whole"], more].concat(), at, expected);
    }
}

/// Removes stages from the record of a speedrun, as if it had been killed before it noted that they are finished.
fn forget(out: &Path, stages: &[&str]) {
    let path = out.join("speedrun.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for stage in stages {
        assert!(record["stages"].as_object_mut().unwrap().remove(*stage).is_some(), "{stage}");
    }
    fs::write(path, record.to_string()).unwrap();
}

#[test]
fn command_line_speedrun_refuses_what_it_cannot_use() {
    let place = place();
    let at = place.path();
    let short = fs::read_to_string(at.join("tiny.json")).unwrap();
    fs::write(
        at.join("short.json"),
        short.replace("\"max_position_embeddings\": 256", "\"max_position_embeddings\": 128"),
    )
    .unwrap();
    fs::write(at.join("narrow.json"), short.replace("\"hidden_size\": 32", "\"hidden_size\": 16")).unwrap();
    fs::create_dir(at.join("mine")).unwrap();
    fs::write(at.join("mine/letter.txt"), "hello").unwrap();
    fs::create_dir(at.join("broken")).unwrap();
    fs::write(at.join("broken/speedrun.json"), "{}").unwrap();
    for (arguments, expected) in [
        (&["--out", "mine"][..], "error: mine: already holds something that is not a speedrun; choose another --out"),
        (&["--out", "broken"], "error: broken/speedrun.json: missing field"),
        (
            &["--out", "x", "--steps", "1,2"],
            "error: --steps: expected three numbers, for pretraining, fine-tuning and ",
        ),
        (&["--out", "x", "--steps", "0,1,1"], "0 is not in 1.."),
        (&["--out", "x", "--questions", "0"], "0 is not in 1..=10000"),
        (&["--out", "x", "--preset", "mini"], "mini"),
        (&["--out", "x", "--config", "missing.json"], "missing.json"),
        (&["--out", "x", "--config", "short.json"], "short.json: a context of 128: expected at least 256 tokens"),
        (&["--out", "x", "--config", "narrow.json"], "narrow.json: rows of 16 numbers are not whole blocks of 32"),
        (&["--out", "x", "--preset", "nano", "--config", "tiny.json"], "cannot be used with"),
        (&["--out", "tiny.json"], "tiny.json"),
    ] {
        refuse(&[&["speedrun"], arguments].concat(), at, expected);
    }
    assert!(!at.join("x").exists());
    assert_eq!(fs::read_dir(at.join("mine")).unwrap().count(), 1, "nothing is added");

    let mut child = start(at, &[&TINY[..], &["--out", "run"]].concat());
    wait_for(&at.join("run/speedrun.json"));
    refuse(&["speedrun", "--out", "run"], at, "run: another ossia speedrun works in this directory");
    child.kill().unwrap();
    child.wait().unwrap();
    let other = ossia(&["train", "--out", "run", "--steps", "1"], at);
    assert_eq!(other.status.code(), Some(2), "a run does not begin in the directory of a speedrun");
}
