//! `ossia merge`

use super::{report_model, thousands};
use crate::checkpoint::{self, Form, Layout, SaveOptions, save_as};
use crate::error::{Error, Result};
use crate::layers::lora;
use std::path::PathBuf;

/// Add a LoRA adapter to the weights of its model, and write the result as a model of its own
///
/// Weights that the adapter corrects become f32, also those in MXFP4, and all others keep their format; ossia quantize makes MXFP4 of
/// the experts again.
///
/// Example: ossia merge openai/gpt-oss-20b runs/mine merged --dtype bf16
#[derive(clap::Args)]
pub struct Arguments {
    /// A model directory
    model: PathBuf,
    /// The adapter, of ossia train --lora or of PEFT
    adapter: PathBuf,
    /// The directory to write; it must be empty or not exist
    out: PathBuf,
    /// Format of the weights: f32 for those that the adapter corrects, or bf16 for all
    #[arg(long, default_value = "f32", value_name = "FORM", value_parser = ["f32", "bf16"])]
    dtype: String,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { model: from, adapter, out, dtype } = arguments;
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::file(out, "already holds something; choose another directory"));
    }
    let mut model = checkpoint::load(from)?;
    checkpoint::load_adapter(&mut model, adapter)?;
    checkpoint::check(&model)?;
    report_model(from)?;
    lora::merge(&mut model);
    model.adapter = None;
    let form = if dtype == "bf16" { Form::Bf16 } else { Form::AsItIs };
    let bytes = save_as(&model, out, SaveOptions { form, layout: Layout::HuggingFace, shard_bytes: None })?;
    checkpoint::copy_tokenizer(&checkpoint::locate(from)?, out)?;
    say!("{}: {} bytes of weights", out.display(), thousands(bytes as usize));
    Ok(())
}
