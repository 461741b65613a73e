//! `ossia eval`

use super::arithmetic::ArithmeticArguments;
use super::{print, report_model, report_skipped, task, thousands};
use crate::checkpoint::{self, Arithmetic};
use crate::data::Corpus;
use crate::error::{Error, Result};
use crate::model::Transformer;
use crate::tasks::stories;
use crate::tokenizer::Tokenizer;
use crate::train::material::{UNSEEN_SEED, is_builtin, stories as builtin_stories};
use crate::train::settings::check_stories;
use crate::train::{Deviation, EvaluationSet, deviation, evaluate};
use std::path::PathBuf;

/// Measure how well a model predicts a text
///
/// Prints nats per token, perplexity, and bits per byte (which are comparable between tokenizers). On the built-in
/// stories it also prints the entropy floor, which no model can beat, and the share of the stories told by
/// the model that are well-formed and consistent. With --precision fast or --dense int8 it also prints how far the predictions are from
/// the exact ones.
///
/// Example: ossia eval runs/nano --data builtin
#[derive(clap::Args)]
pub struct Arguments {
    /// A model directory
    model: PathBuf,
    /// `builtin` for stories that no run is trained on; or text files, directories, JSONL files
    #[arg(long, num_args = 1.., required_unless_present = "task", value_name = "PATH")]
    data: Vec<PathBuf>,
    /// Instead of a text: `arithmetic`, for a model of ossia train --task arithmetic. Asks held-out questions at each
    /// reasoning effort and checks the answers
    #[arg(long, value_name = "NAME", value_parser = ["arithmetic"], conflicts_with = "data")]
    task: Option<String>,
    /// With --task: questions of each kind per seed
    #[arg(long, default_value_t = 100, value_name = "N")]
    questions: usize,
    /// With --task: number of seeds
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// The field of a JSONL line that has the text
    #[arg(long, default_value = "text")]
    field: String,
    /// Windows per batch
    #[arg(long, default_value_t = 16, value_name = "B")]
    batch_size: usize,
    /// Tokens per window [default: the model's context, at most 2048]
    #[arg(long, value_name = "T")]
    context: Option<usize>,
    /// With built-in data: number of stories that the model tells and the command checks
    #[arg(long, default_value_t = 200, value_name = "N")]
    tell: usize,
    /// With built-in data: number of stories for which to show where they leave the grammar
    #[arg(long, default_value_t = 3, value_name = "N")]
    departures: usize,
    #[command(flatten)]
    arithmetic: ArithmeticArguments,
}

pub fn run(arguments: Arguments) -> Result<()> {
    let arithmetic = arguments.arithmetic.arithmetic();
    let (model, tokenizer) = checkpoint::open_with(&arguments.model, arithmetic)?;
    report_model(&arguments.model)?;
    if arguments.task.is_some() {
        return task::evaluate(&model, &tokenizer, arguments.questions, arguments.seeds);
    }
    let context = arguments.context.unwrap_or(model.config.context.min(2_048));
    if context == 0 || context > model.config.context {
        let most = model.config.context;
        return Err(Error::argument(format!("--context {context}: expected 1 to the model's context, {most}")));
    }
    check_stories(arguments.tell)?;
    let builtin = is_builtin(&arguments.data);
    let corpus = match builtin {
        true => builtin_stories(500, UNSEEN_SEED)?,
        false => Corpus::read(&arguments.data, &arguments.field)?,
    };
    report_skipped(&corpus.skipped);
    let set = match builtin {
        true => EvaluationSet::of_stories(&corpus.documents, &tokenizer, context)?,
        false => EvaluationSet::of_documents(&corpus.documents, &tokenizer, context)?,
    };
    checkpoint::check(&model)?;
    let batch_size = arguments.batch_size.max(1);
    let result = evaluate(&model, &set, batch_size);
    print(&format!(
        "{} documents, {} tokens\n{:.4} nats/token   perplexity {:.3}   {:.4} bits/byte\n",
        thousands(corpus.documents.len()),
        thousands(result.tokens),
        result.loss,
        result.perplexity(),
        result.bits_per_byte
    ))?;
    if arithmetic != Arithmetic::default() {
        let exact = checkpoint::load(&arguments.model)?;
        print_deviation(deviation(&exact, &model, &set, batch_size))?;
    }
    if let Some(floor) = result.entropy_floor {
        print(&format!("{floor:.4} nats/token is the entropy floor: {:.4} above it\n", result.loss - floor))?;
        print_stories(&model, &tokenizer, &arguments)?;
    }
    Ok(())
}

/// Prints how far the predictions are from the exact ones.
fn print_deviation(deviation: Deviation) -> Result<()> {
    print(&format!(
        "{:.4} nats/token when computed exactly: {:+.5}; {:.2e} nats/token of divergence, \
         the same first choice for {:.2} % of tokens\n",
        deviation.exact_loss,
        deviation.excess_loss,
        deviation.divergence,
        100.0 * deviation.same_choice
    ))
}

/// Lets the model tell stories, and prints how many of them follow the grammar and where others leave it.
fn print_stories(model: &Transformer, tokenizer: &Tokenizer, arguments: &Arguments) -> Result<()> {
    for temperature in [0.7, 1.0] {
        let told = stories::tell(model, tokenizer, 0..arguments.tell as u64, temperature)?;
        print(&format!("{}\n", stories::summary(&told, temperature)))?;
        for line in stories::departures(&told, arguments.departures) {
            print(&format!("{line}\n"))?;
        }
    }
    Ok(())
}
