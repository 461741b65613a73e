//! `ossia tokenizer`

use super::terminal::shown_on;
use super::{print, report, report_skipped, standard_input, thousands};
use crate::checkpoint::{TOKENIZER, save_tokenizer};
use crate::data::Corpus;
use crate::error::{Error, Result};
use crate::files::create_directory;
use crate::harmony::Marks;
use crate::tasks::Task;
use crate::tasks::arithmetic::words;
use crate::tokenizer::{END_OF_TEXT, Tokenizer, train};
use crate::train::prepared::{Prepared, require_empty};
use crate::train::settings::STORIES;
use crate::train::texts::is_builtin;
use crate::train::{DataPath, RunSettings, Settings};
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
    /// Tokenize texts for training, once for all runs
    ///
    /// Writes a directory for ossia train --data: tokens.safetensors (from which a run reads only the windows that it needs),
    /// tokenizer.json, and evaluation.jsonl (the documents for evaluation). Of several ranks, each reads only its share.
    ///
    /// Example: ossia tokenizer prepare --data stories/ --out data/stories
    Prepare(PrepareArguments),
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
    /// Add the special tokens of harmony, so that a model that learns from text can learn from conversations later
    #[arg(long)]
    harmony: bool,
    /// Train on the words of the conversations of ossia train --task arithmetic, too, so that they take few tokens. Each digit
    /// remains a token
    #[arg(long, value_name = "TASK", value_parser = [Task::ARITHMETIC])]
    task: Option<String>,
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

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct PrepareArguments {
    /// `builtin`, or text files, directories, JSONL files
    #[arg(long, num_args = 1.., required = true, value_name = "PATH")]
    data: Vec<PathBuf>,
    /// Text for evaluation [default: a part of --data that is set aside]
    #[arg(long, num_args = 1.., value_name = "PATH")]
    eval_data: Vec<PathBuf>,
    /// The field of a JSONL line that has the text
    #[arg(long, default_value = "text", value_name = "NAME")]
    field: String,
    /// The share of documents that are set aside if there is no --eval-data
    #[arg(long, default_value_t = 0.02, value_name = "X")]
    validation_fraction: f64,
    /// Number of built-in stories
    #[arg(long, default_value_t = STORIES, value_name = "N")]
    stories: usize,
    /// The seed by which documents are set aside and built-in stories are made
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// A tokenizer.json, or the name o200k_harmony [default: a new one that is trained on the training text]
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "vocab_size")]
    tokenizer: Option<PathBuf>,
    /// Size of the vocabulary of a new tokenizer; the preset nano has room for 2048
    #[arg(long, default_value_t = 2_048, value_name = "V")]
    vocab_size: usize,
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Train(arguments) => learn(arguments),
        Command::Encode(arguments) => encode(arguments),
        Command::Decode(arguments) => decode(arguments),
        Command::Prepare(arguments) => prepare(arguments),
    }
}

fn learn(arguments: TrainArguments) -> Result<()> {
    let mut corpus = match is_builtin(&arguments.data) {
        true => Corpus::builtin(STORIES, 0),
        false => Corpus::read(&arguments.data, &arguments.field)?,
    };
    report_skipped(&corpus.skipped);
    if arguments.task.is_some() {
        corpus.documents.extend(words());
    }
    let bytes: usize = corpus.documents.iter().map(String::len).sum();
    let start = Instant::now();
    let marks = if arguments.harmony { &Marks::NAMES[..] } else { &[] };
    let specials = [&[END_OF_TEXT], marks].concat();
    let tokenizer = train(corpus.documents.iter().map(String::as_str), arguments.vocab_size, &specials)?;
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

fn prepare(arguments: PrepareArguments) -> Result<()> {
    let paths = |paths: Vec<PathBuf>| paths.into_iter().map(DataPath::from).collect();
    let settings = RunSettings {
        data: paths(arguments.data),
        eval_data: paths(arguments.eval_data),
        field: arguments.field,
        validation_fraction: arguments.validation_fraction,
        stories: arguments.stories,
        settings: Settings { seed: arguments.seed, ..Settings::default() },
        ..RunSettings::default()
    };
    require_empty(&arguments.out)?;
    let tokenizer = arguments.tokenizer.map(Tokenizer::open).transpose()?;
    let prepared = Prepared::new(&settings, tokenizer, arguments.vocab_size, &mut report)?;
    prepared.save(&arguments.out)?;
    let [documents, tokens, measured] =
        [prepared.stream.documents(), prepared.stream.len() - 1, prepared.evaluation.len()].map(thousands);
    say!("{tokens} tokens of {documents} documents to train on; {measured} documents to measure on");
    say!("train with: ossia train --data {}", arguments.out.display());
    Ok(())
}
