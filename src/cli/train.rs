//! `ossia train`

use super::progress::{Progress, save_tokenizer};
use super::{print, stories, thousands, train_data};
use crate::config::ModelConfig;
use crate::data::{Batches, Corpus, Windows};
use crate::error::{Error, Result};
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use crate::train::adamw::Hyperparameters;
use crate::train::run::{RunDirectory, RunSettings};
use crate::train::trainer::{Outcome, Settings, Trainer};
use crate::train::{EvaluationSet, Schedule, metrics};
use crate::{checkpoint, train::AdamW};
use std::path::PathBuf;

/// Train a model
///
/// Without arguments: the preset nano on built-in stories, about three minutes on two cores. The run directory is
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
    /// Optimizer steps [default: by preset, 1000 for nano]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Windows in a batch [default: by preset, 8 for nano]
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
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let (mut trainer, run, tokenizer) = if arguments.resume { resume(arguments)? } else { start(arguments)? };
    describe(&trainer, &run, &tokenizer);
    let mut progress = Progress::new(run.clone(), tokenizer.clone(), trainer.step_count(), trainer.settings.steps);
    let outcome = trainer.run(&mut progress);
    progress.finish();
    if outcome? == Outcome::Interrupted {
        say!("stopped at step {}; everything is saved", trainer.step_count());
        say!("go on with: ossia train --resume --out {}", run.path().display());
        return Ok(());
    }
    conclude(&trainer, &run, &tokenizer)
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
    let (text, eval_text) = read_text(&settings)?;
    let tokenizer = match &arguments.tokenizer {
        Some(path) => Tokenizer::load(path)?,
        None => crate::tokenizer::train(text.iter().map(String::as_str), config.vocab_size, &[train_data::END])?,
    };
    fit(&mut config, &tokenizer, &settings, arguments)?;
    let (batches, evaluation) = windows(&settings, &tokenizer, &text, &eval_text)?;
    let batches = Batches::new(batches, settings.settings.batch_size, settings.settings.seed)?;
    let run = RunDirectory::new(arguments.out.clone().unwrap_or_else(|| free_directory(&settings.preset)));
    run.create(&settings, &config)?;
    save_tokenizer(&tokenizer, run.path(), config.context)?;
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
    let end = tokenizer.end_of_text();
    let end =
        end.ok_or_else(|| Error::argument(format!("the tokenizer has no {}, which ends documents", train_data::END)))?;
    config.eos_token_ids = vec![end];
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
    let (text, eval_text) = read_text(&settings)?;
    let (windows, evaluation) = windows(&settings, &tokenizer, &text, &eval_text)?;
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

/// A resumed run keeps its settings; saying otherwise is a mistake that would be silent.
fn refuse_changes(a: &Arguments) -> Result<()> {
    let given = [
        ("--preset", a.preset.is_some()),
        ("--config", a.config.is_some()),
        ("--data", !a.data.is_empty()),
        ("--eval-data", !a.eval_data.is_empty()),
        ("--field", a.field.is_some()),
        ("--validation-fraction", a.validation_fraction.is_some()),
        ("--stories", a.stories.is_some()),
        ("--tokenizer", a.tokenizer.is_some()),
        ("--batch-size", a.batch_size.is_some()),
        ("--context", a.context.is_some()),
        ("--accumulate", a.accumulate.is_some()),
        ("--learning-rate", a.learning_rate.is_some()),
        ("--warmup", a.warmup.is_some()),
        ("--schedule", a.schedule.is_some()),
        ("--weight-decay", a.weight_decay.is_some()),
        ("--beta1", a.beta1.is_some()),
        ("--beta2", a.beta2.is_some()),
        ("--clip", a.clip.is_some()),
        ("--balance", a.balance.is_some()),
        ("--seed", a.seed.is_some()),
        ("--log-every", a.log_every.is_some()),
        ("--eval-every", a.eval_every.is_some()),
        ("--save-every", a.save_every.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Error::argument(format!("{flag} cannot change with --resume; only --steps can"))),
        None => Ok(()),
    }
}

fn run_settings(a: &Arguments, config: &ModelConfig) -> Result<RunSettings> {
    let preset = a.preset.clone().unwrap_or_else(|| if a.config.is_some() { "custom".into() } else { "nano".into() });
    // steps, batch size, learning rate
    let (steps, batch_size, learning_rate) = match preset.as_str() {
        "nano" => (1_000, 8, 2e-3),
        "tiny" => (1_000, 16, 2e-3),
        "small" => (4_000, 4, 1e-3),
        _ => (4_000, 4, 5e-4),
    };
    let steps = a.steps.unwrap_or(steps);
    let settings = Settings {
        steps,
        batch_size: a.batch_size.unwrap_or(batch_size),
        context: a.context.unwrap_or(config.context.min(512)),
        accumulate: a.accumulate.unwrap_or(1),
        learning_rate: a.learning_rate.unwrap_or(learning_rate),
        warmup: a.warmup.unwrap_or((steps / 20).max(1)),
        schedule: if a.schedule.as_deref() == Some("constant") { Schedule::Constant } else { Schedule::Cosine },
        adamw: Hyperparameters {
            beta1: a.beta1.unwrap_or(0.9),
            beta2: a.beta2.unwrap_or(0.95),
            epsilon: 1e-8,
            weight_decay: a.weight_decay.unwrap_or(0.1),
            clip: a.clip.unwrap_or(1.0),
        },
        seed: a.seed.unwrap_or(0),
        log_every: a.log_every.unwrap_or(10),
        eval_every: a.eval_every.unwrap_or((steps / 5).max(1)),
        save_every: a.save_every.unwrap_or((steps / 5).max(1)),
    };
    check(&settings, a)?;
    let strings = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect();
    Ok(RunSettings {
        preset,
        data: if a.data.is_empty() { vec!["builtin".into()] } else { strings(&a.data) },
        eval_data: strings(&a.eval_data),
        field: a.field.clone().unwrap_or_else(|| "text".into()),
        validation_fraction: a.validation_fraction.unwrap_or(0.02),
        stories: a.stories.unwrap_or(train_data::STORIES),
        settings,
        version: 1,
    })
}

fn check(settings: &Settings, arguments: &Arguments) -> Result<()> {
    let wrong = |flag: &str, value: String, expected: &str| {
        Err(Error::argument(format!("--{flag} {value}: expected {expected}")))
    };
    let Hyperparameters { beta1, beta2, weight_decay, clip, .. } = settings.adamw;
    let unit = |x: f64| (0.0..1.0).contains(&x);
    match settings {
        s if s.steps == 0 => wrong("steps", "0".into(), "at least 1"),
        s if !(1..=1 << 16).contains(&s.accumulate) => wrong("accumulate", s.accumulate.to_string(), "1 to 65536"),
        s if !(s.learning_rate > 0.0 && s.learning_rate.is_finite()) => {
            wrong("learning-rate", s.learning_rate.to_string(), "more than 0")
        }
        _ if !unit(beta1) => wrong("beta1", beta1.to_string(), "0 to 1, without 1"),
        _ if !unit(beta2) => wrong("beta2", beta2.to_string(), "0 to 1, without 1"),
        _ if !(weight_decay >= 0.0 && weight_decay.is_finite()) => {
            wrong("weight-decay", weight_decay.to_string(), "0 or more")
        }
        _ if !(clip > 0.0 && clip.is_finite()) => wrong("clip", clip.to_string(), "more than 0, and finite"),
        _ => match arguments.balance.filter(|b| !(*b >= 0.0 && b.is_finite())) {
            Some(balance) => wrong("balance", balance.to_string(), "0 or more"),
            None => Ok(()),
        },
    }
}

/// The documents to train on, and to measure on.
fn read_text(settings: &RunSettings) -> Result<(Vec<String>, Vec<String>)> {
    let paths = |paths: &[String]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    let read = |names: &[String], seed: u64| {
        let paths = paths(names);
        let corpus = match train_data::is_builtin(&paths) {
            true => Corpus::builtin(settings.stories, seed),
            false => Corpus::read(&paths, &settings.field)?,
        };
        train_data::report_skipped(&corpus.skipped);
        Ok::<_, Error>(corpus)
    };
    let corpus = read(&settings.data, settings.settings.seed)?;
    if !settings.eval_data.is_empty() {
        return Ok((corpus.documents, read(&settings.eval_data, train_data::UNSEEN_SEED)?.documents));
    }
    if corpus.documents.len() == 1 {
        return Err(Error::argument("found 1 document, expected 2 or more to put one aside; give --eval-data"));
    }
    let split = corpus.split(settings.validation_fraction, settings.settings.seed)?;
    Ok((split.train, split.validation))
}

fn windows(
    settings: &RunSettings,
    tokenizer: &Tokenizer,
    text: &[String],
    eval_text: &[String],
) -> Result<(Windows, EvaluationSet)> {
    let end = tokenizer.end_of_text().unwrap_or(0);
    let context = settings.settings.context;
    let windows = Windows::new(&train_data::encode(text, tokenizer), end, context)?;
    let builtin = |names: &[String]| names == ["builtin"];
    let known = builtin(if settings.eval_data.is_empty() { &settings.data } else { &settings.eval_data });
    Ok((windows, train_data::evaluation_set(eval_text, tokenizer, context, known)?))
}

/// `runs/nano`, or `runs/nano-2` if that is taken, and so on.
fn free_directory(preset: &str) -> PathBuf {
    let named = |n: u32| PathBuf::from("runs").join(if n == 1 { preset.into() } else { format!("{preset}-{n}") });
    (1..).map(named).find(|path| !path.exists()).expect("numbers do not end")
}

fn describe(trainer: &Trainer, run: &RunDirectory, tokenizer: &Tokenizer) {
    let parameters: usize = trainer.model.parameters().iter().map(|(_, tensor)| tensor.data().len()).sum();
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

/// The last words of a run: how good it became, and a story.
fn conclude(trainer: &Trainer, run: &RunDirectory, tokenizer: &Tokenizer) -> Result<()> {
    let path = run.path().display();
    let set = trainer.evaluation.as_ref();
    if set.is_some_and(|set| set.entropy_floor.is_some()) {
        let told = stories::tell(&trainer.model, tokenizer, 100, 0.7)?;
        say!("{}", stories::summary(&told, 0.7));
    }
    let story = stories::one(&trainer.model, tokenizer, 0.7, trainer.settings.seed, trainer.model.config.context)?;
    say!("\na story:\n");
    print(&format!("{}\n", story.trim()))?;
    say!("\nmore: ossia generate {path} --prompt \"Once upon a time\"      curves: {path}/loss.svg");
    Ok(())
}
