//! `ossia generate`

mod running;
mod texts;

use super::arithmetic::ArithmeticArguments;
use super::draft::{DraftArguments, told};
use super::terminal::Prefill;
use super::{is_quiet, job, report_model, standard_input, text_or_standard_input};
use crate::collective::agree::{self, agree};
use crate::collective::{Collective, caught, to_bytes};
use crate::error::{Error, Result};
use crate::generate::generation::ReadProgress;
use crate::generate::{Batch, Control, Generator, Guided, Plain, Sampling, Speculative, Writer};
use crate::layers::Layer;
use crate::model::Transformer;
use crate::profile;
use crate::schema::Guide;
use crate::tokenizer::Tokenizer;
use running::{Drafted, Running};
use serde_json::Value;
use std::io::{self, IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;
use texts::Texts;

/// Continue a text
///
/// Only the new text goes to standard output, as it is generated. Statistics go to standard error. With --samples, several
/// texts are generated at once, which takes less time than one after the other, and are printed one after the other. If mpirun
/// starts several processes, they hold the experts of the model together.
///
/// Example: ossia generate runs/nano --prompt "Once upon a time" --temperature 0.7
#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Arguments {
    /// A model directory
    model: PathBuf,
    /// The text to continue; `-` reads it from standard input, also if that is a pipe and there is no --prompt. If the text
    /// is empty, the model starts a document
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The most new tokens [default: as many as the context holds]
    #[arg(short = 'n', long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// How many texts to generate. They differ in their seeds: --seed, and the numbers after it
    #[arg(short = 's', long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    samples: u32,
    /// Print each text as a line of JSON when it has ended: `text`, `tokens`, and `end`, which says why it ended
    #[arg(long)]
    json: bool,
    /// Stop before this text; can be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// A JSON Schema that the new text must follow
    #[arg(long, value_name = "FILE", conflicts_with = "stop")]
    schema: Option<PathBuf>,
    /// Print a profile of the ops, for the prompt and for the new text, to standard error
    #[arg(long)]
    profile: bool,
    #[command(flatten)]
    draft: DraftArguments,
    #[command(flatten)]
    arithmetic: ArithmeticArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
}

/// The sampling settings; the filters apply in this order.
#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArguments {
    /// Repetition penalty: makes tokens that already occur in the text less likely. 1 changes nothing; 1.3 is a strong
    /// penalty
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    repetition_penalty: f32,
    /// Temperature: 0 always takes the most probable token, 1 follows the model's probabilities
    #[arg(long, visible_alias = "temp", default_value_t = 0.8, value_name = "X")]
    temperature: f32,
    /// Only the K most probable tokens; 0 for all
    #[arg(long, default_value_t = 0, value_name = "K")]
    top_k: usize,
    /// Only the most probable tokens that together reach this probability; 1 for all
    #[arg(long, default_value_t = 1.0, value_name = "P")]
    top_p: f32,
    /// Only tokens at least this share as probable as the most probable one; 0 for all
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    min_p: f32,
    /// The same seed gives the same text
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl SamplingArguments {
    /// Returns the sampling that the arguments select.
    ///
    /// # Errors
    /// If a number is out of its range.
    pub fn sampling(&self) -> Result<Sampling> {
        let check = |name: &str, value: f32, good: bool, expected: &str| match good && value.is_finite() {
            true => Ok(()),
            false => Err(Error::argument(format!("--{name} {value}: expected {expected}"))),
        };
        check("temperature", self.temperature, self.temperature >= 0.0, "0 or more")?;
        check("top-p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "more than 0, at most 1")?;
        check("min-p", self.min_p, (0.0..=1.0).contains(&self.min_p), "0 to 1")?;
        check("repetition-penalty", self.repetition_penalty, self.repetition_penalty > 0.0, "more than 0")?;
        Ok(Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            vocabulary: None,
            seed: self.seed,
        })
    }
}

/// Runs the command. If a launcher has started several processes, they hold the experts together, and the first one generates.
pub fn run(arguments: Arguments, threads: Option<u16>) -> Result<()> {
    let sampling = arguments.sampling.sampling()?;
    if arguments.draft.draft.is_some() && arguments.samples > 1 {
        return Err(Error::argument(
            "--draft: expected one text; several texts are generated in a batch, without drafts",
        ));
    }
    let job = job::join(threads)?;
    if arguments.draft.draft.is_some() && job.size() > 1 {
        return Err(Error::argument("--draft: expected one process"));
    }
    job.attempt(|| {
        let (mut model, tokenizer) = open(&arguments, &*job)?;
        if job.size() > 1 {
            model.lead(&job)?;
        }
        if job.rank() > 0 {
            return model.serve();
        }
        report_model(&arguments.model)?;
        caught(|| generate(arguments, &model, &tokenizer, &sampling))?;
        model.dismiss()
    })
}

/// Opens the model. All ranks have to open the same one.
fn open(arguments: &Arguments, job: &dyn Collective) -> Result<(Transformer, Tokenizer)> {
    let opened = arguments.arithmetic.open(&arguments.model);
    agree(job, opened, |(model, _)| {
        let mut identity = agree::program();
        let mut checksum = crc32fast::Hasher::new();
        // The matrices stay in their file, but norms, biases and adapters are in memory, and no two models have the same.
        let in_memory = model.parameters().into_iter().filter_map(|parameter| parameter.value().tensor());
        in_memory.for_each(|tensor| checksum.update(&to_bytes(tensor.data())));
        let config = crc32fast::hash(model.config.to_json().as_bytes());
        identity.insert("configuration".into(), agree::checksum(config.into()));
        let arithmetic = format!("{:?}", arguments.arithmetic.arithmetic());
        identity.insert("arithmetic".into(), arithmetic.into());
        identity.insert("model".into(), agree::checksum(checksum.finalize().into()));
        identity
    })
}

fn generate(arguments: Arguments, model: &Transformer, tokenizer: &Tokenizer, sampling: &Sampling) -> Result<()> {
    let text = match arguments.prompt {
        Some(text) => text_or_standard_input(text)?,
        None if io::stdin().is_terminal() => String::new(),
        None => standard_input()?,
    };
    let prompt = tokenizer.prompt(&text);
    let sampling = sampling.clone().within(tokenizer);
    let start = Instant::now();
    if arguments.profile {
        profile::start();
    }
    let mut bar = Prefill::default();
    let show_bar = &mut |read, of| bar.show(read, of);
    let drafter = arguments.draft.open(model, tokenizer)?;
    let mut writing = match drafter {
        None => Writing::Plain(Box::new(Generator::with_progress(model, &prompt, sampling.clone(), show_bar)?)),
        Some(drafter) => {
            let (most, prompt) = (arguments.draft.most(), (&prompt[..], show_bar as ReadProgress));
            Writing::Drafting(Box::new(Speculative::new(model, drafter, most, prompt, sampling.clone())?))
        }
    };
    let prefill = start.elapsed();
    if arguments.profile {
        say!("the prompt, {} tokens:\n{}\n", prompt.len(), profile::stop());
        profile::start();
    }
    let guide = arguments.schema.as_ref().map(|path| guide(path, model, tokenizer)).transpose()?;
    let mut guides = vec![guide; arguments.samples as usize];
    let most = arguments.max_new_tokens.unwrap_or(usize::MAX);
    let stop = model.stop_tokens(tokenizer);
    let samples = samples(&mut guides, tokenizer, &sampling, (most, &stop), writing.writer())?;
    let on_terminal = stdout().is_terminal() && io::stderr().is_terminal() && !is_quiet();
    let start = Instant::now();
    let mut running = writing.start(samples)?;
    let mut texts =
        Texts::new(tokenizer, &arguments.stop, arguments.samples as usize, on_terminal.then_some(text), arguments.json);
    loop {
        let tokens = running.step()?;
        texts.add(&tokens, &mut *running)?;
        if tokens.is_empty() {
            break;
        }
    }
    let tokens = texts.tokens();
    if arguments.profile {
        say!("the new text, {tokens} tokens:\n{}\n", profile::stop());
    }
    let rate = tokens as f64 / start.elapsed().as_secs_f64().max(1e-9);
    let what = match arguments.samples {
        1 => format!("{tokens} tokens"),
        n => format!("{n} texts, {tokens} tokens"),
    };
    let drafts = running.statistics().map_or(String::new(), |statistics| format!("; {}", told(&statistics)));
    say!("{what} at {rate:.0} tokens/s, prompt of {} in {prefill:.0?}; {}{drafts}", prompt.len(), texts.ends());
    Ok(())
}

/// A model that writes, alone or with a drafter.
enum Writing<'d> {
    Plain(Box<Generator>),
    Drafting(Box<Speculative<'d>>),
}

impl<'d> Writing<'d> {
    fn writer(&mut self) -> &mut dyn Writer {
        match self {
            Writing::Plain(generator) => &mut **generator,
            Writing::Drafting(speculative) => &mut **speculative,
        }
    }

    /// Starts the texts. With a drafter, there is only one.
    fn start<'c, C: Control + 'c>(self, mut samples: Vec<(Sampling, C)>) -> Result<Box<dyn Running + 'c>>
    where
        'd: 'c,
    {
        Ok(match self {
            Writing::Plain(generator) => Box::new(Batch::new(*generator, samples)?),
            Writing::Drafting(speculative) => Box::new(Drafted::new(*speculative, samples.remove(0).1)),
        })
    }
}

/// Returns the sampling and the control of each text. Text i draws with the seed that follows that of text i − 1.
///
/// # Errors
/// If no text that the schema allows is short enough.
fn samples<'g>(
    guides: &'g mut [Option<Guide>],
    tokenizer: &'g Tokenizer,
    sampling: &Sampling,
    (most, stop): (usize, &[u32]),
    writer: &dyn Writer,
) -> Result<Vec<(Sampling, Box<dyn Control + 'g>)>> {
    let sample = |(guide, i): (&'g mut Option<Guide>, u64)| -> Result<(Sampling, Box<dyn Control + 'g>)> {
        let control: Box<dyn Control> = match guide {
            Some(guide) => Box::new(Guided::new(guide, tokenizer, most, writer)?),
            None => Box::new(Plain::new(most, stop)),
        };
        Ok((Sampling { seed: sampling.seed.wrapping_add(i), ..sampling.clone() }, control))
    };
    guides.iter_mut().zip(0..).map(sample).collect()
}

/// Reads a schema from a file.
///
/// # Errors
/// If the file has no schema, or the schema is not supported.
pub fn guide(path: &Path, model: &Transformer, tokenizer: &Tokenizer) -> Result<Guide> {
    let schema = read_schema(path)?;
    let end = model.stop_tokens(tokenizer).into_iter().find(|&end| (end as usize) < tokenizer.vocab_size());
    let end = end.ok_or_else(|| Error::argument("this model has no token that ends a text"))?;
    let guide = Guide::of(&schema, tokenizer, end).map_err(|e| Error::invalid(path, e))?;
    report_unknown_formats(guide.unknown_formats());
    Ok(guide)
}

/// Reads a schema from a file.
///
/// # Errors
/// If the file cannot be read or is not JSON.
pub fn read_schema(path: &Path) -> Result<Value> {
    parse_schema(path, &std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?)
}

/// Reads a schema from the text of a file.
///
/// # Errors
/// If the text is not JSON.
pub fn parse_schema(path: &Path, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| Error::file(path, format!("{e}; expected a JSON Schema")).caused_by(e))
}

/// Says which formats of a schema do not constrain anything.
pub fn report_unknown_formats(formats: &[String]) {
    if !formats.is_empty() {
        say!("note: the schema has formats that are unknown and not enforced: {}", formats.join(", "));
    }
}
