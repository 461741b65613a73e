//! `ossia train`

mod reinforce;
mod settings;
mod summary;

use self::reinforce::{RlArguments, learn};
use self::settings::{OptimizerArgument, QatArgument, ScheduleArgument, refuse_changes, refuse_unused, run_settings};
use self::summary::{conclude, describe};
use super::progress::Progress;
use super::{interrupt, job, report, silence, task};
use crate::checkpoint::CONFIG;
use crate::collective::Collective;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::layers::Target;
use crate::parameter::Role;
use crate::profile;
use crate::tokenizer::Tokenizer;
use crate::train::rl::RlSession;
use crate::train::{Job, Outcome, RunDirectory, RunSettings, Session, memory, start as beginning};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Train a model
///
/// Without arguments it trains the preset nano on built-in stories, which takes a few minutes on two cores. The
/// run directory is itself a MODEL. It also has metrics.jsonl, loss.svg, samples.txt, best/ (the model with the lowest
/// validation loss), and everything that --resume needs to continue with bit-identical results. Ctrl-C saves and exits.
///
/// Example: ossia train --preset tiny --data stories.jsonl --out runs/mine
#[derive(clap::Args, Default)]
#[command(allow_negative_numbers = true)]
pub struct Arguments {
    /// The architecture: nano, tiny, small, children-stories [default: nano]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    #[arg(help_heading = "Model")]
    preset: Option<String>,
    /// An architecture from a config.json
    #[arg(long, value_name = "FILE")]
    #[arg(help_heading = "Model")]
    config: Option<PathBuf>,
    /// A MODEL to be trained further, with its own vocabulary: a directory of ossia train, of Hugging Face, or of OpenAI
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["preset", "config", "tokenizer"])]
    #[arg(help_heading = "Model")]
    init: Option<PathBuf>,
    /// Parameters that are not trained, by what they are: embedding, matrix (of attention and dense layers), head, expert, router,
    /// norm, bias, sink
    #[arg(long, value_name = "ROLE,…", value_delimiter = ',', value_parser = Role::from_name)]
    #[arg(help_heading = "Model")]
    freeze: Vec<Role>,
    /// Train a LoRA adapter of rank R, which corrects weights of the model of --init; these stay as they are, in their file and
    /// format. The run directory is an adapter as PEFT saves it, for --adapter and ossia merge
    #[arg(long, value_name = "R", requires = "init", conflicts_with = "freeze",
          value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(help_heading = "Model")]
    lora: Option<u16>,
    /// The factor by which corrections are multiplied is A/R [default: 2·R]
    #[arg(long, value_name = "A", requires = "lora")]
    #[arg(help_heading = "Model")]
    lora_alpha: Option<f32>,
    /// Weights that the adapter corrects: attention, experts, router, head [default: attention,experts]
    #[arg(long, value_name = "TARGET,…", value_delimiter = ',', value_parser = Target::from_name, requires = "lora")]
    #[arg(help_heading = "Model")]
    lora_target: Vec<Target>,
    /// Quantization-aware training: experts compute with the values that they will have in MXFP4, and the validation loss is that
    /// of the model that ossia quantize writes. For a trained model: --init, with a tenth of its steps and a low learning rate
    #[arg(long, value_name = "FORMAT", conflicts_with = "lora")]
    #[arg(help_heading = "Model")]
    qat: Option<QatArgument>,
    /// Multi-token prediction: 1 adds a block that predicts the token after the next one. The model can use it to draft text, see
    /// ossia generate --draft mtp. It is saved beside the model, in mtp.safetensors
    #[arg(long, value_name = "N", conflicts_with_all = ["lora", "rl"], value_parser = clap::value_parser!(u8).range(1..=1))]
    #[arg(help_heading = "Model")]
    mtp: Option<u8>,
    /// The weight of the loss of multi-token prediction [default: 0.3]
    #[arg(long, value_name = "X")]
    #[arg(help_heading = "Model")]
    mtp_weight: Option<f32>,
    /// Train on conversations instead of text. `arithmetic`: sums, worked out as the reasoning effort asks, and Python
    /// for products. Or a JSONL file of {"question": …, "answer": …}, to learn the answers; see ossia eval --task and --rl
    #[arg(long, value_name = "TASK",
          conflicts_with_all = ["data", "eval_data", "field", "validation_fraction", "stories", "tokenizer"])]
    #[arg(help_heading = "Data")]
    task: Option<PathBuf>,
    /// With --task arithmetic: the share of conversations in which sums are worked out as at a random effort, whichever the
    /// system message asks for. --rl then finds out what each effort is good for [default: 0]
    #[arg(long, value_name = "SHARE", requires = "task")]
    #[arg(help_heading = "Data")]
    mix_efforts: Option<f64>,
    /// `builtin`, or text files, directories, JSONL files, or a directory of ossia tokenizer prepare; or JSONL files with a
    /// conversation per line in OpenAI's chat format ({"messages": …}), of which the model learns what the assistant wrote
    /// [default: builtin]
    #[arg(long, num_args = 1.., value_name = "PATH")]
    #[arg(help_heading = "Data")]
    data: Vec<PathBuf>,
    /// Text for evaluation [default: a part of --data that is set aside]
    #[arg(long, num_args = 1.., value_name = "PATH")]
    #[arg(help_heading = "Data")]
    eval_data: Vec<PathBuf>,
    /// The most tokens of evaluation text; 0 for all of it [default: 65536]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Data")]
    eval_tokens: Option<usize>,
    /// The field of a JSONL line that has the text [default: text]
    #[arg(long, value_name = "NAME")]
    #[arg(help_heading = "Data")]
    field: Option<String>,
    /// The share of documents that are set aside if there is no --eval-data [default: 0.02]
    #[arg(long, value_name = "X")]
    #[arg(help_heading = "Data")]
    validation_fraction: Option<f64>,
    /// Number of built-in stories [default: 20000]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Data")]
    stories: Option<usize>,
    /// A tokenizer.json, or the name o200k_harmony [default: o200k_harmony for a vocabulary of 201,088 tokens, otherwise a
    /// new one that is trained on the training text]
    #[arg(long, value_name = "FILE|NAME")]
    #[arg(help_heading = "Data")]
    tokenizer: Option<PathBuf>,
    /// Number of optimizer steps [default: by preset, 650 for nano; 2500 with --task; 500 with --init; 100
    /// with --rl]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Optimization")]
    steps: Option<u64>,
    /// Windows per micro-batch [default: by preset, 8 for nano; 16 with --task; 24 with --rl]
    #[arg(long, value_name = "B")]
    #[arg(help_heading = "Optimization")]
    batch_size: Option<usize>,
    /// Tokens per window [default: the model's context, at most 512]
    #[arg(long, value_name = "T")]
    #[arg(help_heading = "Optimization")]
    context: Option<usize>,
    /// Micro-batches per step, for gradient accumulation; with several ranks, those of each [default: 1]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Optimization")]
    accumulate: Option<usize>,
    /// The highest learning rate [default: by preset and optimizer, 0.004 for nano; 0.0005 with --init, 0.0001 with
    /// --qat and with --rl]
    #[arg(long, value_name = "X")]
    #[arg(help_heading = "Optimization")]
    learning_rate: Option<f64>,
    /// Warm-up steps until the highest learning rate [default: a twentieth of the steps]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Optimization")]
    warmup: Option<u64>,
    /// The schedule after the warm-up: cosine (down to a tenth), linear (down to 0), wsd (stable, then down to 0 in the last fifth
    /// of the steps) or constant [default: linear]
    #[arg(long, value_name = "NAME")]
    #[arg(help_heading = "Optimization")]
    schedule: Option<ScheduleArgument>,
    /// The rule by which matrices are updated: adamw or muon [default: muon for a new nano on text, otherwise adamw]
    #[arg(long, value_name = "NAME")]
    #[arg(help_heading = "Optimization")]
    optimizer: Option<OptimizerArgument>,
    /// Weight decay λ: each step multiplies matrices by 1 − λ · learning rate [default: 0.01 for nano
    /// with muon and with --init, 0 with --rl, otherwise 0.1]
    #[arg(long, value_name = "X")]
    #[arg(help_heading = "Optimization")]
    weight_decay: Option<f64>,
    /// AdamW's β₁ [default: 0.9]
    #[arg(long, value_name = "X")]
    #[arg(help_heading = "Optimization")]
    beta1: Option<f64>,
    /// AdamW's β₂ [default: 0.95]
    #[arg(long, value_name = "X")]
    #[arg(help_heading = "Optimization")]
    beta2: Option<f64>,
    /// The largest norm of the gradient; a longer gradient is scaled down [default: 1]
    #[arg(long, value_name = "X")]
    #[arg(help_heading = "Optimization")]
    clip: Option<f64>,
    /// Coefficient of the load-balancing loss; 0 for none [default: 0.01, also with --init; 0
    /// with --rl]
    #[arg(long, value_name = "X")]
    #[arg(help_heading = "Optimization")]
    balance: Option<f32>,
    /// The same seed gives the same run [default: 0]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Optimization")]
    seed: Option<u64>,
    /// Log every N steps [default: 10]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Run")]
    log_every: Option<u64>,
    /// Evaluate and show a sample every N steps [default: a fifth of the steps]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Run")]
    eval_every: Option<u64>,
    /// Save every N steps [default: a fifth of the steps]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Run")]
    save_every: Option<u64>,
    /// The run directory [default: a new one in runs/, named after the preset]
    #[arg(long, value_name = "DIR")]
    #[arg(help_heading = "Run")]
    out: Option<PathBuf>,
    /// Continue the run in --out with its own settings, with bit-identical results; only --steps may be raised, and --ranks may
    /// differ
    #[arg(long, requires = "out")]
    #[arg(help_heading = "Run")]
    resume: bool,
    /// Train on N ranks, which are threads of this process; mpirun starts ranks that are processes. The results are those of one
    /// process with N times the micro-batches, bit for bit [default: 1]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Run")]
    ranks: Option<usize>,
    /// Spread the experts over X ranks, so that each holds an X-th of them: expert parallelism. X divides the number of ranks and
    /// the number of experts. The results are the same, bit for bit
    #[arg(long, default_value_t = 1, value_name = "X")]
    #[arg(help_heading = "Run")]
    expert_parallel: usize,
    /// Gradient checkpointing: keep only the input of each block and recompute the rest in the backward pass. Less
    /// memory, more time, bit-identical results
    #[arg(long)]
    #[arg(help_heading = "Run")]
    checkpoint_activations: bool,
    /// Print a profile of the ops to standard error when the run ends
    #[arg(long)]
    #[arg(help_heading = "Run")]
    profile: bool,
    #[command(flatten)]
    reinforcement: RlArguments,
}

/// The default coefficient of the load-balancing loss.
const BALANCE: f32 = 0.01;
/// The most ranks in one process.
const MOST_RANKS: usize = 64;

/// Runs the command, as one of the processes that a launcher has started, or alone.
pub fn run(arguments: &Arguments, threads: Option<u16>) -> Result<ExitCode> {
    let ranks = arguments.ranks.unwrap_or(1);
    if !(1..=MOST_RANKS).contains(&ranks) {
        return Err(Error::argument(format!("--ranks {ranks}: expected 1 to {MOST_RANKS}")));
    }
    let job = job::join(threads)?;
    if job.rank() > 0 {
        silence();
    }
    job.attempt(|| train(arguments, &job))
}

/// Trains as a rank of a job.
fn train(arguments: &Arguments, job: &Arc<dyn Collective>) -> Result<ExitCode> {
    let ranks = arguments.ranks.unwrap_or(1);
    if ranks > 1 && job.size() > 1 {
        let size = job.size();
        return Err(Error::argument(format!("--ranks {ranks}: {size} processes were started, which are the ranks")));
    }

    if let Some(session) = rewarded(arguments, job)? {
        return learn(session);
    }
    let mut session = if arguments.resume { resume(arguments, job)? } else { start(arguments, job)? };

    if ranks > 1 {
        session.divide(ranks, arguments.expert_parallel)?;
    }
    describe(&session);
    let (step, steps) = (session.trainer.step_count(), session.trainer.settings.steps);
    let mut progress = Progress::new(step, steps, interrupt::flag()?);
    if arguments.profile {
        profile::start();
    }
    let outcome = session.run(&mut progress);
    progress.finish();

    if arguments.profile {
        let mut profile = profile::stop();
        if ranks > 1 {
            profile.time *= ranks as u32;
            say!("the times of all {ranks} ranks together, which share the threads of this process:");
        }
        say!("{profile}");
    }
    if outcome? == Outcome::Interrupted {
        say!("stopped at step {}; everything is saved", session.trainer.step_count());
        say!("continue with: ossia train --resume --out {}", session.directory().path().display());
        return Ok(ExitCode::from(interrupt::INTERRUPTED));
    }
    if job.rank() == 0 {
        conclude(&session)?;
    }
    job.barrier()?; // if rank 0 has failed, the others fail, too
    Ok(ExitCode::SUCCESS)
}

/// Starts or resumes a run that learns from rewards; `None` if the run learns from examples.
fn rewarded(arguments: &Arguments, job: &Arc<dyn Collective>) -> Result<Option<RlSession>> {
    let directory = || RunDirectory::new(arguments.out.clone().unwrap_or_default());
    let resumes = arguments.resume && directory().has_run() && directory().read_settings()?.reinforcement.is_some();
    if !resumes && arguments.reinforcement.rl.is_none() {
        return Ok(None);
    }
    if arguments.ranks.unwrap_or(1) * job.size() > 1 {
        return Err(Error::argument("--rl: reinforcement learning runs on one rank"));
    }
    if resumes {
        refuse_changes(arguments)?;
        return RlSession::resume(directory(), arguments.steps).map(Some);
    }
    arguments.reinforcement.rl.iter().try_for_each(|name| task::check_name("--rl", name))?;
    let (config, tokenizer, settings) = chosen(arguments, 1)?;
    let out = arguments.out.clone().unwrap_or_else(|| free_directory(&settings));
    let tokenizer = tokenizer.ok_or_else(|| Error::argument("--rl needs --init"))?;
    RlSession::start(config, settings, tokenizer, RunDirectory::new(out)).map(Some)
}

/// Starts a new run.
fn start(arguments: &Arguments, job: &Arc<dyn Collective>) -> Result<Session> {
    let ranks = arguments.ranks.unwrap_or(1);
    arguments.task.iter().try_for_each(|name| task::check_name("--task", name))?;
    let (config, tokenizer, settings) = chosen(arguments, ranks * job.size())?;
    memory::check(&config, &settings, ranks)?; // before the directory is created
    settings.settings.check_group(&config, ranks * job.size(), arguments.expert_parallel)?;
    let directory = RunDirectory::new(arguments.out.clone().unwrap_or_else(|| free_directory(&settings)));
    Session::start(processes(arguments, job), config, settings, tokenizer, directory, &mut report)
}

/// Returns the architecture, the tokenizer if there is one already, and the settings of a new run on so many ranks.
fn chosen(arguments: &Arguments, all_ranks: usize) -> Result<(ModelConfig, Option<Tokenizer>, RunSettings)> {
    let ranks = arguments.ranks.unwrap_or(1);
    let mut frozen = match arguments.lora {
        Some(_) => Role::ALL.into_iter().collect(),
        None => arguments.freeze.iter().copied().collect(),
    };
    let (mut config, tokenizer) = match (&arguments.init, &arguments.config) {
        (Some(path), _) => {
            let (config, tokenizer) = beginning::open(path, &mut frozen, ranks, &mut report)?;
            let usual = if arguments.reinforcement.rl.is_some() { 0.0 } else { BALANCE };
            (ModelConfig { router_aux_loss_coef: usual, ..config }, Some(tokenizer))
        }
        (None, Some(path)) => (ModelConfig::load(path)?, None),
        (None, None) => (ModelConfig::preset(arguments.preset.as_deref().unwrap_or("nano"))?, None),
    };
    if let Some(balance) = arguments.balance {
        if !(balance >= 0.0 && balance.is_finite()) {
            return Err(Error::argument(format!("--balance {balance}: expected 0 or more")));
        }
        config.router_aux_loss_coef = balance;
    }
    if arguments.mtp.is_some() {
        config.mtp_layers = 1;
    }
    if arguments.mtp_weight.is_some() && config.mtp_layers == 0 {
        return Err(Error::argument("--mtp-weight: this model has no multi-token prediction; --mtp 1 adds it"));
    }
    refuse_unused(arguments)?;
    let settings = run_settings(arguments, &config, frozen, all_ranks)?;
    let tokenizer =
        tokenizer.map_or_else(|| arguments.tokenizer.as_ref().map(Tokenizer::open).transpose(), |t| Ok(Some(t)))?;
    Ok((config, tokenizer, settings))
}

/// Resumes a run.
fn resume(arguments: &Arguments, job: &Arc<dyn Collective>) -> Result<Session> {
    let directory = RunDirectory::new(arguments.out.clone().unwrap_or_default());
    if job.rank() == 0 && directory.has_run() {
        refuse_changes(arguments)?;
        let (settings, ranks) = (directory.read_settings()?.settings, arguments.ranks.unwrap_or(1) * job.size());
        settings.check_ranks(ranks)?;
        settings.check_group(&ModelConfig::load(directory.file(CONFIG))?, ranks, arguments.expert_parallel)?;
    }
    Session::resume(processes(arguments, job), directory, arguments.steps, &mut report)
}

/// Returns the job of the processes. Threads of this process hold experts together only among themselves.
fn processes(arguments: &Arguments, job: &Arc<dyn Collective>) -> Job {
    let expert_parallel = if job.size() > 1 { arguments.expert_parallel } else { 1 };
    Job { ranks: job.clone(), expert_parallel, recompute: arguments.checkpoint_activations }
}

/// Returns `runs/nano`, or `runs/nano-2` if that is taken, and so on. For a task, the directory has the name of the task
/// instead of the preset.
fn free_directory(settings: &RunSettings) -> PathBuf {
    let preset = settings.task.as_ref().unwrap_or(&settings.preset);
    let named = |n: u32| PathBuf::from("runs").join(if n == 1 { preset.clone() } else { format!("{preset}-{n}") });
    (1..).map(named).find(|path| !path.exists()).expect("numbers do not end")
}
