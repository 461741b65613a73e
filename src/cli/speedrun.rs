//! `ossia speedrun`
//!
//! The command is a chain of other commands. Each stage prints its command line, parses it, and runs it in this process. So a
//! reader can type the same commands one by one and gets the same models.
//!
//! Book: [reinforcement](../../../../book/reinforcement.html)

mod choices;
mod numbers;
mod record;
mod report;
mod stages;
mod transcript;

use self::choices::{Choices, Given};
use self::record::{Record, SpeedrunDirectory};
use self::stages::{Stage, Start, stages};
use super::progress::clock;
use super::{interrupt, print};
use crate::error::{Error, Result};
use clap::Parser;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// From nothing to an assistant: pretrain, fine-tune, reinforce and quantize a model, and write a report
///
/// The command runs a chain of other ossia commands, and prints each of them first: a tokenizer, pretraining on built-in
/// stories, fine-tuning on conversations with sums and with calls of Python, reinforcement learning, which gives the reasoning
/// efforts their meaning, and quantization to MXFP4. Each model is measured. report.md in the directory has the results, the
/// commands and their times, the curves, and conversations before and after reinforcement learning.
///
/// Ctrl-C saves and exits. The same command with the same --out continues where a speedrun stopped, with bit-identical results.
/// Arguments that are left out are those with which it was started.
///
/// Example, a first look in two minutes: ossia speedrun --steps 60,60,3 --questions 10 --out runs/look
#[derive(clap::Args)]
pub struct Arguments {
    /// The directory of the speedrun: each stage has a directory in it
    #[arg(long, default_value = "runs/speedrun", value_name = "DIR")]
    out: PathBuf,
    /// The architecture [default: nano, for which the learning rates of the stages are chosen]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    preset: Option<String>,
    /// An architecture from a config.json
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Steps of pretraining, of fine-tuning, and of reinforcement learning [default: 650,1500,60]
    #[arg(long, value_name = "PRETRAINING,FINE-TUNING,REINFORCEMENT", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    steps: Vec<u64>,
    /// Questions of each kind that an evaluation asks at each effort, and stories that it generates [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    questions: Option<u32>,
    /// The same seed gives the same models [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Runs the command: all stages that are not finished yet, and the report.
///
/// # Errors
/// If the directory has something else or another speedrun, or a stage fails. What is finished is kept.
pub fn run(arguments: &Arguments, threads: Option<u16>) -> Result<ExitCode> {
    let Arguments { preset, config, steps, questions, seed, .. } = arguments;
    let given = Given { preset: preset.as_ref(), config: config.as_ref(), steps, questions: *questions, seed: *seed };
    let directory = SpeedrunDirectory::new(&arguments.out);
    let (mut record, _lock) = match directory.open()? {
        Some((record, lock)) => {
            given.check_unchanged(&record.choices, directory.path())?;
            (record, lock)
        }
        None => directory.create(Choices::new(&given)?)?,
    };
    let interrupted = interrupt::flag()?;
    let stages = stages(directory.path(), &record.choices);
    for stage in &stages {
        if let Some(finished) = record.finished(&stage.name) {
            say!("{}: finished, {}", stage.name, clock(finished.seconds));
            continue;
        }
        let code = attempt(stage, &directory, &mut record, threads)?;
        if code != ExitCode::SUCCESS || interrupted.load(Ordering::Relaxed) {
            say!("the speedrun is stopped; go on with: ossia speedrun --out {}", stages::quoted(&arguments.out));
            return Ok(ExitCode::from(interrupt::INTERRUPTED));
        }
    }
    let table = report::write(&directory, &record, &stages)?;
    print(&format!("\n{table}"))?;
    let best = directory.file(stages::QUANTIZED);
    say!("\nreport: {}      more: ossia chat {}", directory.file(report::FILE).display(), stages::quoted(&best));
    Ok(ExitCode::SUCCESS)
}

/// Runs a stage, or what is left of it. Returns its exit code.
fn attempt(
    stage: &Stage,
    directory: &SpeedrunDirectory,
    record: &mut Record,
    threads: Option<u16>,
) -> Result<ExitCode> {
    let command = match stage.start()? {
        Start::With(command) => command,
        Start::Finished => {
            say!("{}: finished", stage.name);
            record.finish(&stage.name);
            directory.save(record)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    say!("\n$ {}", stages::shown(&command));
    record.begin(&stage.name);
    directory.save(record)?;
    let start = Instant::now();
    let code = execute(&command, threads);
    record.end(&stage.name, start.elapsed().as_secs_f64());
    if code.as_ref().is_ok_and(|code| *code == ExitCode::SUCCESS) {
        record.finish(&stage.name);
    }
    directory.save(record)?;
    code
}

/// Parses a command line and runs it.
fn execute(command: &[OsString], threads: Option<u16>) -> Result<ExitCode> {
    let parsed = super::Arguments::try_parse_from(command).map_err(Error::unusable)?;
    super::execute(parsed.command, threads)
}
