//! `ossia tokenizer`

use super::terminal::shown_on;
use super::{print, report_skipped, standard_input, thousands};
use crate::checkpoint::{TOKENIZER, save_tokenizer};
use crate::data::Corpus;
use crate::error::{Error, Result};
use crate::files::create_directory;
use crate::tokenizer::{END_OF_TEXT, Tokenizer, train};
use crate::train::material::is_builtin;
use crate::train::settings::STORIES;
use std::path::PathBuf;
use std::time::Instant;

/// Train or use a byte-level BPE tokenizer
#[derive(clap::Subcommand)]
pub enum Command {
    /// Train a tokenizer on texts and write tokenizer.json and tokenizer_config.json
    Train(TrainArguments),
    /// Encode a text (from --text, or standard input) as ids, on one line
    Encode(EncodeArguments),
    /// Decode ids (arguments, or standard input) to a text
    Decode(DecodeArguments),
}

#[derive(clap::Args)]
pub struct TrainArguments {
    /// `builtin`, or text files, directories, JSONL files
    #[arg(long, num_args = 1.., required = true, value_name = "PATH")]
    data: Vec<PathBuf>,
    /// The field of a JSONL line that has the text
    #[arg(long, default_value = "text")]
    field: String,
    /// Size of the vocabulary: 256 bytes, the merges, and the token that ends a document
    #[arg(long, default_value_t = 4_096, value_name = "V")]
    vocab_size: usize,
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(clap::Args)]
pub struct EncodeArguments {
    /// A tokenizer.json, a directory that has one, or the name o200k_harmony
    tokenizer: PathBuf,
    /// The text [default: standard input]
    #[arg(long)]
    text: Option<String>,
    /// Show each token as text, instead of its id
    #[arg(long)]
    show: bool,
}

#[derive(clap::Args)]
pub struct DecodeArguments {
    /// A tokenizer.json, a directory that has one, or the name o200k_harmony
    tokenizer: PathBuf,
    /// The ids, separated by commas or spaces [default: standard input]
    ids: Vec<String>,
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Train(arguments) => learn(arguments),
        Command::Encode(arguments) => encode(arguments),
        Command::Decode(arguments) => decode(arguments),
    }
}

fn learn(arguments: TrainArguments) -> Result<()> {
    let corpus = match is_builtin(&arguments.data) {
        true => Corpus::builtin(STORIES, 0),
        false => Corpus::read(&arguments.data, &arguments.field)?,
    };
    report_skipped(&corpus.skipped);
    let bytes: usize = corpus.documents.iter().map(String::len).sum();
    let start = Instant::now();
    let tokenizer = train(corpus.documents.iter().map(String::as_str), arguments.vocab_size, &[END_OF_TEXT])?;
    let seconds = start.elapsed().as_secs_f64();
    let out = create_directory(&arguments.out)?;
    save_tokenizer(&tokenizer, &out, 131_072)?;
    let (entries, bytes) = (thousands(tokenizer.vocab_size()), thousands(bytes));
    say!("{entries} entries from {bytes} bytes in {seconds:.1} s: {}", out.join(TOKENIZER).display());
    if tokenizer.vocab_size() < arguments.vocab_size {
        say!("fewer than {}: the texts have no more pairs to merge", thousands(arguments.vocab_size));
    }
    Ok(())
}

fn encode(arguments: EncodeArguments) -> Result<()> {
    let tokenizer = Tokenizer::open(&arguments.tokenizer)?;
    let ids = tokenizer.encode(&arguments.text.map_or_else(standard_input, Ok)?);
    let shown: Vec<String> = match arguments.show {
        true => ids.iter().map(|&id| Ok(format!("{:?}", tokenizer.decode(&[id])?))).collect::<Result<_>>()?,
        false => ids.iter().map(u32::to_string).collect(),
    };
    print(&(shown.join(" ") + "\n"))
}

fn decode(arguments: DecodeArguments) -> Result<()> {
    let tokenizer = Tokenizer::open(&arguments.tokenizer)?;
    let text = if arguments.ids.is_empty() { standard_input()? } else { arguments.ids.join(" ") };
    let ids: Vec<u32> = text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|id| !id.is_empty())
        .map(|id| id.parse().map_err(|_| Error::argument(format!("{id:?} is not a token id; expected a whole number"))))
        .collect::<Result<_>>()?;
    print(&shown_on(&std::io::stdout(), &tokenizer.decode(&ids)?))
}
