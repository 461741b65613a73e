//! Compares ossia with its peers in alternating runs on this machine: `cargo bench --bench peers -- --python PYTHON all`.
//!
//! Each run is a process of its own, A B A B …, since machines are noisy and memory is counted by process. Of the peer's
//! modes the fastest of one run each is taken. What is printed is the median of the pairs; with `--book` it also
//! writes its rows into the table between the marks in book/src/speed.md.

#[path = "../limits.rs"]
mod limits;
#[path = "../machine.rs"]
mod machine;
#[path = "../process.rs"]
mod process;
mod encoding;
mod inference;
mod table;
mod training;

use clap::{Parser, Subcommand};
use ossia::kernels::parallel;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare ossia with its peers on this machine
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// A Python that has what the peer needs
    #[arg(long, global = true, default_value = "python3")]
    python: PathBuf,
    /// The number of times that each of the two runs
    #[arg(long, global = true, default_value_t = 5)]
    pairs: usize,
    /// The seconds that a run measures, after it has warmed up
    #[arg(long, global = true, default_value_t = 10.0)]
    seconds: f64,
    /// Write the rows into the table in book/src/speed.md, instead of older rows of the same work
    #[arg(long, global = true)]
    book: bool,
    /// An argument that `cargo bench` adds
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// A training step: transformers with torch, in the best of its modes eager, grouped_mm and compile
    Train {
        /// nano, tiny, small
        #[arg(required = true)]
        presets: Vec<String>,
    },
    /// The tokenizer of gpt-oss: tiktoken-rs and bpe-openai
    Encode {
        /// A JSONL file, a text file or a directory [default: built-in stories]
        data: Option<PathBuf>,
    },
    /// Reading a prompt and writing token by token: llama.cpp and ik_llama.cpp
    Infer(inference::Models),
    /// Training and encoding, training with the presets nano, tiny and small: what the chapter on speed shows
    All,
    /// One run of ossia, for the pairs
    #[command(hide = true)]
    TrainOnce { preset: String },
    /// The same of reading and writing
    #[command(hide = true)]
    InferOnce {
        model: PathBuf,
        #[arg(long)]
        precision_fast: bool,
        #[arg(long)]
        dense_int8: bool,
    },
}

fn main() -> ExitCode {
    // `cargo test --benches` requests no measurement.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let standard = || ["nano", "tiny", "small"].map(String::from).to_vec();
    let (encode, presets, models) = match &arguments.command {
        Some(Command::TrainOnce { preset }) => return training::once(preset, arguments.seconds),
        Some(Command::InferOnce { model, precision_fast, dense_int8 }) => {
            return inference::once(model, inference::arithmetic(*precision_fast, *dense_int8));
        }
        Some(Command::Train { presets }) => (None, presets.clone(), None),
        Some(Command::Encode { data }) => (Some(data.as_deref()), Vec::new(), None),
        Some(Command::Infer(models)) => (None, Vec::new(), Some(models)),
        Some(Command::All) => (Some(None), standard(), None),
        None => {
            println!("peers: nothing to compare with; see cargo bench --bench peers -- --help");
            return Ok(());
        }
    };
    let machine = table::machine(parallel::threads(), limits::peak_flops(), limits::read_bandwidth());
    println!("{machine}");
    let mut rows = encode.map_or(Ok(Vec::new()), |data| encoding::compare(data, arguments))?;
    for preset in &presets {
        let row = training::compare(preset, arguments)?;
        println!("{row}");
        rows.push(row);
    }
    if let Some(models) = models {
        rows.extend(inference::compare(models, arguments)?);
    }
    println!("\n{}", table::markdown(&machine, &rows, &[]));
    if arguments.book { table::replace_in_book(&machine, &rows) } else { Ok(()) }
}
