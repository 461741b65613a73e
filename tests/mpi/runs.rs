//! Whole runs, on any number of ranks.

use crate::job::{files, job, mpirun, resume, text, train};
use crate::small::{losses, workplace};
use std::path::Path;
use std::process::Output;

pub fn same_files() {
    let place = workplace();
    let at = place.path();
    let steps = ["--steps", "6", "--eval-every", "3"];
    for (size, accumulate, run) in [(1, "4", "one"), (2, "2", "two"), (4, "1", "four")] {
        train(size, &[&steps[..], &["--accumulate", accumulate, "--out", run]].concat(), at);
        assert_eq!(losses(&at.join(run)), losses(&at.join("one")), "{run}");
        assert!(files(&at.join(run)) == files(&at.join("one")), "the files of {run}");
    }
    train(4, &[&steps[..], &["--expert-parallel", "2", "--out", "spread"]].concat(), at);
    assert_eq!(losses(&at.join("spread")), losses(&at.join("one")));
    assert!(files(&at.join("spread")) == files(&at.join("one")), "the files of ranks that spread experts");
    same_files_from_prepared_text(at, &steps);
    let muon = ["--steps", "4", "--optimizer", "muon"];
    train(1, &[&muon[..], &["--accumulate", "3", "--out", "alone"]].concat(), at);
    train(3, &[&muon[..], &["--out", "three"]].concat(), at);
    assert!(files(&at.join("three")) == files(&at.join("alone")));
}

/// Two ranks that map the tokens train as one process that reads the text.
fn same_files_from_prepared_text(at: &Path, steps: &[&str]) {
    let prepare = "tokenizer prepare --data builtin --stories 60 --vocab-size 300 --out prepared";
    let run = "train --config small.json --context 16 --batch-size 2 --log-every 1 --accumulate 2 --data prepared --out mapped";
    let split = |text: &'static str| text.split(' ').collect::<Vec<_>>();
    for (size, arguments) in [(1, split(prepare)), (2, [&split(run)[..], steps].concat())] {
        let output = job(size, &arguments, at).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let trained = |run: &str| files(&at.join(run)).into_iter().take(2).collect::<Vec<_>>(); // the others name the data
    assert!(trained("mapped") == trained("one"), "the files of ranks that map the tokens");
}

pub fn resume_with_any() {
    let place = workplace();
    let at = place.path();
    train(1, &["--accumulate", "4", "--steps", "8", "--schedule", "constant", "--out", "one"], at);
    train(4, &["--steps", "3", "--schedule", "constant", "--out", "four"], at);
    for (size, steps) in [(1, "4"), (2, "6"), (3, "8")] {
        resume(size, "four", &["--steps", steps], at);
    }
    let without_cards = |run: &str| files(&at.join(run)).into_iter().take(2).collect::<Vec<_>>();
    assert!(without_cards("four") == without_cards("one"));
}

/// Rank 0 generates, and the others hold experts.
pub fn generate() {
    let place = workplace();
    let at = place.path();
    train(1, &["--steps", "20", "--out", "run"], at);
    let generate = ["generate", "run", "--prompt", "Once", "-n", "40", "--seed", "3"];
    let texts: Vec<Output> = [1, 2, 4].iter().map(|&size| job(size, &generate, at).output().unwrap()).collect();
    assert!(texts[0].status.success() && texts[0].stdout.len() > 40, "{}", text(&texts[0].stderr));
    for other in &texts[1..] {
        assert!(other.status.success(), "{}", text(&other.stderr));
        assert_eq!(text(&other.stdout), text(&texts[0].stdout));
        assert_eq!(text(&other.stderr).matches("tokens/s").count(), 1, "{}", text(&other.stderr));
    }
    let three = job(3, &generate, at).output().unwrap();
    let printed = text(&three.stderr);
    assert_eq!(printed.matches("error: 4 experts cannot be spread evenly over 3 ranks").count(), 3, "{printed}");
    // Rank 1 opens another model.
    train(1, &["--steps", "1", "--out", "other"], at);
    let mut command = mpirun();
    let ossia = env!("CARGO_BIN_EXE_ossia");
    command.args(["-n", "1", ossia]).args(generate).args([":", "-n", "1", ossia, "generate", "other"]).current_dir(at);
    let printed = text(&command.output().unwrap().stderr);
    assert_eq!(printed.matches("error: rank 1: its model is not that of rank 0").count(), 2, "{printed}");
}

/// Ranks divide the cores, and rank 0 says so if they have been given more threads than there are.
pub fn cores() {
    let place = workplace();
    let at = place.path();
    let cores = std::thread::available_parallelism().unwrap().get();
    let printed = train(2, &["--steps", "2", "--threads", &cores.to_string(), "--out", "crowded"], at);
    let warning = format!("warning: 2 ranks have {} threads on a machine with {cores} cores", 2 * cores);
    assert_eq!(printed.matches("warning").count(), 1, "{printed}");
    assert!(printed.contains(&warning), "{printed}");
    if cores > 1 {
        let printed = train(2, &["--steps", "2", "--out", "divided"], at);
        assert!(!printed.contains("warning"), "{printed}");
        // Progress, notes and samples are those of one rank.
        assert_eq!(printed.matches("step 1/2 ").count(), 1, "{printed}");
        assert_eq!(printed.matches("each of the 2 ranks takes about").count(), 1, "{printed}");
        assert_eq!(printed.matches("a step of 2 ranks took").count(), 1, "{printed}");
    }
}
