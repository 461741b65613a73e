//! What a training run shows while it goes on: a bar in a terminal, plain lines elsewhere.

use super::chart;
use crate::error::Result;
use crate::files::append_line;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use crate::train::trainer::{Monitor, Trainer};
use crate::train::{Evaluation, Metrics, RunDirectory, metrics};
use crate::{checkpoint, files};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Something that a model can do, as text.
pub type Sample = fn(&Transformer, &Tokenizer, u64) -> Result<String>;

/// Prints, and keeps the run directory.
pub struct Progress {
    bar: Option<ProgressBar>,
    run: RunDirectory,
    tokenizer: Tokenizer,
    sample: Sample,
    interrupted: Arc<AtomicBool>,
    started: Instant,
    first_step: u64,
}

impl Progress {
    /// For a run that stands at step `first_step` of `steps`. Ctrl-C asks it to stop.
    pub fn new(run: RunDirectory, tokenizer: Tokenizer, sample: Sample, first_step: u64, steps: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps).with_position(first_step);
            let template = "{bar:24} {pos}/{len}  {msg}  {eta} left";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = interrupted.clone();
        // A second Ctrl-C does not wait. If no handler can be set, Ctrl-C ends the program as always.
        _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
        Self { bar, run, tokenizer, sample, interrupted, started: Instant::now(), first_step }
    }

    /// A line above the bar.
    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => say!("{line}"),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Time left at the pace so far.
    fn left(&self, step: u64, steps: u64) -> String {
        let pace = self.started.elapsed().as_secs_f64() / (step - self.first_step).max(1) as f64;
        let seconds = (pace * (steps - step) as f64).round() as u64;
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

impl Monitor for Progress {
    fn stepped(&mut self, trainer: &Trainer, loss: f32, metrics: Option<&Metrics>) -> Result<()> {
        let (step, steps) = (trainer.step_count(), trainer.settings.steps);
        if let Some(metrics) = metrics {
            metrics.append(&self.run.metrics())?;
            let line = format!(
                "loss {loss:.4}  lr {:.1e}  norm {:.2}  {:.0} tokens/s  busiest expert {:.2}×",
                metrics.lr,
                metrics.grad_norm,
                metrics.tokens_per_second,
                metrics.imbalance()
            );
            match &self.bar {
                Some(bar) => bar.set_message(line),
                None => say!("step {step}/{steps}  {line}  {} left", self.left(step, steps)),
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        }
        Ok(())
    }

    fn evaluated(&mut self, trainer: &Trainer, evaluation: &Evaluation, best: bool) -> Result<()> {
        let floor = evaluation.entropy_floor.map_or(String::new(), |floor| format!("  entropy floor {floor:.4}"));
        let star = if best { "  best so far" } else { "" };
        let step = trainer.step_count();
        self.say(&format!("step {step}  validation loss {:.4}{floor}{star}", evaluation.loss));
        let sample = (self.sample)(&trainer.model, &self.tokenizer, step)?;
        self.say(&format!("  | {}", sample.trim().replace('\n', "\n  | ")));
        append_line(&self.run.file("samples.txt"), &format!("=== step {step}\n{}\n", sample.trim()))?;
        if best {
            let directory = self.run.file("best");
            checkpoint::save(&trainer.model, &directory)?;
            save_tokenizer(&self.tokenizer, &directory, trainer.model.config.context)?;
        }
        let lines = metrics::read(&self.run.metrics(), step)?;
        chart::draw(&lines, &self.run.file("loss.svg"))
    }

    fn save(&mut self, trainer: &Trainer) -> Result<()> {
        self.run.save(trainer)
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Writes `tokenizer.json` and `tokenizer_config.json`.
///
/// # Errors
/// What the system says.
pub fn save_tokenizer(tokenizer: &Tokenizer, directory: &std::path::Path, context: usize) -> Result<()> {
    files::write_atomically(&directory.join(checkpoint::TOKENIZER), tokenizer.to_json().as_bytes())?;
    let config = tokenizer.tokenizer_config_json(context);
    files::write_atomically(&directory.join(checkpoint::TOKENIZER_CONFIG), config.as_bytes())
}
