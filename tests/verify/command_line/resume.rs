//! Runs that are killed, interrupted, or refused, and continued.

use super::{losses, refuse, succeed, text, train, workplace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until a file is there.
pub fn wait_for(path: &Path) {
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
    // Tests that run in the background of a script have SIGINT ignored, and so has what they start.
    let signal = if ossia::kernels::signals::is_ignored(2) { "-TERM" } else { "-INT" };
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "interrupted, and saved");
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

/// Starts a run that saves nothing before its end, and returns when it has taken a step.
fn start_a_long_run(at: &Path, out: &str) -> std::process::Child {
    let child = Command::new(env!("CARGO_BIN_EXE_ossia"))
        .args(train(&["--steps", "100000", "--eval-every", "0", "--save-every", "0", "--log-every", "1", "--out", out]))
        .current_dir(at)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&at.join(out).join("metrics.jsonl"));
    child
}

#[test]
fn command_line_one_process_works_in_a_run_directory() {
    let place = workplace();
    let at = place.path();
    let mut child = start_a_long_run(at, "run");
    refuse(&["train", "--resume", "--out", "run"], at, "another ossia train works in this directory");
    refuse(&train(&["--out", "run"]), at, "already holds something");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn command_line_a_run_killed_before_its_first_save_starts_anew() {
    let place = workplace();
    let at = place.path();
    let mut child = start_a_long_run(at, "killed");
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(at.join("killed/samples.txt"), "=== step 7\nof the killed run\n").unwrap();
    fs::write(at.join("killed/model.safetensors.4294967295.tmp"), "half").unwrap();
    let resumed = succeed(&["train", "--resume", "--out", "killed", "--steps", "9"], at);
    assert!(text(&resumed.stderr).contains("stopped before it saved anything: it starts anew"));
    let steps = ["--steps", "9", "--eval-every", "0", "--save-every", "0", "--log-every", "1", "--warmup", "5000"];
    succeed(&train(&[&steps[..], &["--out", "whole"]].concat()), at);
    assert_eq!(losses(&at.join("whole")), losses(&at.join("killed")));
    let samples = fs::read_to_string(at.join("killed/samples.txt")).unwrap();
    assert!(samples.starts_with("=== step 9\n") && !samples.contains("killed"), "{samples}");
    assert!(!at.join("killed/model.safetensors.4294967295.tmp").exists());
}

/// `nohup` ignores SIGHUP for the program that it starts, and a script ignores SIGINT for its background commands.
#[cfg(unix)]
#[test]
fn command_line_signals_that_were_ignored_stay_ignored() {
    let place = workplace();
    let at = place.path();
    let command =
        train(&["--steps", "300", "--eval-every", "0", "--save-every", "0", "--log-every", "1", "--out", "run"]);
    let command = format!("trap '' HUP INT; exec {} {}", env!("CARGO_BIN_EXE_ossia"), command.join(" "));
    let mut child = Command::new("sh")
        .args(["-c", &command])
        .current_dir(at)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&at.join("run/metrics.jsonl"));
    for signal in ["-HUP", "-INT"] {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(losses_so_far(&at.join("run")), 300);
}

#[test]
fn command_line_resumes_from_another_directory_and_says_how_the_schedule_changes() {
    let place = workplace();
    let at = place.path();
    fs::write(at.join("texts.txt"), "the cat sat on the mat, and the dog sat on the cat.\n".repeat(200)).unwrap();
    let data = ["--data", "texts.txt", "--eval-tokens", "40", "--steps", "3", "--out", "run"];
    let message = text(&succeed(&train(&data), at).stderr);
    assert!(message.contains("there is one document: its last 1040 of 10400 bytes are set aside"), "{message}");
    assert!(message.contains("evaluations use 40 tokens: 1 of 1 documents"), "{message}");
    let run = at.join("run").display().to_string();
    let elsewhere = tempfile::tempdir().unwrap();
    let message = text(&succeed(&["train", "--resume", "--out", &run, "--steps", "6"], elsewhere.path()).stderr);
    assert!(message.contains("the schedule now has 6 steps instead of 3: the learning rate of step 4 is"), "{message}");
    fs::write(at.join("texts.txt"), "other words\n".repeat(500)).unwrap();
    refuse(&["train", "--resume", "--out", &run, "--steps", "9"], elsewhere.path(), "the training text (");
}

#[test]
fn command_line_checks_every_number_of_train_json() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "2", "--out", "run"]), at);
    let path = at.join("run/train.json");
    let good: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (pointer, value, expected) in [
        ("/version", 4.0, "version 4: expected at most 3"),
        ("/version", 0.0, "version 0"),
        ("/stories", 1e8, "100000000 stories: expected at most 10000000"),
        ("/validation_fraction", 1.0, "--validation-fraction 1"),
        ("/settings/batch_size", 0.0, "--batch-size 0"),
        ("/settings/context", 0.0, "--context 0"),
        ("/settings/accumulate", 0.0, "--accumulate 0"),
        ("/settings/learning_rate", -1.0, "--learning-rate -1"),
        ("/settings/adamw/epsilon", 0.0, "--epsilon 0"),
        ("/settings/adamw/epsilon", -1.0, "--epsilon -1"),
        ("/settings/adamw/epsilon", 1e-60, "more than 0, at most 1"), // is 0 in f32
        ("/settings/adamw/epsilon", 1e308, "more than 0, at most 1"),
        ("/settings/adamw/beta1", 1.0, "--beta1 1"),
        ("/settings/adamw/clip", 0.0, "--clip 0"),
    ] {
        let mut changed = good.clone();
        let place = changed.pointer_mut(pointer).unwrap();
        *place = if place.is_u64() { (value as u64).into() } else { value.into() };
        fs::write(&path, changed.to_string()).unwrap();
        refuse(&["train", "--resume", "--out", "run", "--steps", "4"], at, expected);
    }
}

/// Every file of a run and of what is made of it is readable for whom the user's umask allows.
#[cfg(unix)]
#[test]
fn command_line_files_get_the_permissions_of_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let place = workplace();
    let at = place.path();
    for (umask, expected) in [("022", 0o644), ("077", 0o600)] {
        let train = train(&["--steps", "2", "--out", umask]).join(" ");
        let ossia = env!("CARGO_BIN_EXE_ossia");
        let script = format!(
            "umask {umask}; {ossia} {train} && {ossia} quantize {umask} {umask}/bf16 --to bf16 && \
             {ossia} trace {umask} --tokens 1,2 --out {umask}/trace.safetensors"
        );
        let output = Command::new("sh").args(["-c", &script]).current_dir(at).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mut names = Vec::new();
        for directory in [umask.to_string(), format!("{umask}/best"), format!("{umask}/bf16")] {
            for entry in fs::read_dir(at.join(directory)).unwrap().map(Result::unwrap) {
                let about = entry.metadata().unwrap();
                if about.is_file() {
                    assert_eq!(about.permissions().mode() & 0o777, expected, "{:?}", entry.path());
                    names.push(entry.file_name());
                }
            }
        }
        assert!(names.len() > 12, "{names:?}");
    }
}

/// A name that is not UTF-8 is read, kept in train.json, and read again.
#[cfg(target_os = "linux")]
#[test]
fn command_line_data_may_have_any_name() {
    use std::os::unix::ffi::OsStrExt;
    let place = workplace();
    let at = place.path();
    let name = std::ffi::OsStr::from_bytes(b"d\xff.txt");
    fs::write(at.join(name), "some words in a file with a strange name\n".repeat(200)).unwrap();
    for arguments in [&["--steps", "2"][..], &["--resume", "--steps", "4"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ossia"));
        if arguments[0] == "--resume" {
            command.arg("train");
        } else {
            command.args(train(&["--data"])).arg(name);
        }
        let output = command.args(arguments).args(["--out", "run"]).current_dir(at).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}
