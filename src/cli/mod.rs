//! The command line, one file per command. It parses arguments and prints; the library does the work.
//!
//! The result of a command goes to standard output, and progress, notes and statistics go to standard error. If a command
//! fails, it prints one line and exits with code 2.

/// Prints a line on standard error, in one piece, because several ranks may print at the same time. If standard error is
/// closed, the run goes on.
macro_rules! complain {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        _ = std::io::stderr().write_all((format!($($part)*) + "\n").as_bytes());
    }};
}

/// Like `complain!`, except with `--quiet`.
macro_rules! say {
    ($($part:tt)*) => {
        if !$crate::cli::is_quiet() {
            complain!($($part)*);
        }
    };
}

mod arithmetic;
mod draft;
mod chat;
mod eval;
mod generate;
mod harmony;
mod inspect;
mod interrupt;
mod job;
mod merge;
mod progress;
mod quantize;
mod results;
mod sandboxes;
mod schema;
mod speedrun;
mod task;
mod terminal;
mod tokenizer;
#[cfg(feature = "tools")]
mod tool;
mod trace;
mod train;
mod usage;

use crate::checkpoint;
use crate::data::Skipped;
use crate::error::{Error, Result};
use crate::kernels::{self, parallel};
use crate::train::Note;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// OpenAI's gpt-oss from scratch, on the CPU: train a tiny model, talk to it, look inside
///
/// A MODEL is a directory with config.json, model.safetensors and tokenizer.json: trained here, saved by Hugging Face's
/// transformers, or downloaded (openai/gpt-oss-20b, or its directory original/).
#[derive(Parser)]
#[command(name = "ossia", version, long_version = usage::VERSION.as_str(), max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Number of threads [default: all cores]. Results are bit-identical for every number
    #[arg(short, long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(help_heading = "Global")]
    threads: Option<u16>,
    /// Print only results and errors: no progress, no notes, no statistics
    #[arg(short, long, global = true, help_heading = "Global")]
    quiet: bool,
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// Returns whether only results and errors are printed.
fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints no progress, notes and statistics from now on.
fn silence() {
    QUIET.store(true, Ordering::Relaxed);
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Arguments>),
    Speedrun(speedrun::Arguments),
    Generate(generate::Arguments),
    Chat(Box<chat::Arguments>),
    Eval(eval::Arguments),
    Inspect(inspect::Arguments),
    Quantize(quantize::Arguments),
    Merge(merge::Arguments),
    Trace(trace::Arguments),
    #[cfg(feature = "tools")]
    #[command(subcommand)]
    Tool(tool::Command),
    #[cfg(feature = "tools")]
    #[command(hide = true, name = crate::tools::launch::LAUNCH)]
    LaunchTool {
        parent: u32,
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    #[cfg(all(feature = "tools", target_os = "linux"))]
    #[command(hide = true, name = crate::tools::python::ENTER)]
    EnterSandbox {
        confinement: String,
    },
    #[command(subcommand)]
    Tokenizer(tokenizer::Command),
    #[command(subcommand)]
    Harmony(harmony::Command),
    #[command(subcommand)]
    Schema(schema::Command),
    /// Print a script that completes arguments in a shell
    ///
    /// Example: ossia completions bash > ~/.local/share/bash-completion/completions/ossia
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of ossia, or of one of its commands, in roff
    ///
    /// Example: ossia man train | man -l -
    Man {
        /// A command
        command: Option<String>,
    },
}

/// Runs the program. The exit code is 0, 2 if the command failed, or 130 if the user interrupted a run and it was saved.
/// (`schema check` also uses 1.)
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let given: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&given) {
        Ok(arguments) => arguments,
        Err(error) => return usage::explain(&error, &given),
    };
    match run(arguments) {
        Ok(code) => code,
        // The reader of the output has closed it, as `head` does. This is not an error.
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Sets the process up and runs a command. Returns the exit code.
fn run(arguments: Arguments) -> Result<ExitCode> {
    QUIET.store(arguments.quiet, Ordering::Relaxed);
    kernels::memory::keep_freed_memory();
    kernels::signals::explain_truncated_files();
    kernels::selected()?;
    let threads = arguments.threads;
    if let Some(threads) = threads {
        parallel::set_threads(threads.into()).map_err(|e| Error::argument(format!("--threads {threads}: {e}")))?;
    }
    execute(arguments.command, threads)
}

/// Runs a command in a process that is set up. Returns the exit code.
fn execute(command: Command, threads: Option<u16>) -> Result<ExitCode> {
    match command {
        Command::Train(arguments) => return train::run(&arguments, threads),
        Command::Speedrun(arguments) => return speedrun::run(&arguments, threads),
        Command::Generate(arguments) => generate::run(arguments, threads),
        Command::Chat(arguments) => chat::run(*arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Merge(arguments) => merge::run(&arguments),
        Command::Quantize(arguments) => quantize::run(&arguments),
        Command::Trace(arguments) => trace::run(arguments),
        #[cfg(feature = "tools")]
        Command::Tool(command) => tool::run(command),
        #[cfg(feature = "tools")]
        Command::LaunchTool { parent, command } => tool::launch(parent, &command),
        #[cfg(all(feature = "tools", target_os = "linux"))]
        Command::EnterSandbox { confinement } => tool::enter_sandbox(&confinement),
        Command::Tokenizer(command) => tokenizer::run(command),
        Command::Harmony(command) => harmony::run(command),
        Command::Schema(command) => return schema::run(command),
        Command::Completions { shell } => usage::completions(shell),
        Command::Man { command } => usage::manual(command.as_deref()),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Reads all of standard input.
fn standard_input() -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|e| Error::io("standard input", "read", e))?;
    String::from_utf8(bytes)
        .map_err(|e| Error::file("standard input", format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to())))
}

/// Returns a text from the command line, or standard input if it is `-`.
fn text_or_standard_input(text: String) -> Result<String> {
    if text == "-" { standard_input() } else { Ok(text) }
}

/// Writes to standard output and flushes it.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io("standard output", "write", e))
}

/// Prints a note of a run.
fn report(note: Note) {
    match note {
        Note::Skipped(lines) => report_skipped(&lines),
        note => say!("{note}"),
    }
}

/// Prints the contradictions in a model directory, and the parts of it that are not used.
fn report_model(model: &Path) -> Result<()> {
    checkpoint::notes(model)?.iter().for_each(|line| say!("{line}"));
    Ok(())
}

/// Says which lines of data files were left out, and why.
fn report_skipped(skipped: &[Skipped]) {
    /// Lines that are shown one by one.
    const SHOWN: usize = 5;
    skipped.iter().take(SHOWN).for_each(|line| say!("skipped {line}"));
    if skipped.len() > SHOWN {
        say!("skipped {} lines in all", skipped.len());
    }
}

/// 1234567 → 1,234,567
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).expect("digits")).collect();
    groups.join(",")
}
