//! `ossia quantize`

use super::{open_model, thousands};
use crate::checkpoint::{Form, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, save_as};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use std::path::PathBuf;

/// Write a model with experts in MXFP4 and the rest in bf16, as OpenAI publishes gpt-oss
///
/// Experts then take 4.25 bits a number. What is in MXFP4 already stays as it is: quantizing twice changes no byte.
/// --to bf16 goes the other way. The result is a directory in Hugging Face's layout, whatever the layout of MODEL.
///
/// Example: ossia quantize runs/nano runs/nano-mxfp4
#[derive(clap::Args)]
pub struct Arguments {
    /// A model directory
    model: PathBuf,
    /// The directory to write; it must be empty or not exist
    out: PathBuf,
    /// What experts become: mxfp4, or bf16 like the rest
    #[arg(long, default_value = "mxfp4", value_name = "FORM", value_parser = ["mxfp4", "bf16"])]
    to: String,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let (from, out) = (&arguments.model, &arguments.out);
    let model = open_model(from)?;
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::file(out, "already holds something; choose another directory"));
    }
    let form = if arguments.to == "bf16" { Form::Bf16 } else { Form::Mxfp4 };
    save_as(&model, out, form)?;
    for name in [TOKENIZER, TOKENIZER_CONFIG] {
        let source = from.join(name);
        if source.exists() {
            let content = std::fs::read(&source).map_err(|e| Error::io(&source, "read", e))?;
            write_atomically(&out.join(name), &content)?;
        }
    }
    let written = out.join(WEIGHTS);
    let bytes = std::fs::metadata(&written).map_err(|e| Error::io(&written, "read", e))?.len();
    say!("{}: {} bytes", written.display(), thousands(bytes as usize));
    Ok(())
}
