//! `cargo test -p exercises --test layers -- --solutions`: every solution is proved. With the name of an exercise instead, or without,
//! it checks the reader's code, as the program `exercises` does.

use exercises::check::check;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|a| !a.starts_with('-')).cloned().unwrap_or_default();
    let outcomes = check(&filter, arguments.iter().any(|a| a == "--solutions"));
    for outcome in &outcomes {
        println!("\n{}\n{}", outcome.name, outcome.report.trim_end());
    }
    let proved = outcomes.iter().filter(|outcome| outcome.is_proved()).count();
    println!("\n{proved} of {} exercises are proved", outcomes.len());
    if proved == outcomes.len() && proved > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
