//! `ossia inspect`

use super::{open_model, print, thousands};
use crate::checkpoint::report::{Part, report};
use crate::error::Result;
use std::path::PathBuf;

/// Show what a model is made of
///
/// Its configuration, its parameters (all, and those that work on one token), and the memory of each part.
#[derive(clap::Args)]
pub struct Arguments {
    /// A model directory
    model: PathBuf,
    /// Show the memory of the keys and values of this many tokens [default: the model's context]
    #[arg(long, value_name = "T")]
    context: Option<usize>,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let model = open_model(&arguments.model)?;
    let config = &model.config;
    let context = arguments.context.unwrap_or(config.context);
    let report = report(&model, context);
    let windows: Vec<String> = config.windows.iter().map(|w| w.map_or("full".into(), |w| w.to_string())).collect();
    let mut text = format!(
        "layers {}   hidden {}   heads {} ({} kv) of {}   experts {} ({} active) of {}\n\
         vocabulary {}   context {}   tied {}   windows {}\n\n{:<14} {:>16} {:>12} {:>12}\n",
        config.layers,
        config.hidden_size,
        config.heads,
        config.kv_heads,
        config.head_dim,
        config.experts,
        config.experts_per_token,
        config.intermediate_size,
        thousands(config.vocab_size),
        thousands(config.context),
        if config.tied { "yes" } else { "no" },
        windows.join(" "),
        "part",
        "parameters",
        "f32",
        "bf16"
    );
    let row = |part: &Part| {
        let (now, bf16) = (mebibytes(4 * part.parameters), mebibytes(2 * part.parameters));
        format!("{:<14} {:>16} {now:>12} {bf16:>12}\n", part.name, thousands(part.parameters))
    };
    report.parts.iter().for_each(|part| text += &row(part));
    text += &row(&Part { name: "total", parameters: report.total });
    text += &row(&Part { name: "active", parameters: report.active });
    text += &format!(
        "{:<14} {:>16} {:>12} {:>12}\n",
        "kv cache",
        format!("{} tokens", thousands(context)),
        mebibytes(4 * report.cache_numbers),
        mebibytes(2 * report.cache_numbers)
    );
    print(&text)
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.2} MiB", bytes as f64 / (1 << 20) as f64)
}
