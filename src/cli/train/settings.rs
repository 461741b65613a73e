//! The settings of a run, from its arguments.

use super::Arguments;
use crate::cli::train_data::STORIES;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::train::Schedule;
use crate::train::adamw::Hyperparameters;
use crate::train::run::RunSettings;
use crate::train::trainer::Settings;
use std::path::PathBuf;

/// A resumed run keeps its settings; saying otherwise is a mistake that would be silent.
///
/// # Errors
/// Names the argument.
pub fn refuse_changes(a: &Arguments) -> Result<()> {
    let given = [
        ("--preset", a.preset.is_some()),
        ("--config", a.config.is_some()),
        ("--task", a.task.is_some()),
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

/// What the arguments and the defaults of the preset make.
///
/// # Errors
/// A number outside of its range.
pub fn run_settings(a: &Arguments, config: &ModelConfig) -> Result<RunSettings> {
    let preset = a.preset.clone().unwrap_or_else(|| if a.config.is_some() { "custom".into() } else { "nano".into() });
    // steps, batch size, learning rate
    let (steps, batch_size, learning_rate) = match preset.as_str() {
        "nano" if a.task.is_some() => (2_500, 16, 2e-3),
        "nano" => (1_000, 8, 2e-3),
        "tiny" => (1_000, 16, 2e-3),
        "small" => (4_000, 4, 1e-3),
        _ => (4_000, 4, 5e-4),
    };
    let (steps, usual) = (a.steps.unwrap_or(steps), Hyperparameters::default());
    let settings = Settings {
        steps,
        batch_size: a.batch_size.unwrap_or(batch_size),
        context: a.context.unwrap_or(config.context.min(512)),
        accumulate: a.accumulate.unwrap_or(1),
        learning_rate: a.learning_rate.unwrap_or(learning_rate),
        warmup: a.warmup.unwrap_or((steps / 20).max(1)),
        schedule: if a.schedule.as_deref() == Some("constant") { Schedule::Constant } else { Schedule::Cosine },
        adamw: Hyperparameters {
            beta1: a.beta1.unwrap_or(usual.beta1),
            beta2: a.beta2.unwrap_or(usual.beta2),
            weight_decay: a.weight_decay.unwrap_or(usual.weight_decay),
            clip: a.clip.unwrap_or(usual.clip),
            ..usual
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
        task: a.task.clone(),
        data: if a.data.is_empty() { vec!["builtin".into()] } else { strings(&a.data) },
        eval_data: strings(&a.eval_data),
        field: a.field.clone().unwrap_or_else(|| "text".into()),
        validation_fraction: a.validation_fraction.unwrap_or(0.02),
        stories: a.stories.unwrap_or(STORIES),
        settings,
        version: 1,
    })
}

/// Numbers outside of their ranges.
///
/// # Errors
/// Names the argument.
pub fn check(settings: &Settings, arguments: &Arguments) -> Result<()> {
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
