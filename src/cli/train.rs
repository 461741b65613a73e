//! `ossia train`

mod settings;

use self::settings::{check, refuse_changes, run_settings};
use super::progress::{Progress, save_tokenizer};
use super::train_data::{self, Material};
use super::{print, stories, task, thousands};
use crate::checkpoint;
use crate::config::ModelConfig;
use crate::data::Batches;
use crate::error::{Error, Result};
use crate::harmony::Harmony;
use crate::layers::Layer;
use crate::model::Transformer;
use crate::profile;
use crate::tokenizer::Tokenizer;
use crate::train::run::{RunDirectory, RunSettings};
use crate::train::trainer::{Outcome, Settings, Trainer};
use crate::train::{AdamW, metrics};
use std::path::PathBuf;

/// Train a model
///
/// Without arguments: the preset nano on built-in stories, about four minutes on two cores. The run directory is
/// itself a MODEL; it also holds metrics.jsonl, loss.svg, samples.txt, best/ (the model with the lowest validation
/// loss), and all that --resume needs to go on bit for bit. Ctrl-C saves and leaves.
///
/// Example: ossia train --preset tiny --data stories.jsonl --out runs/mine
#[derive(clap::Args, Default)]
#[command(allow_negative_numbers = true)]
pub struct Arguments {
    /// The architecture: nano, tiny, small, children-stories [default: nano]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    preset: Option<String>,
    /// An architecture of your own: a config.json
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Instead of text: conversations in which a model learns to reason. `arithmetic`: sums, worked out as the reasoning
    /// effort asks, and Python for products; see ossia eval --task
    #[arg(long, value_name = "NAME", value_parser = ["arithmetic"],
          conflicts_with_all = ["data", "eval_data", "field", "validation_fraction", "stories", "tokenizer"])]
    task: Option<String>,
    /// `builtin`, or text files, directories, JSONL files [default: builtin]
    #[arg(long, num_args = 1.., value_name = "PATH")]
    data: Vec<PathBuf>,
    /// Text to measure on [default: a part of --data that is put aside]
    #[arg(long, num_args = 1.., value_name = "PATH")]
    eval_data: Vec<PathBuf>,
    /// The field of a JSONL line that holds the text [default: text]
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// The share of documents put aside where there is no --eval-data [default: 0.02]
    #[arg(long, value_name = "X")]
    validation_fraction: Option<f64>,
    /// How many built-in stories there are [default: 20000]
    #[arg(long, value_name = "N")]
    stories: Option<usize>,
    /// A tokenizer.json [default: learn one from the training text]
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Optimizer steps [default: by preset, 1000 for nano; 2500 with --task]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Windows in a batch [default: by preset, 8 for nano; 16 with --task]
    #[arg(long, value_name = "B")]
    batch_size: Option<usize>,
    /// Tokens in a window [default: the preset's context, at most 512]
    #[arg(long, value_name = "T")]
    context: Option<usize>,
    /// Batches whose gradients make one step [default: 1]
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// The highest learning rate [default: by preset, 0.002 for nano]
    #[arg(long, value_name = "X")]
    learning_rate: Option<f64>,
    /// Steps until it is reached [default: a twentieth of the steps]
    #[arg(long, value_name = "N")]
    warmup: Option<u64>,
    /// What follows: cosine (down to a tenth) or constant [default: cosine]
    #[arg(long, value_name = "NAME", value_parser = ["cosine", "constant"])]
    schedule: Option<String>,
    /// Share of the learning rate that matrices lose each step [default: 0.1]
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// AdamW's β₁ [default: 0.9]
    #[arg(long, value_name = "X")]
    beta1: Option<f64>,
    /// AdamW's β₂ [default: 0.95]
    #[arg(long, value_name = "X")]
    beta2: Option<f64>,
    /// Longest gradient; a longer one is scaled down [default: 1]
    #[arg(long, value_name = "X")]
    clip: Option<f64>,
    /// Weight of the load-balancing loss; 0 for none [default: 0.01]
    #[arg(long, value_name = "X")]
    balance: Option<f32>,
    /// The same seed gives the same run [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Log every N steps [default: 10]
    #[arg(long, value_name = "N")]
    log_every: Option<u64>,
    /// Measure and show a sample every N steps [default: a fifth of the steps]
    #[arg(long, value_name = "N")]
    eval_every: Option<u64>,
    /// Save every N steps [default: a fifth of the steps]
    #[arg(long, value_name = "N")]
    save_every: Option<u64>,
    /// The run directory [default: a new one in runs/, named after the preset]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in --out as if it had never stopped. Its settings hold; only --steps may be raised
    #[arg(long, requires = "out")]
    resume: bool,
    /// Keep only the input of each block for the way back and compute the rest again: less memory, more time, the same
    /// run bit for bit
    #[arg(long)]
    checkpoint_activations: bool,
    /// Print what each op took, to standard error, when the run ends
    #[arg(long)]
    profile: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let (mut trainer, run, tokenizer) = if arguments.resume { resume(arguments)? } else { start(arguments)? };
    trainer.model.checkpoint_activations = arguments.checkpoint_activations;
    describe(&trainer, &run, &tokenizer);
    let is_task = run.read_settings()?.task.is_some();
    let sample = if is_task { task::sample } else { stories::sample };
    let (first, steps) = (trainer.step_count(), trainer.settings.steps);
    let mut progress = Progress::new(run.clone(), tokenizer.clone(), sample, first, steps);
    if arguments.profile {
        profile::start();
    }
    let outcome = trainer.run(&mut progress);
    progress.finish();
    if arguments.profile {
        say!("{}", profile::stop());
    }
    if outcome? == Outcome::Interrupted {
        say!("stopped at step {}; everything is saved", trainer.step_count());
        say!("go on with: ossia train --resume --out {}", run.path().display());
        return Ok(());
    }
    conclude(&trainer, &run, &tokenizer, is_task)
}

/// A new run.
fn start(arguments: &Arguments) -> Result<(Trainer, RunDirectory, Tokenizer)> {
    let mut config = match &arguments.config {
        Some(path) => ModelConfig::load(path)?,
        None => ModelConfig::preset(arguments.preset.as_deref().unwrap_or("nano"))?,
    };
    let settings = run_settings(arguments, &config)?;
    train_data::check_stories(settings.stories)?;
    check_memory(&config)?;
    let tokenizer = arguments.tokenizer.as_ref().map(Tokenizer::load).transpose()?;
    let Material { tokenizer, windows, evaluation } = Material::new(&settings, tokenizer, config.vocab_size)?;
    fit(&mut config, &tokenizer, &settings, arguments)?;
    let batches = Batches::new(windows, settings.settings.batch_size, settings.settings.seed)?;
    let run = RunDirectory::new(arguments.out.clone().unwrap_or_else(|| free_directory(&settings)));
    run.create(&settings, &config)?;
    save_tokenizer(&tokenizer, run.path(), config.context)?;
    if settings.task.is_some() {
        task::save_system(run.path())?;
    }
    let model = Transformer::random(&config, settings.settings.seed);
    Ok((Trainer::new(model, settings.settings, batches, Some(evaluation)), run, tokenizer))
}

/// Refuses what cannot be trained here, before hours go by. A parameter takes 16 bytes: itself, its gradient, its two
/// moments.
fn check_memory(config: &ModelConfig) -> Result<()> {
    let parameters = checkpoint::report::published(config).total().parameters;
    let there = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(kilobytes.trim().trim_end_matches(" kB").parse::<usize>().ok()? * 1024)
    });
    match there.filter(|&there| 16 * parameters > there) {
        Some(there) => Err(Error::argument(format!(
            "{} parameters need {} GB to be trained; this machine has {} GB",
            thousands(parameters),
            16 * parameters / 1_000_000_000,
            there / 1_000_000_000
        ))),
        None => Ok(()), // also where the system does not say
    }
}

/// Makes the configuration and the tokenizer agree.
fn fit(config: &mut ModelConfig, tokenizer: &Tokenizer, settings: &RunSettings, arguments: &Arguments) -> Result<()> {
    let found = tokenizer.vocab_size();
    if found > config.vocab_size {
        let rows = config.vocab_size;
        return Err(Error::argument(format!("the tokenizer has {found} entries; this model has room for {rows}")));
    }
    config.eos_token_ids = tokenizer.end_of_text().into_iter().collect();
    if settings.task.is_some() {
        // All words of the task are known: there is nothing that further rows could stand for.
        config.vocab_size = found;
        let marks = Harmony::new(tokenizer)?.marks();
        config.eos_token_ids.extend([marks.done, marks.call]);
    }
    config.context = config.context.max(settings.settings.context);
    config.router_aux_loss_coef = arguments.balance.unwrap_or(config.router_aux_loss_coef);
    Ok(())
}

/// A run that stopped.
fn resume(arguments: &Arguments) -> Result<(Trainer, RunDirectory, Tokenizer)> {
    let run = RunDirectory::new(arguments.out.clone().unwrap_or_default());
    if !run.has_state() {
        return Err(Error::file(run.path(), "holds no run to --resume (state.safetensors is missing)"));
    }
    refuse_changes(arguments)?;
    let mut settings = run.read_settings()?;
    settings.settings.steps = arguments.steps.unwrap_or(settings.settings.steps);
    check(&settings.settings, arguments)?;
    let tokenizer = Tokenizer::load(run.file(checkpoint::TOKENIZER))?;
    let Material { tokenizer, windows, evaluation } = Material::new(&settings, Some(tokenizer), 0)?;
    let saved = run.resume(settings.settings.adamw.clone())?;
    if windows.fingerprint() != saved.fingerprint {
        let data = settings.data.join(" ");
        return Err(Error::file(
            run.path(),
            format!("the training text ({data}) is not what the run was started with"),
        ));
    }
    if saved.optimizer.steps() >= settings.settings.steps {
        let steps = saved.optimizer.steps();
        return Err(Error::file(run.path(), format!("is finished: {steps} steps; give more with --steps")));
    }
    let batches = Batches::from_cursor(windows, settings.settings.batch_size, settings.settings.seed, saved.cursor)?;
    metrics::truncate(&run.metrics(), saved.optimizer.steps())?;
    run.write_settings(&settings)?;
    let optimizer: AdamW = saved.optimizer;
    let trainer = Trainer {
        model: saved.model,
        settings: settings.settings,
        optimizer,
        batches,
        evaluation: Some(evaluation),
        best_loss: saved.best_loss,
    };
    Ok((trainer, run, tokenizer))
}

/// `runs/nano`, or `runs/nano-2` if that is taken, and so on; a task gives its own name.
fn free_directory(settings: &RunSettings) -> PathBuf {
    let preset = settings.task.as_ref().unwrap_or(&settings.preset);
    let named = |n: u32| PathBuf::from("runs").join(if n == 1 { preset.clone() } else { format!("{preset}-{n}") });
    (1..).map(named).find(|path| !path.exists()).expect("numbers do not end")
}

fn describe(trainer: &Trainer, run: &RunDirectory, tokenizer: &Tokenizer) {
    let parameters: usize = trainer.model.parameters().iter().map(|parameter| parameter.value().count()).sum();
    let Settings { batch_size, context, accumulate, steps, .. } = trainer.settings;
    say!(
        "{} parameters; {} tokens of text; {steps} steps of {batch_size}×{context} tokens{}; run directory {}",
        thousands(parameters),
        thousands(trainer.batches.windows().tokens()),
        if accumulate > 1 { format!(" ×{accumulate}") } else { String::new() },
        run.path().display()
    );
    let (entries, rows) = (tokenizer.vocab_size(), trainer.model.config.vocab_size);
    if entries < rows {
        let (entries, rows) = (thousands(entries), thousands(rows));
        say!("the tokenizer has {entries} entries, the model room for {rows}: the rest stays unused");
    }
}

/// The last words of a run: how good it became, and a sample of what it can do.
fn conclude(trainer: &Trainer, run: &RunDirectory, tokenizer: &Tokenizer, is_task: bool) -> Result<()> {
    let (model, seed) = (&trainer.model, trainer.settings.seed);
    let path = run.path().display();
    if is_task {
        print(&format!("{}\n", task::sample(model, tokenizer, seed)?))?;
        say!("\nmore: ossia eval {path} --task arithmetic      curves: {path}/loss.svg");
        return Ok(());
    }
    let set = trainer.evaluation.as_ref();
    if set.is_some_and(|set| set.entropy_floor.is_some()) {
        let told = stories::tell(model, tokenizer, 100, 0.7)?;
        say!("{}", stories::summary(&told, 0.7));
    }
    let story = stories::one(model, tokenizer, 0.7, seed, model.config.context)?;
    say!("\na story:\n");
    print(&format!("{}\n", story.trim()))?;
    say!("\nmore: ossia generate {path} --prompt \"Once upon a time\"      curves: {path}/loss.svg");
    Ok(())
}
