//! Runs that are killed, interrupted, or refused, and continued.

use super::{losses, refuse, succeed, text, train, workplace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until a file is there.
fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn command_line_killed_and_resumed_equals_uninterrupted_with_one_thread_and_two() {
    let place = workplace();
    let at = place.path();
    let steps = ["--steps", "60", "--eval-every", "20"];
    succeed(&train(&[&steps[..], &["--out", "whole"]].concat()), at);
    for threads in ["1", "2"] {
        let run = format!("killed-{threads}");
        let arguments = train(&[&steps[..], &["--out", &run, "--threads", threads]].concat());
        let mut child = Command::new(env!("CARGO_BIN_EXE_ossia"))
            .args(&arguments)
            .current_dir(at)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&at.join(&run).join("state.safetensors"));
        child.kill().unwrap(); // no chance to clean up
        child.wait().unwrap();
        let before = losses_so_far(&at.join(&run));
        assert!(before < 60, "killed before its end, at step {before}");
        succeed(&["train", "--resume", "--out", &run, "--threads", threads], at);
        assert_eq!(losses(&at.join("whole")), losses(&at.join(&run)), "{threads} threads");
        let weights = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
        assert_eq!(weights("whole"), weights(&run));
        refuse(&["train", "--resume", "--out", &run], at, "is finished: 60 steps; give more with --steps");
    }
}

#[test]
fn command_line_a_resume_that_is_refused_changes_nothing() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "3", "--out", "run"]), at);
    let path = |name: &str| at.join("run").join(name);
    let mut settings: serde_json::Value = serde_json::from_slice(&fs::read(path("train.json")).unwrap()).unwrap();
    settings["settings"]["batch_size"] = 1_000_000_000.into();
    fs::write(path("train.json"), settings.to_string()).unwrap();
    let metrics = fs::read_to_string(path("metrics.jsonl")).unwrap();
    let beyond = metrics.lines().last().unwrap().replace("\"step\":3", "\"step\":4"); // is cut when the run continues
    fs::write(path("metrics.jsonl"), format!("{metrics}{beyond}\n")).unwrap();
    let names = ["train.json", "metrics.jsonl", "state.safetensors"];
    let before = names.map(|name| fs::read(path(name)).unwrap());
    refuse(&["train", "--resume", "--out", "run", "--steps", "5"], at, "a batch of 1000000000 windows");
    assert_eq!(names.map(|name| fs::read(path(name)).unwrap()), before);
}

fn losses_so_far(run: &Path) -> usize {
    fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default().lines().count()
}

#[cfg(unix)]
#[test]
fn command_line_ctrl_c_saves_and_leaves() {
    let place = workplace();
    let at = place.path();
    let child = Command::new(env!("CARGO_BIN_EXE_ossia"))
        .args(train(&["--steps", "100000", "--eval-every", "100000", "--out", "run"]))
        .current_dir(at)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&at.join("run/state.safetensors"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let message = text(&output.stderr);
    assert!(message.contains("everything is saved") && message.contains("ossia train --resume --out run"), "{message}");
    let stopped = losses_so_far(&at.join("run"));
    let more = (stopped + 2).to_string();
    let message = text(&succeed(&["train", "--resume", "--out", "run", "--steps", &more], at).stderr);
    assert!(message.contains(&format!("step {more}/{more}")), "it goes on where it stopped: {message}");
    assert_eq!(losses_so_far(&at.join("run")), stopped + 2);
}

#[cfg(unix)]
#[test]
fn command_line_full_disk_while_saving_loses_nothing() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "3", "--out", "run"]), at);
    let state = || fs::read(at.join("run/state.safetensors")).unwrap();
    let before = state();
    // No file may grow beyond 64 × 512 bytes: the same failed write as on a full disk.
    let resume =
        format!("trap '' XFSZ; ulimit -f 64; exec {} train --resume --out run --steps 4", env!("CARGO_BIN_EXE_ossia"));
    let output = Command::new("sh").args(["-c", &resume]).current_dir(at).output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    let last = message.lines().last().unwrap();
    assert!(last.starts_with("error: run/") && last.contains("cannot write"), "{message}");
    assert_eq!(state(), before);
    let left: Vec<PathBuf> = fs::read_dir(at.join("run")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.extension().is_none_or(|e| e != "tmp")), "{left:?}");
    succeed(&["train", "--resume", "--out", "run", "--steps", "4"], at);
}
