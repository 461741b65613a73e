//! Checks the exercises: `cargo run -q -p exercises -- rms_norm`.

use clap::{Parser, Subcommand};
use exercises::check::{Outcome, check};
use exercises::say;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};

/// Checks what you wrote in book/exercises/src.
#[derive(Parser)]
#[command(name = "exercises", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The exercise, or a part of its name. Without a name, the command lists all exercises
    name: Option<String>,
    /// Check the solutions instead
    #[arg(long)]
    solutions: bool,
    #[command(subcommand)]
    command: Option<Watch>,
}

#[derive(Subcommand)]
enum Watch {
    /// Check an exercise again whenever a file of the exercises is saved; Ctrl-C ends this
    Watch {
        /// The exercise, or a part of its name
        name: String,
    },
}

fn main() -> ExitCode {
    let Arguments { name, solutions, command } = Arguments::parse();
    match (command, name) {
        (Some(Watch::Watch { name }), _) => watch(&name),
        (None, Some(name)) => one(&name, solutions),
        (None, None) => list(solutions),
    }
}

fn one(name: &str, solutions: bool) -> ExitCode {
    let outcomes = check(name, solutions);
    if outcomes.is_empty() {
        let names: Vec<&str> = check("", true).iter().map(|outcome| outcome.name).collect();
        eprintln!("error: there is no exercise {name}; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    for outcome in &outcomes {
        say(&format!("{}\n{}", outcome.name, outcome.report.trim_end()));
        let Outcome { name, held, proofs, wrong, .. } = outcome;
        if !outcome.is_proved() && !wrong {
            say(&format!("\n  {held} of {proofs} proofs hold. Continue in book/exercises/src/{name}.rs"));
        }
    }
    if outcomes.iter().all(Outcome::is_proved) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints one line per exercise.
fn list(solutions: bool) -> ExitCode {
    let outcomes = check("", solutions);
    for outcome in &outcomes {
        let Outcome { name, held, proofs, wrong, .. } = outcome;
        let state = match (outcome.is_proved(), wrong) {
            (true, _) => "✓ proved".to_string(),
            (_, true) => format!("✗ a proof fails ({held} of {proofs} hold)"),
            _ if *held == 0 => "· not written yet".to_string(),
            _ => format!("· {held} of {proofs} proofs hold"),
        };
        say(&format!("{name:17} {state}"));
    }
    say("\nThe proofs of one exercise: cargo run -q -p exercises -- rms_norm");
    if outcomes.iter().any(|outcome| outcome.wrong) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Builds and checks in a new process whenever a file has changed, because the running process contains the old code.
fn watch(name: &str) -> ExitCode {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut before = None;
    loop {
        let now = newest(&files);
        if before != Some(now) {
            before = Some(now);
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let arguments = ["run", "--quiet", "--package", "exercises", "--", name];
            if let Err(error) = Command::new(cargo).args(arguments).status() {
                eprintln!("error: cannot run cargo: {error}");
                return ExitCode::from(2);
            }
            say(&format!("\nWaiting for a change in {} (Ctrl-C ends this)", files.display()));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Returns the time of the most recent change to a file in `directory` or below it.
fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let times = entries.map(|entry| entry.path()).map(|path: PathBuf| match path.is_dir() {
        true => newest(&path),
        false => path.metadata().and_then(|metadata| metadata.modified()).ok(),
    });
    times.max().flatten()
}
