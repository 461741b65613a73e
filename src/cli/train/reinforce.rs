//! `ossia train --rl`

use super::Arguments;
use crate::cli::harmony::system_of;
use crate::cli::interrupt;
use crate::cli::sandboxes::Sandboxes;
use crate::error::{Error, Result};
use crate::tasks::Task;
use crate::train::rl::metrics::{ByEffort, RlMetrics};
use crate::train::rl::{Objective, Price, Reinforcement, RlMonitor, RlSession};
use crate::train::{DataPath, Outcome, RunSettings};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Arguments of reinforcement learning.
#[derive(clap::Args, Default)]
#[command(next_help_heading = "Reinforcement learning")]
pub struct RlArguments {
    /// Learn from rewards: the model of --init answers questions, and answers that earn more than others become more probable.
    /// `arithmetic`, or a JSONL file of {"question": …, "answer": …}; an answer is a number, a text, or {"pattern": …}
    #[arg(long, value_name = "TASK", requires = "init",
          conflicts_with_all = ["task", "data", "eval_data", "eval_tokens", "field", "validation_fraction", "stories",
                                "context", "accumulate", "log_every"])]
    pub rl: Option<PathBuf>,
    /// Rollouts per question; --batch-size is the number of questions per step [default: 8]
    #[arg(long, value_name = "G", requires = "rl")]
    samples: Option<usize>,
    /// The most tokens that the model may write in a rollout [default: 256]
    #[arg(long, value_name = "N", requires = "rl")]
    longest: Option<usize>,
    /// What is maximized: reinforce (advantage times ln π), cispo or gspo [default: reinforce]
    #[arg(long, value_name = "NAME", requires = "rl")]
    objective: Option<ObjectiveArgument>,
    /// ε of cispo and gspo [default: 0.2]
    #[arg(long, value_name = "E", requires = "objective")]
    clip_ratio: Option<f32>,
    /// β: pulls the policy towards the model of --init [default: 0]
    #[arg(long, value_name = "B", requires = "rl")]
    kl: Option<f32>,
    /// Optimizer steps per batch of rollouts [default: 1]
    #[arg(long, value_name = "K", requires = "rl")]
    updates: Option<usize>,
    /// The reward for a reply in the right format [default: 0]
    #[arg(long, value_name = "X", requires = "rl")]
    format_reward: Option<f32>,
    /// The price of each token at low, medium and high effort, taken off the reward [default: 0,0,0]
    #[arg(long, value_name = "LOW,MEDIUM,HIGH", value_delimiter = ',', requires = "rl")]
    price: Vec<f32>,
    /// Draw rollouts with weights and inputs rounded to int8, and measure how far the trainer is from this sampler
    #[arg(long, requires = "rl")]
    fast_rollouts: bool,
    /// Let tokens visit the experts in the trainer that they visited when they were drawn (routing replay)
    #[arg(long, requires = "rl")]
    replay_routing: bool,
    /// Held-out questions that an evaluation asks, at each effort [default: 100]
    #[arg(long, value_name = "N", requires = "rl")]
    questions: Option<usize>,
}

/// `--objective`
#[derive(ValueEnum, Clone, Copy)]
enum ObjectiveArgument {
    Reinforce,
    Cispo,
    Gspo,
}

impl RlArguments {
    /// Returns the first argument that was given.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            ("--rl", self.rl.is_some()),
            ("--samples", self.samples.is_some()),
            ("--longest", self.longest.is_some()),
            ("--objective", self.objective.is_some()),
            ("--kl", self.kl.is_some()),
            ("--updates", self.updates.is_some()),
            ("--format-reward", self.format_reward.is_some()),
            ("--price", !self.price.is_empty()),
            ("--fast-rollouts", self.fast_rollouts),
            ("--replay-routing", self.replay_routing),
            ("--questions", self.questions.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}

/// Returns the settings of reinforcement learning, if the run learns from rewards.
///
/// # Errors
/// If the system message of the model cannot be read, or an argument has another number of values than expected.
pub fn reinforcement(arguments: &Arguments) -> Result<Option<Reinforcement>> {
    let a = &arguments.reinforcement;
    let (Some(task), Some(init)) = (&a.rl, &arguments.init) else { return Ok(None) };
    let clip = a.clip_ratio.unwrap_or(0.2);
    let usual = Reinforcement::default();
    let price = match a.price[..] {
        [] => usual.price,
        [low, medium, high] => Price { low, medium, high },
        _ => return Err(Error::argument("--price: expected three numbers, for low, medium and high effort")),
    };
    let is_built_in = task == Path::new(Task::ARITHMETIC);
    Ok(Some(Reinforcement {
        task: if is_built_in { DataPath::from(task) } else { DataPath::from(task).absolute()? },
        system: system_of(init)?.unwrap_or_default(),
        samples: a.samples.unwrap_or(usual.samples),
        longest: a.longest.unwrap_or(usual.longest),
        objective: match a.objective {
            None | Some(ObjectiveArgument::Reinforce) => Objective::Reinforce,
            Some(ObjectiveArgument::Cispo) => Objective::Cispo { clip },
            Some(ObjectiveArgument::Gspo) => Objective::Gspo { clip },
        },
        kl: a.kl.unwrap_or(usual.kl),
        updates: a.updates.unwrap_or(usual.updates),
        format: a.format_reward.unwrap_or(usual.format),
        price,
        fast_rollouts: a.fast_rollouts,
        replay: a.replay_routing,
        measured: a.questions.unwrap_or(usual.measured),
    }))
}

/// Learns from rewards, to the end or until Ctrl-C.
///
/// # Errors
/// Those of the session.
pub fn learn(session: RlSession) -> Result<ExitCode> {
    describe(&session);
    let sandboxes = Sandboxes::new();
    let mut progress = Lines { interrupted: interrupt::flag()? };
    let path = session.directory().path().display().to_string();
    let (task, more) = match session.settings.task {
        Some(_) => ("eval", " --task arithmetic"),
        None => ("chat", ""),
    };
    let outcome = session.run(&|| sandboxes.tools(), &mut progress);
    sandboxes.end();
    let outcome = outcome?;
    if outcome == Outcome::Interrupted {
        say!("stopped; everything is saved\ncontinue with: ossia train --resume --out {path}");
        return Ok(ExitCode::from(interrupt::INTERRUPTED));
    }
    say!("\nmore: ossia {task} {path}{more}      curves: {path}/rewards.svg");
    Ok(ExitCode::SUCCESS)
}

/// Says what the run consists of.
fn describe(session: &RlSession) {
    let RunSettings { settings, reinforcement, .. } = &session.settings;
    let samples = reinforcement.as_ref().map_or(0, |rl| rl.samples);
    let (steps, batch) = (settings.steps, settings.batch_size);
    say!(
        "{}; {steps} steps of {batch} questions × {samples} rollouts; run directory {}",
        session.task.describe(),
        session.directory().path().display()
    );
}

/// Prints a line per step.
struct Lines {
    interrupted: Arc<AtomicBool>,
}

impl RlMonitor for Lines {
    fn stepped(&mut self, metrics: &RlMetrics, steps: u64) {
        let RlMetrics { step, rollouts, skipped, lr, grad_norm, mismatch, held_out, .. } = metrics;
        let skipped = match skipped {
            0 => String::new(),
            1 => "  1 group with equal rewards is skipped".into(),
            _ => format!("  {skipped} groups with equal rewards are skipped"),
        };
        let mismatch = mismatch.as_ref().map_or(String::new(), |found| format!("  mismatch {:.1e}", found.mean));
        let reward = rollouts.total().mean_reward();
        let rollouts = shown(rollouts);
        say!(
            "step {step}/{steps}  reward {reward:.3}  {rollouts}  lr {lr:.1e}  norm {grad_norm:.2}{mismatch}{skipped}"
        );
        if let Some(held_out) = held_out {
            say!("  held-out questions: {}", shown(held_out));
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// right 2/55/99 % at low/medium/high effort, 5/30/90 tokens
fn shown(rollouts: &ByEffort) -> String {
    let joined = |of: &dyn Fn(crate::train::rl::metrics::Tally) -> f64| {
        rollouts.all().map(|tally| format!("{:.0}", of(tally))).join("/")
    };
    let right = joined(&|tally| 100.0 * tally.accuracy());
    let tokens = joined(&|tally| tally.length());
    format!("right {right} % at low/medium/high effort, {tokens} tokens")
}
