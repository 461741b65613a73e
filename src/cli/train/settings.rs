//! The settings of a run, from its arguments.

use super::Arguments;
use super::reinforce::reinforcement;
use crate::cli::harmony::system_of;
use crate::config::ModelConfig;
use crate::data::read::PREPARED;
use crate::error::{Error, Result};
use crate::harmony::SystemContent;
use crate::layers::{Adapter, QuantizedFormat, Target};
use crate::parameter::Roles;
use crate::tasks::chats::are_chats;
use crate::tasks::{Task, questions};
use crate::train::adamw::Hyperparameters;
use crate::train::texts::is_builtin;
use crate::train::{DataPath, Method, RunSettings, Schedule, Settings, Suited};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// `--schedule`
#[derive(ValueEnum, Clone, Copy)]
pub enum ScheduleArgument {
    Cosine,
    Linear,
    Wsd,
    Constant,
}

impl From<ScheduleArgument> for Schedule {
    fn from(argument: ScheduleArgument) -> Self {
        match argument {
            ScheduleArgument::Cosine => Schedule::Cosine,
            ScheduleArgument::Linear => Schedule::Linear,
            ScheduleArgument::Wsd => Schedule::Wsd,
            ScheduleArgument::Constant => Schedule::Constant,
        }
    }
}

/// `--optimizer`
#[derive(ValueEnum, Clone, Copy)]
pub enum OptimizerArgument {
    Adamw,
    Muon,
}

impl From<OptimizerArgument> for Method {
    fn from(argument: OptimizerArgument) -> Self {
        match argument {
            OptimizerArgument::Adamw => Method::AdamW,
            OptimizerArgument::Muon => Method::Muon,
        }
    }
}

/// `--qat`
#[derive(ValueEnum, Clone, Copy)]
pub enum QatArgument {
    Mxfp4,
}

/// Refuses arguments that a resumed run would silently ignore, because it keeps its settings.
///
/// # Errors
/// The error names the first such argument.
pub fn refuse_changes(a: &Arguments) -> Result<()> {
    let given = [
        ("--preset", a.preset.is_some()),
        ("--config", a.config.is_some()),
        ("--init", a.init.is_some()),
        ("--freeze", !a.freeze.is_empty()),
        ("--lora", a.lora.is_some()),
        ("--qat", a.qat.is_some()),
        ("--mtp", a.mtp.is_some()),
        ("--mtp-weight", a.mtp_weight.is_some()),
        ("--task", a.task.is_some()),
        ("--mix-efforts", a.mix_efforts.is_some()),
        ("--data", !a.data.is_empty()),
        ("--eval-data", !a.eval_data.is_empty()),
        ("--eval-tokens", a.eval_tokens.is_some()),
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
        ("--optimizer", a.optimizer.is_some()),
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
    let rl = a.reinforcement.given().map(|flag| (flag, true));
    match given.iter().find(|(_, given)| *given).or(rl.as_ref()) {
        Some((flag, _)) => Err(Error::argument(format!("{flag} cannot change with --resume; only --steps can"))),
        None => Ok(()),
    }
}

/// Refuses arguments that say how a text is divided, if the text is divided already.
///
/// # Errors
/// The error names the first such argument.
pub fn refuse_unused(a: &Arguments) -> Result<()> {
    let stories = a.stories.is_some() && !is_builtin(&a.eval_data);
    let given = [("--validation-fraction", a.validation_fraction.is_some()), ("--stories", stories)];
    let prepared = a.data.iter().find(|path| path.join(PREPARED).exists());
    match prepared.zip(given.iter().find(|(_, given)| *given)) {
        Some((path, (flag, _))) => Err(Error::file(path, format!("is prepared text: {flag} has no effect on it"))),
        None => Ok(()),
    }
}

/// Returns the system message of the model for conversations, if the data has conversations.
fn system_of_chats(arguments: &Arguments) -> Result<Option<SystemContent>> {
    let Arguments { data, init, .. } = arguments;
    let data = &match &arguments.task {
        Some(questions) => vec![questions.clone()],
        None => data.clone(),
    };
    if let Some(path) = &arguments.task {
        questions::read(path, SystemContent::default())?; // to be sure that it has questions
    }
    let is_text = is_builtin(data) || data.iter().any(|path| path.join(PREPARED).exists());
    if is_text || !are_chats(data)? {
        return Ok(None);
    }
    let given = [
        ("--field", arguments.field.is_some()),
        ("--stories", arguments.stories.is_some()),
        ("--eval-tokens", arguments.eval_tokens.is_some()),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
        return Err(Error::argument(format!("{flag}: the data has conversations, on which it has no effect")));
    }
    let own = init.as_deref().map(system_of).transpose()?.flatten();
    Ok(Some(own.unwrap_or_default()))
}

/// Returns whether a task is the built-in one.
fn is_arithmetic(task: Option<&PathBuf>) -> bool {
    task.is_some_and(|name| name == Path::new(Task::ARITHMETIC))
}

/// Returns the adapter that is to be trained.
fn adapter(a: &Arguments) -> Result<Option<Adapter>> {
    let Some((rank, init)) = a.lora.zip(a.init.as_ref()) else { return Ok(None) };
    let alpha = a.lora_alpha.unwrap_or(2.0 * f32::from(rank));
    if !(alpha > 0.0 && alpha.is_finite()) {
        return Err(Error::argument(format!("--lora-alpha {alpha}: expected more than 0")));
    }
    let usual = vec![Target::Attention, Target::Experts];
    let targets = if a.lora_target.is_empty() { usual } else { a.lora_target.clone() };
    let base = DataPath::from(init).absolute()?.as_ref().display().to_string();
    Ok(Some(Adapter { rank: rank.into(), alpha, targets, base }))
}

/// Returns the settings, from the arguments, the defaults of the preset, what is frozen, and the number of ranks.
///
/// # Errors
/// If the data cannot be read, or an argument has no effect on it.
pub fn run_settings(a: &Arguments, config: &ModelConfig, freeze: Roles, ranks: usize) -> Result<RunSettings> {
    let custom = a.config.is_some() || a.init.is_some();
    let preset = a.preset.clone().unwrap_or_else(|| if custom { "custom".into() } else { "nano".into() });
    let suited = match a.init {
        Some(_) if a.reinforcement.rl.is_some() => Suited::to_reinforce(a.optimizer.map(Method::from)),
        Some(_) => Suited::to_continue(a.optimizer.map(Method::from), a.qat.is_some()),
        None => Suited::to(&preset, is_arithmetic(a.task.as_ref()), a.optimizer.map(Method::from)),
    };
    let usual = Settings {
        optimizer: suited.optimizer,
        adamw: suited.hyperparameters(),
        ..Settings::new(
            a.steps.unwrap_or(suited.steps),
            a.batch_size.unwrap_or(suited.batch_size),
            a.context.unwrap_or(config.context.min(512)),
            a.learning_rate.unwrap_or(suited.learning_rate),
        )
    };
    let settings = Settings {
        accumulate: a.accumulate.unwrap_or(usual.accumulate).saturating_mul(ranks),
        warmup: a.warmup.unwrap_or(usual.warmup),
        schedule: a.schedule.map_or(usual.schedule, Schedule::from),
        adamw: Hyperparameters {
            beta1: a.beta1.unwrap_or(usual.adamw.beta1),
            beta2: a.beta2.unwrap_or(usual.adamw.beta2),
            weight_decay: a.weight_decay.unwrap_or(usual.adamw.weight_decay),
            clip: a.clip.unwrap_or(usual.adamw.clip),
            ..usual.adamw
        },
        mtp_weight: a.mtp_weight,
        qat: a.qat.map(|QatArgument::Mxfp4| QuantizedFormat::Mxfp4),
        seed: a.seed.unwrap_or(usual.seed),
        log_every: a.log_every.unwrap_or(usual.log_every),
        eval_every: a.eval_every.unwrap_or(usual.eval_every),
        save_every: a.save_every.unwrap_or(usual.save_every),
        ..usual
    };
    let paths = |paths: &[PathBuf]| paths.iter().map(DataPath::from).collect();
    let usual = RunSettings::default();
    let reinforcement = reinforcement(a)?;
    let named = a.task.as_ref().or(a.reinforcement.rl.as_ref());
    let (task, chats) = match (is_arithmetic(named), &reinforcement) {
        (true, _) => (Some(Task::ARITHMETIC.into()), None),
        (false, Some(rl)) => (None, Some(rl.system.clone())),
        (false, None) => (None, system_of_chats(a)?),
    };
    if a.mix_efforts.is_some() && !is_arithmetic(a.task.as_ref()) {
        return Err(Error::argument("--mix-efforts: only --task arithmetic can be worked out in several ways"));
    }
    let data = match &a.task {
        Some(questions) if task.is_none() => std::slice::from_ref(questions),
        _ => &a.data,
    };
    Ok(RunSettings {
        preset,
        task,
        mix_efforts: a.mix_efforts,
        chats,
        reinforcement,
        init: a.init.as_ref().map(DataPath::from),
        freeze,
        lora: adapter(a)?,
        data: if data.is_empty() { usual.data } else { paths(data) },
        eval_data: paths(&a.eval_data),
        eval_tokens: a.eval_tokens.map_or(usual.eval_tokens, |most| Some(most).filter(|&most| most > 0)),
        field: a.field.clone().unwrap_or(usual.field),
        validation_fraction: a.validation_fraction.unwrap_or(usual.validation_fraction),
        stories: a.stories.unwrap_or(usual.stories),
        settings,
        version: usual.version,
    })
}
