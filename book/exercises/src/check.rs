//! Checks an exercise and describes the result in words.

use crate::for_each_exercise;
use crate::proofs::{Exercise, Mutant, Proof, same};
use crate::say;
use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// The results of the proofs of an exercise.
pub struct Outcome {
    /// The exercise.
    pub name: &'static str,
    /// The number of proofs that hold.
    pub held: usize,
    /// The number of all proofs.
    pub proofs: usize,
    /// Whether a proof failed. Code that is not written yet does not fail.
    pub wrong: bool,
    /// A report for the reader.
    pub report: String,
}

impl Outcome {
    /// Returns whether all proofs hold.
    pub fn is_proved(&self) -> bool {
        self.held == self.proofs
    }
}

/// Checks the exercises whose name contains `filter`: the reader's code, or the solutions.
pub fn check(filter: &str, solutions: bool) -> Vec<Outcome> {
    panic::set_hook(Box::new(|_| {})); // the report contains the message of a panic, in one line
    let outcomes = for_each_exercise!(prove(filter, solutions)).into_iter().flatten().collect();
    _ = panic::take_hook();
    outcomes
}

fn prove<E: Exercise>(filter: &str, solutions: bool) -> Option<Outcome> {
    if !E::NAME.contains(filter) {
        return None;
    }
    let code = if solutions { E::solution() } else { E::yours() };
    let proofs = E::proofs();
    let mut outcome = Outcome { name: E::NAME, held: 0, proofs: proofs.len(), wrong: false, report: String::new() };
    for (name, proof) in proofs {
        let name = name.replace('_', " ");
        let running = end_if_it_hangs(format!("{}\n{}  ✗ {name}:", E::NAME, outcome.report));
        let result = carry_out(&code, proof);
        drop(running);
        let line = match result {
            None => format!("  · {name}: not written yet"),
            Some(Ok(())) => {
                outcome.held += 1;
                format!("  ✓ {name}")
            }
            Some(Err(why)) => {
                outcome.wrong = true;
                format!("  ✗ {name}:\n      {why}")
            }
        };
        outcome.report += &(line + "\n");
        if outcome.wrong {
            break; // the later proofs build on this one
        }
    }
    if outcome.wrong
        && let Some(bug) = known_bug(&code)
    {
        outcome.report +=
            &format!("      Your code computes the same numbers as code with a known bug:\n      {bug}.\n");
    }
    if outcome.is_proved() {
        outcome.report += &format!("\n  {}\n", E::LEARNED.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Some(outcome)
}

/// The time after which a proof counts as one that never ends. It has no other use: no proof measures time.
const LIMIT: Duration = Duration::from_secs(30);

/// Ends the program with a message if the result is not dropped within the [`LIMIT`]: a loop of the reader may never end.
fn end_if_it_hangs(report: String) -> Sender<()> {
    let (running, ended) = channel::<()>();
    thread::spawn(move || {
        if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            say(&format!(
                "{report}\n      it has not ended after {} seconds: is there a loop without an end?",
                LIMIT.as_secs()
            ));
            std::process::exit(1);
        }
    });
    running
}

/// Returns `None` if the proof needs a function that is not written yet.
fn carry_out<E>(code: &E, proof: fn(&E) -> Proof) -> Option<Proof> {
    match panic::catch_unwind(AssertUnwindSafe(|| proof(code))) {
        Ok(proof) => Some(proof),
        Err(panic) => match message(&*panic) {
            text if text.starts_with("not yet implemented") => None,
            text => Some(Err(format!("it panics: {text}"))),
        },
    }
}

/// Returns the description of a known bug if code with this bug computes the same numbers.
fn known_bug<E: Exercise>(code: &E) -> Option<&'static str> {
    let sample = panic::catch_unwind(AssertUnwindSafe(|| code.sample())).ok()?;
    if same(&sample, &E::solution().sample()) {
        return None;
    }
    E::mutants().into_iter().find(|Mutant { layer, .. }| same(&sample, &layer.sample())).map(|mutant| mutant.says)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
