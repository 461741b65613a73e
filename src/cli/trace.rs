//! `ossia trace`

use super::arithmetic::ArithmeticArguments;
use super::{print, report_model};
use crate::checkpoint::{self, Arithmetic, TensorFile, TensorToWrite, write_tensors};
use crate::error::{Error, Result};
use crate::generate::trace::{first_difference, trace};
use crate::tensor::slice;
use std::path::PathBuf;

/// Write every intermediate tensor of one pass to a safetensors file
///
/// The names are embed; layers.{i}.attention, .router_logits, .moe, .output; norm; logits; loss; and with --gradients
/// grad.NAME for every parameter of the Hugging Face checkpoint in f32 or bf16. Numbers are f32, rows are tokens.
///
/// Example: ossia trace runs/nano --tokens 5,17,3 --out trace.safetensors
#[derive(clap::Args)]
pub struct Arguments {
    /// A model directory
    model: PathBuf,
    /// Token ids
    #[arg(long, value_delimiter = ',', required = true, value_name = "ID,ID,…")]
    tokens: Vec<u32>,
    /// The file to write
    #[arg(long, value_name = "FILE", required_unless_present = "compare")]
    out: Option<PathBuf>,
    /// Also write the gradient of the loss with respect to every parameter
    #[arg(long, conflicts_with = "adapter")]
    gradients: bool,
    #[command(flatten)]
    arithmetic: ArithmeticArguments,
    /// Compare with another trace: print the first tensor that differs, and exit with code 2 if one does
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// The largest difference of two numbers, relative to the largest number of their tensor
    #[arg(long, default_value_t = 1e-4, value_name = "X", requires = "compare")]
    tolerance: f32,
}

/// The key of a trace's tokens in the metadata of its file.
const TOKENS: &str = "tokens";

pub fn run(arguments: Arguments) -> Result<()> {
    if !(arguments.tolerance >= 0.0 && arguments.tolerance.is_finite()) {
        return Err(Error::argument(format!("--tolerance {}: expected 0 or more", arguments.tolerance)));
    }
    let other = arguments.compare.as_ref().map(TensorFile::open).transpose()?;
    if let Some(out) = arguments.out.as_ref().filter(|out| out.exists())
        && TensorFile::open(out).ok().is_none_or(|file| !file.metadata().contains_key(TOKENS))
    {
        return Err(Error::file(
            out,
            "exists and is not a trace, perhaps the weights of a model; choose another --out",
        ));
    }
    let directory = &arguments.model;
    let arithmetic = arguments.arithmetic.arithmetic();
    let mut model = match arguments.gradients {
        false => checkpoint::load_with(directory, arithmetic)?,
        true if arithmetic == Arithmetic::default() => checkpoint::load_trainable(directory)?,
        true => {
            return Err(Error::argument(
                "--gradients: is computed exactly; without --precision fast, --dense int8 and --kv-cache",
            ));
        }
    };
    arguments.arithmetic.attach(&mut model)?;
    report_model(directory)?;
    let tensors = trace(&model, &arguments.tokens, arguments.gradients)?;
    let mut damaged = tensors.iter().filter(|(_, tensor)| tensor.iter().any(|x| !x.is_finite()));
    if let Some((first, _)) = damaged.next() {
        let count = 1 + damaged.count();
        say!("{count} of {} tensors are not finite, first {first}; are the weights damaged?", tensors.len());
    }
    if let Some(out) = &arguments.out {
        let parts =
            tensors.iter().map(|(name, tensor)| (name.clone(), TensorToWrite::f32(tensor.shape(), slice(tensor))));
        write_tensors(out, parts, &[(TOKENS, format!("{:?}", arguments.tokens))])?;
        say!("{} tensors in {}", tensors.len(), out.display());
    }
    let (Some(path), Some(other)) = (&arguments.compare, &other) else { return Ok(()) };
    match first_difference(&tensors, |name| other.tensor(name, None).ok(), arguments.tolerance) {
        Some(difference) => Err(Error::file(path, format!("tensor {}: {}", difference.tensor, difference.what))),
        None => print(&format!("all {} tensors agree\n", tensors.len())),
    }
}
