//! Runs that are divided among ranks: `ossia train --ranks`.

use super::{losses, refuse, succeed, train, workplace};
use std::fs;

/// The model, the state and the settings are those of one rank that computes all micro-batches, and any number of ranks can
/// continue the run.
#[test]
fn command_line_ranks_leave_the_files_of_one_process() {
    let place = workplace();
    let at = place.path();
    let files = |run: &str| {
        let read = |name: &str| fs::read(at.join(run).join(name)).unwrap();
        ["model.safetensors", "state.safetensors", "train.json", "samples.txt", "README.md"].map(read)
    };
    let steps = ["--steps", "6", "--eval-every", "3"];
    succeed(&train(&[&steps[..], &["--accumulate", "4", "--out", "one"]].concat()), at);
    succeed(&train(&[&steps[..], &["--accumulate", "2", "--ranks", "2", "--out", "two"]].concat()), at);
    succeed(&train(&[&steps[..], &["--ranks", "4", "--out", "four"]].concat()), at);
    succeed(&train(&[&steps[..], &["--ranks", "4", "--expert-parallel", "2", "--out", "spread"]].concat()), at);
    for run in ["two", "four", "spread"] {
        assert_eq!(losses(&at.join(run)), losses(&at.join("one")), "{run}");
        assert!(files(run) == files("one"), "the files of {run}");
    }
    for (run, ranks, group) in [("one", "1", "1"), ("two", "3", "1"), ("four", "2", "2"), ("spread", "2", "1")] {
        let resume = ["train", "--resume", "--out", run, "--steps", "9", "--ranks", ranks, "--expert-parallel", group];
        succeed(&resume, at);
        assert_eq!(losses(&at.join(run)), losses(&at.join("one")), "{run}");
        assert!(files(run) == files("one"), "the files of {run}");
    }
    let before = files("one");
    refuse(&["train", "--resume", "--out", "one", "--steps", "12", "--ranks", "5"], at, "5 ranks: expected 1 to 4");
    refuse(&["train", "--resume", "--out", "one", "--steps", "12", "--ranks", "0"], at, "--ranks 0: expected 1 to 64");
    let spread = |ranks: &'static str, group: &'static str| {
        train(&["--ranks", ranks, "--expert-parallel", group, "--out", "none"])
    };
    for (group, expected) in
        [("3", "a divisor of 4, the number of ranks"), ("0", "a divisor of 4, the number of ranks")]
    {
        refuse(&spread("4", group), at, &format!("--expert-parallel {group}: expected {expected}"));
    }
    refuse(&spread("8", "8"), at, "--expert-parallel 8: expected a divisor of 4, the number of experts");
    refuse(&spread("1", "2"), at, "--expert-parallel 2: expected a divisor of 1, the number of ranks");
    let dense = train(&["--config", "dense.json", "--ranks", "2", "--expert-parallel", "2", "--out", "none"]);
    refuse(&dense, at, "--expert-parallel 2: this model has no experts");
    let uneven = ["train", "--resume", "--out", "one", "--steps", "12", "--ranks", "3", "--expert-parallel", "3"];
    refuse(&uneven, at, "--expert-parallel 3: expected a divisor of 4, the number of experts");
    assert!(files("one") == before);
    for ranks in ["0", "65", "18446744073709551615"] {
        refuse(&train(&["--ranks", ranks, "--out", "none"]), at, &format!("--ranks {ranks}: expected 1 to 64"));
    }
    refuse(
        &train(&["--ranks", "2", "--accumulate", "40000", "--out", "none"]),
        at,
        "--accumulate 80000: expected 1 to",
    );
    assert!(!at.join("none").exists());
}

/// Without MPI, processes of a launcher would all train the whole model, and write the same files.
#[cfg(not(feature = "mpi"))]
#[test]
fn command_line_without_mpi_is_one_process() {
    let place = workplace();
    for (name, size) in [("OMPI_COMM_WORLD_SIZE", "2"), ("PMI_SIZE", "3")] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ossia"));
        let output = command.args(train(&["--out", "run"])).env(name, size).current_dir(place.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let message = super::text(&output.stderr);
        assert!(message.starts_with(&format!("error: {size} processes were started")), "{message}");
        assert!(!place.path().join("run").exists());
    }
}

/// If rank 0 cannot write, all ranks end.
#[cfg(unix)]
#[test]
fn command_line_ranks_end_with_the_one_that_cannot_write() {
    let place = workplace();
    let at = place.path();
    let train = train(&["--steps", "50", "--save-every", "1", "--ranks", "3", "--out", "run"]).join(" ");
    let script = format!("trap '' XFSZ; ulimit -f 64; exec {} {train}", env!("CARGO_BIN_EXE_ossia"));
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(at).output().unwrap();
    let message = super::text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("step 1/50"), "{message}");
    let last = message.lines().last().unwrap();
    assert!(last.starts_with("error: run/") && last.contains("cannot write"), "{message}");
}
