//! `ossia quantize`

use super::{report_model, thousands};
use crate::checkpoint::{self, Form, Layout, SaveOptions, save_as};
use crate::error::{Error, Result};
use std::path::PathBuf;

/// Write a model with experts in MXFP4 and the rest in bf16, as OpenAI publishes gpt-oss
///
/// Experts then take 4.25 bits per number. Weights that are already in MXFP4 do not change: quantizing twice changes no
/// byte. --to bf16 converts everything to bf16. The result is a directory in Hugging Face's layout, whatever the layout
/// of MODEL; with --layout openai, it is a directory that gpt_oss.torch reads (if experts are in MXFP4). The config.json
/// of this layout does not name the tokens that end a text.
///
/// Example: ossia quantize runs/nano runs/nano-mxfp4
#[derive(clap::Args)]
pub struct Arguments {
    /// A model directory
    model: PathBuf,
    /// The directory to write; it must be empty or not exist
    out: PathBuf,
    /// Format of the experts: mxfp4, or bf16 like the rest
    #[arg(long, default_value = "mxfp4", value_name = "FORM", value_parser = ["mxfp4", "bf16"])]
    to: String,
    /// Names and shapes of the tensors: huggingface, or openai as in the directory original/ of a download
    #[arg(long, default_value = "huggingface", value_name = "LAYOUT", value_parser = ["huggingface", "openai"])]
    layout: String,
    /// The most bytes per file, such as 5GB or 500MB [default: one file]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_shard_size: Option<u64>,
}

/// 5GB → 5,000,000,000
fn size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => 0,
    };
    let bytes = text[..digits].parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| "expected a number of B, kB, MB or GB, as in 5GB".into())
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let (from, out) = (&arguments.model, &arguments.out);
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::file(out, "already holds something; choose another directory"));
    }
    let model = checkpoint::load(from)?;
    report_model(from)?;
    let form = if arguments.to == "bf16" { Form::Bf16 } else { Form::Mxfp4 };
    let layout = if arguments.layout == "openai" { Layout::OpenAi } else { Layout::HuggingFace };
    let bytes = save_as(&model, out, SaveOptions { form, layout, shard_bytes: arguments.max_shard_size })?;
    checkpoint::copy_tokenizer(&checkpoint::locate(from)?, out)?;
    say!("{}: {} bytes of weights", out.display(), thousands(bytes as usize));
    Ok(())
}
