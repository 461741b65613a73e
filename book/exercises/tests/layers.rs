//! `cargo test -p exercises rms_norm`: the three proofs of a layer, and what follows from them.
//!
//! With `--solutions` behind `--`, those of `solutions/` are looked at instead.

use exercises::proofs::*;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// How the proofs of a layer went.
enum Outcome {
    Proved,
    NotWritten,
    Wrong,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|a| !a.starts_with('-')).cloned().unwrap_or_default();
    let solutions = arguments.iter().any(|a| a == "--solutions");
    panic::set_hook(Box::new(|_| {})); // what a layer panics with is told below, in a line
    let chapters: [(&str, fn(bool) -> Outcome); 9] = [
        (Embedding::NAME, prove::<Embedding>),
        (RmsNorm::NAME, prove::<RmsNorm>),
        (Rope::NAME, prove::<Rope>),
        (Attention::NAME, prove::<Attention>),
        (Swiglu::NAME, prove::<Swiglu>),
        (TopK::NAME, prove::<TopK>),
        (CrossEntropy::NAME, prove::<CrossEntropy>),
        (AdamW::NAME, prove::<AdamW>),
        (Mxfp4::NAME, prove::<Mxfp4>),
    ];
    let (mut proved, mut open, mut wrong) = (0, Vec::new(), 0);
    for (name, prove) in chapters.iter().filter(|(name, _)| name.contains(&filter)) {
        match prove(solutions) {
            Outcome::Proved => proved += 1,
            Outcome::NotWritten => open.push(*name),
            Outcome::Wrong => wrong += 1,
        }
    }
    if !open.is_empty() {
        println!("\nNot written yet, in book/exercises/src/: {}", open.join(", "));
    }
    println!("\n{proved} proved, {wrong} wrong, {} not written yet", open.len());
    if wrong == 0 && open.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn prove<L: Layer>(solution: bool) -> Outcome {
    let layer = if solution { L::solution() } else { L::yours() };
    let mut lines = Vec::new();
    let mut failed = None;
    for (name, proof) in L::proofs() {
        let name = name.replace('_', " ");
        match panic::catch_unwind(AssertUnwindSafe(|| proof(&layer))) {
            Ok(Ok(())) => lines.push(format!("  ✓ {name}")),
            Ok(Err(why)) => failed = failed.or(Some(format!("  ✗ {name}: {why}"))),
            Err(panic) => match message(&*panic) {
                m if m.starts_with("not yet implemented") => return Outcome::NotWritten,
                m => failed = failed.or(Some(format!("  ✗ {name}: it panics: {m}"))),
            },
        }
    }
    println!("\n{}", L::NAME);
    lines.iter().for_each(|line| println!("{line}"));
    match failed {
        None => println!("\n  {}", L::WON.split_whitespace().collect::<Vec<_>>().join(" ")),
        Some(why) => {
            println!("{why}");
            let sample = panic::catch_unwind(AssertUnwindSafe(|| layer.sample())).unwrap_or_default();
            let known = L::mutants().into_iter().find(|mutant| same(&sample, &mutant.layer.sample()));
            if let Some(Mutant { says, .. }) = known.filter(|_| !same(&sample, &L::solution().sample())) {
                println!("    It computes what one gets when {says}.");
            }
            return Outcome::Wrong;
        }
    }
    Outcome::Proved
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
