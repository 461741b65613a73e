//! What a run says before it begins, and when it is finished.

use crate::checkpoint::report::published;
use crate::cli::terminal::shown_on;
use crate::cli::{print, thousands};
use crate::error::Result;
use crate::generate::Sampling;
use crate::layers::Layer;
use crate::parameter::Role;
use crate::tasks::{arithmetic, chats, stories};
use crate::train::{Session, Settings};
use std::io::stdout;
use std::time::{Duration, Instant};

/// Prints what a run consists of, and what it needs.
pub fn describe(session: &Session) {
    let Session { trainer, tokenizer, settings, .. } = session;
    let parameters = published(&trainer.model.config).total().parameters; // also those that other ranks hold
    let Settings { batch_size, context, accumulate, steps, .. } = trainer.settings;
    let frozen: Vec<&str> = settings.freeze.iter().map(Role::name).collect();
    let trained = || trainer.model.parameters().iter().filter(|p| p.is_trainable()).map(|p| p.value().count()).sum();
    let note = match &settings.lora {
        Some(adapter) => {
            let targets: Vec<&str> = adapter.targets.iter().map(|target| target.name()).collect();
            format!(" (frozen; {} of LoRA beside {})", thousands(trained()), targets.join(", "))
        }
        None if trainer.settings.qat.is_some() => " (experts compute with their values in MXFP4)".into(),
        None if frozen.is_empty() => String::new(),
        None => format!(" (frozen: {})", frozen.join(", ")),
    };
    say!(
        "{} parameters{}; {} tokens {}; {steps} steps of {batch_size}×{context} tokens{}; run directory {}",
        thousands(parameters),
        note,
        thousands(trainer.batches.windows().tokens()),
        if settings.is_chat() { "of the assistant" } else { "of text" },
        if accumulate > 1 { format!(" ×{accumulate}") } else { String::new() },
        session.directory().path().display()
    );
    let (entries, rows) = (tokenizer.vocab_size(), trainer.model.config.vocab_size);
    if entries < rows {
        let (entries, rows) = (thousands(entries), thousands(rows));
        say!("the tokenizer has {entries} entries, the model room for {rows}: the rest stays unused");
    }
    say!("{}", session.needs());
}

/// The most tokens of the story that a finished run shows.
const STORY: usize = 300;
/// The most stories that a finished run tells and checks; fewer if time is short.
const STORIES: u64 = 100;

/// Prints the summary of a finished run: the quality of the model and a sample.
///
/// # Errors
/// If the model cannot generate, or the output is closed.
pub fn conclude(session: &Session) -> Result<()> {
    let Session { trainer, tokenizer, settings, .. } = session;
    let (model, seed) = (&*trainer.measured(), trainer.settings.seed);
    let path = session.directory().path().display();
    let used = settings.lora.as_ref().map_or(path.to_string(), |adapter| format!("{} --adapter {path}", adapter.base));
    let mut failed = Ok(());
    let mut show = |piece: &str| {
        if failed.is_ok() {
            failed = print(&shown_on(&stdout(), piece));
        }
    };
    if settings.is_chat() {
        let sample = match &session.question {
            Some(question) => chats::sample(model, tokenizer, question.clone(), &mut show),
            None => arithmetic::sample(model, tokenizer, seed, &mut show),
        };
        if let Err(error) = sample {
            say!("no sample: {error}");
        }
        show("\n");
        failed?;
        say_quantize(session);
        let command = if settings.task.is_some() { "eval" } else { "chat" };
        let task = if settings.task.is_some() { " --task arithmetic" } else { "" };
        say!("\nmore: ossia {command} {used}{task}      curves: {path}/loss.svg");
        return Ok(());
    }
    if trainer.evaluation.as_ref().is_some_and(|set| set.entropy_floor.is_some()) {
        say!("{}", stories::summary(&told(session)?, 0.7));
    }
    say!("\na story:\n");
    let sampling = Sampling { temperature: 0.7, seed, ..Sampling::default() };
    model.stream_text(tokenizer, "", STORY, sampling, &mut show)?;
    show("\n");
    failed?;
    say_quantize(session);
    say!("\nmore: ossia generate {used} --prompt \"Once upon a time\"      curves: {path}/loss.svg");
    Ok(())
}

/// Says how the model comes to the form that was measured, if training was quantization-aware.
fn say_quantize(session: &Session) {
    if session.trainer.settings.qat.is_some() {
        let path = session.directory().path().display();
        say!(
            "\nthe validation loss is that of the model in MXFP4, which this writes: ossia quantize {path} {path}-mxfp4"
        );
    }
}

/// Tells stories in groups of ten, and starts no new group after 30 seconds.
fn told(session: &Session) -> Result<Vec<String>> {
    let start = Instant::now();
    let (model, mut told) = (session.trainer.measured(), Vec::new());
    for first in (0..STORIES).step_by(10) {
        told.extend(stories::tell(&model, &session.tokenizer, first..first + 10, 0.7)?);
        if start.elapsed() > Duration::from_secs(30) {
            break;
        }
    }
    Ok(told)
}
