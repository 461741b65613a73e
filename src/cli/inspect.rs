//! `ossia inspect`

use super::{print, report_model, thousands};
use crate::checkpoint;
use crate::checkpoint::report::{Report, Size, cache_numbers, published, report};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Show the size of a model
///
/// Prints the configuration, the parameters (all, and those that process one token), and the memory of each component,
/// now and in bf16. A preset needs no file; its size is that of the format in which OpenAI publishes gpt-oss, with
/// experts in MXFP4.
///
/// Example: ossia inspect gpt-oss-20b --context 4096
#[derive(clap::Args)]
pub struct Arguments {
    /// A model directory, or a preset: nano, tiny, small, children-stories, gpt-oss-20b, gpt-oss-120b
    model: PathBuf,
    /// Show the memory of the KV cache for this many tokens [default: the model's context]
    #[arg(long, value_name = "T")]
    context: Option<usize>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let (config, report) = read(&arguments.model)?;
    let context = arguments.context.unwrap_or(config.context);
    if context == 0 || context > config.context {
        let most = config.context;
        return Err(Error::argument(format!("--context {context}: expected 1 to the model's context, {most}")));
    }
    let mut text = describe(&config);
    text += &format!("\n{:<10} {:>16} {:>14} {:>14} {:>8}\n", "part", "parameters", "bytes now", "in bf16", "saving");
    report.components.iter().for_each(|part| text += &row(part));
    text += &row(&report.total());
    text += &format!("{:<10} {:>16}   ({} per token)\n", "active", thousands(report.active), billions(report.active));
    let cache = cache_numbers(&config, context);
    text += &format!(
        "{:<10} {:>16} {:>14} {:>14}\n",
        "kv cache",
        format!("{} tokens", thousands(context)),
        size(4 * cache),
        size(2 * cache)
    );
    print(&text)
}

/// Returns the configuration and the size of a preset or of a model directory.
fn read(path: &Path) -> Result<(ModelConfig, Report)> {
    let preset = path.to_str().filter(|name| ModelConfig::PRESETS.contains(name) && !path.exists());
    if let Some(name) = preset {
        let config = ModelConfig::preset(name)?;
        let report = published(&config);
        return Ok((config, report));
    }
    let model = checkpoint::describe(path)?;
    report_model(path)?;
    let report = report(&model);
    Ok((model.config, report))
}

fn describe(config: &ModelConfig) -> String {
    let windows: Vec<String> = config.windows.iter().map(|w| w.map_or("full".into(), |w| w.to_string())).collect();
    format!(
        "layers {}   hidden {}   heads {} ({} kv) of {}   experts {} ({} active) of {}\n\
         vocabulary {}   context {}   tied {}   windows {}\n",
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
        windows.join(" ")
    )
}

fn row(part: &Size) -> String {
    let saving = 100.0 * (1.0 - part.bytes as f64 / part.bf16_bytes().max(1) as f64);
    let saving = if part.bytes < part.bf16_bytes() { format!("{saving:.1} %") } else { "-".into() };
    let (now, bf16) = (size(part.bytes), size(part.bf16_bytes()));
    format!("{:<10} {:>16} {now:>14} {bf16:>14} {saving:>8}\n", part.name, thousands(part.parameters))
}

/// 20.91 B, 2.05 M
fn billions(n: usize) -> String {
    let n = n as f64;
    if n >= 1e9 { format!("{:.2} B", n / 1e9) } else { format!("{:.2} M", n / 1e6) }
}

fn size(bytes: usize) -> String {
    let mebibytes = bytes as f64 / (1 << 20) as f64;
    if mebibytes < 1024.0 { format!("{mebibytes:.2} MiB") } else { format!("{:.2} GiB", mebibytes / 1024.0) }
}
