//! Shows programs with bugs and lets the reader guess what is wrong: `cargo run -q -p exercises --bin hunt -- 3`.

use clap::Parser;
use exercises::proofs::*;
use exercises::zoo::SOURCES;
use exercises::{for_each_exercise, say};
use std::process::ExitCode;

/// The command that runs this program.
const HUNT: &str = "cargo run -q -p exercises --bin hunt --";

/// Find out what is wrong with programs that have a bug.
///
/// Without a number, the command lists all programs with bugs. With the number of a program, it shows which proofs that program
/// fails, and what its bug could be.
#[derive(Parser)]
#[command(name = "hunt")]
struct Arguments {
    /// The number of the program with a bug
    number: Option<usize>,
    /// Show the code with the bug
    #[arg(long)]
    code: bool,
    /// The letter of the bug that you suspect
    #[arg(long, value_name = "LETTER")]
    guess: Option<char>,
    /// Tell which bug it is
    #[arg(long)]
    tell: bool,
}

/// A program with a bug, and the results of its proofs.
struct Bug {
    exercise: &'static str,
    /// The share of the computed numbers that is right, in per cent.
    right: f64,
    /// Each proof, with its result.
    proofs: Vec<(&'static str, Proof)>,
    says: &'static str,
}

fn bugs<E: Exercise>() -> Vec<Bug> {
    let right = E::solution().sample();
    let of = |Mutant { says, layer, .. }: Mutant<E>| {
        let sample = layer.sample();
        let close = |(a, b): &(&f32, &f32)| (*a - *b).abs() <= 1e-4 * b.abs().max(1e-3);
        let agreeing = sample.iter().zip(&right).filter(close).count();
        let proofs = E::proofs().into_iter().map(|(name, proof)| (name, proof(&layer))).collect();
        Bug { exercise: E::NAME, right: 100.0 * agreeing as f64 / right.len() as f64, proofs, says }
    };
    E::mutants().into_iter().map(of).collect()
}

fn main() -> ExitCode {
    let Arguments { number, code, guess, tell } = Arguments::parse();
    let all: Vec<Bug> = for_each_exercise!(bugs()).into_iter().flatten().collect();
    let Some(number) = number else {
        say(&format!(
            "{} programs with bugs. {HUNT} 3 shows the third: which proofs it fails, and what the bug could be.\n",
            all.len()
        ));
        all.iter().enumerate().for_each(|(i, bug)| say(&format!("{:3}  {}", i + 1, bug.exercise)));
        return ExitCode::SUCCESS;
    };
    let Some(bug) = all.get(number.wrapping_sub(1)) else {
        eprintln!("error: there is no bug {number}; the bugs have the numbers 1 to {}", all.len());
        return ExitCode::from(2);
    };
    show(bug, number);
    let choices: Vec<&str> =
        all.iter().filter(|other| other.exercise == bug.exercise).map(|other| other.says).collect();
    if code {
        say(&format!(
            "\nThe code (names with `right_` and `solution()` call the correct solution):\n\n{}",
            source(bug.says)
        ));
    }
    match guess.map(|letter| (letter, choice(letter).and_then(|i| choices.get(i)))) {
        Some((letter, None)) => {
            eprintln!("error: there is no choice {letter}; {HUNT} {number} lists the choices");
            return ExitCode::from(2);
        }
        Some((_, Some(guess))) if *guess == bug.says => say(&format!("\nRight: {}.", bug.says)),
        Some((letter, Some(_))) => {
            say(&format!("\nNot {letter}. Which proof would {letter} fail, and which ones fail here?"));
            return ExitCode::FAILURE;
        }
        None if tell => say(&format!("\nThe bug: {}.", bug.says)),
        None => {
            say("\nWhat is wrong with this program?\n");
            choices.iter().zip('a'..).for_each(|(says, letter)| say(&format!("  {letter}  {says}")));
            say(&format!("\n{HUNT} {number} --guess a checks a guess. --code shows the code, and --tell the bug."));
        }
    }
    ExitCode::SUCCESS
}

fn show(Bug { exercise, right, proofs, .. }: &Bug, number: usize) {
    say(&format!("Bug {number}: {exercise}"));
    say(&format!("{right:.0} % of the numbers that this program computes are right.\n"));
    for (name, proof) in proofs {
        let name = name.replace('_', " ");
        match proof {
            Ok(()) => say(&format!("  ✓ {name}")),
            Err(why) => say(&format!("  ✗ {name}:\n      {why}")),
        }
    }
}

/// Returns the index of a letter in the alphabet.
fn choice(letter: char) -> Option<usize> {
    ('a'..='z').position(|other| other == letter.to_ascii_lowercase())
}

/// Returns the code of a bug: the field `layer` of its entry in the zoo.
fn source(says: &str) -> String {
    let entry =
        SOURCES.iter().find_map(|source| source.split_once(&format!("says: \"{says}\","))).map_or("", |(_, rest)| rest);
    let code = entry.split_once("caught_by:").map_or(entry, |(code, _)| code);
    code.trim_matches('\n')
        .trim_end()
        .lines()
        .map(|line| line.strip_prefix("        ").unwrap_or(line).to_string() + "\n")
        .collect()
}
