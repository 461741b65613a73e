//! `ossia harmony`

use super::{print, standard_input};
use crate::checkpoint::{self, TOKENIZER};
use crate::error::{Error, Result};
use crate::harmony::{Conversation, Harmony, MessageRole, Mode, Parser, Purpose, SystemContent, messages_of_chat};
use crate::tokenizer::Tokenizer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Convert conversations to tokens, and tokens to messages
#[derive(clap::Subcommand)]
pub enum Command {
    /// Render a conversation (JSON): prints {"tokens": […], "text": "…"}
    Render(RenderArguments),
    /// Parse a JSON list of ids: prints {"messages": […]}
    Parse(ParseArguments),
    /// Print the chat template for other programs, such as transformers, of a model that has the system message of gpt-oss
    Template(TemplateArguments),
}

#[derive(clap::Args)]
pub struct RenderArguments {
    /// A file with {"messages": [{"role": …, "content": …}, …]}; `-` is standard input
    file: PathBuf,
    /// The file is in OpenAI's chat format, with reasoning_content and tool_calls; the system message is that of gpt-oss
    #[arg(long)]
    chat: bool,
    /// The purpose of the tokens: a completion by the assistant, training, or only the messages
    #[arg(long = "for", value_enum, default_value_t = For::Completion)]
    purpose: For,
    /// Keep the analysis before the assistant's first final answer
    #[arg(long)]
    keep_analysis: bool,
    /// A tokenizer.json with the special tokens of harmony, or a directory that has one [default: that of gpt-oss]
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum For {
    Completion,
    Training,
    Raw,
}

#[derive(clap::Args)]
pub struct ParseArguments {
    /// A file with [200006, 1428, …]; `-` is standard input
    file: PathBuf,
    /// The role of the first message, if the prompt already began it
    #[arg(long, value_parser = ["system", "developer", "user", "assistant", "tool"])]
    role: Option<String>,
    /// Repair malformed input and report each repair, instead of stopping at the first error
    #[arg(long)]
    lenient: bool,
    /// A tokenizer.json with harmony's special tokens, or a directory that holds one [default: that of gpt-oss]
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct TemplateArguments {
    /// A tokenizer.json with harmony's special tokens, or a directory that holds one [default: that of gpt-oss]
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Render(arguments) => render(&arguments),
        Command::Parse(arguments) => parse(&arguments),
        Command::Template(arguments) => {
            let tokenizer = open_tokenizer(arguments.tokenizer.as_deref())?;
            print(&Harmony::new(&tokenizer)?.chat_template(&SystemContent::default()))
        }
    }
}

fn render(arguments: &RenderArguments) -> Result<()> {
    let tokenizer = open_tokenizer(arguments.tokenizer.as_deref())?;
    let expected = "a conversation, {\"messages\": […]}";
    let messages = match arguments.chat {
        true => {
            let chat: Value = read_json(&arguments.file, expected)?;
            let converted = messages_of_chat(&chat, SystemContent::default());
            let converted = converted.map_err(|e| Error::invalid(&arguments.file, e))?;
            converted.into_iter().map(|message| message.message).collect()
        }
        false => read_json::<Conversation>(&arguments.file, expected)?.messages,
    };
    let purpose = match arguments.purpose {
        For::Completion => Purpose::Completion(MessageRole::Assistant),
        For::Training => Purpose::Training,
        For::Raw => Purpose::Raw,
    };
    let ids = Harmony::new(&tokenizer)?
        .render(&messages, purpose, !arguments.keep_analysis)
        .map_err(|e| Error::invalid(&arguments.file, e))?;
    print_json(&json!({"tokens": ids, "text": tokenizer.decode(&ids)?}))
}

fn parse(arguments: &ParseArguments) -> Result<()> {
    let tokenizer = open_tokenizer(arguments.tokenizer.as_deref())?;
    let ids: Vec<u32> = read_json(&arguments.file, "a list of token ids, [200006, …]")?;
    let mode = if arguments.lenient { Mode::Lenient } else { Mode::Strict };
    let role = arguments.role.as_deref().and_then(MessageRole::from_name);
    let mut parser = Parser::new(Harmony::new(&tokenizer)?, role, mode);
    let whole = ids.iter().try_for_each(|&id| parser.push(id).map(drop)).and_then(|()| parser.finish());
    whole.map_err(|e| Error::invalid(&arguments.file, e))?;
    for flag in parser.flags() {
        say!("{}: {flag}", arguments.file.display());
    }
    print_json(&json!({"messages": parser.messages()}))
}

fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value}\n"))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path, expected: &str) -> Result<T> {
    let text = match path.as_os_str() == "-" {
        true => standard_input()?,
        false => std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?,
    };
    serde_json::from_str(&text).map_err(|e| Error::file(path, format!("{e}; expected {expected}")).caused_by(e))
}

fn open_tokenizer(path: Option<&Path>) -> Result<Tokenizer> {
    match path {
        Some(path) if path.is_dir() => Tokenizer::load(path.join(TOKENIZER)),
        Some(path) => Tokenizer::load(path),
        #[cfg(feature = "o200k")]
        None => Ok(crate::tokenizer::o200k_harmony().clone()),
        #[cfg(not(feature = "o200k"))]
        None => Err(Error::argument("this build is without the vocabulary of gpt-oss: name a --tokenizer")),
    }
}

/// Returns the system message that a model was trained with, if it is not the one of gpt-oss.
pub fn system_of(model: &Path) -> Result<Option<SystemContent>> {
    let path = checkpoint::locate(model)?.join(checkpoint::SYSTEM);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
    serde_json::from_str(&text).map(Some).map_err(|e| Error::invalid(&path, e))
}
