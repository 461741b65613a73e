//! The display of a training run: a bar in a terminal, plain lines elsewhere.

use crate::train::{Evaluation, Metrics, Monitor, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Displays the progress of a run on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    interrupted: Arc<AtomicBool>,
    started: Instant,
    first_step: u64,
}

impl Progress {
    /// Creates the display of a run that is at step `first_step` of `steps`. Ctrl-C asks the run to stop.
    pub fn new(first_step: u64, steps: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps).with_position(first_step);
            let template = "{bar:24} {pos}/{len}  {msg}  {eta} left";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = interrupted.clone();
        // A second Ctrl-C exits at once. If no handler can be set, Ctrl-C ends the program as usual.
        _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
        Self { bar, interrupted, started: Instant::now(), first_step }
    }

    /// Prints a line above the bar.
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

    /// Returns the time left at the pace so far.
    fn left(&self, step: u64, steps: u64) -> String {
        let pace = self.started.elapsed().as_secs_f64() / (step - self.first_step).max(1) as f64;
        let seconds = (pace * (steps - step) as f64).round() as u64;
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

impl Monitor for Progress {
    fn stepped(&mut self, trainer: &Trainer, loss: f32, metrics: Option<&Metrics>) {
        let (step, steps) = (trainer.step_count(), trainer.settings.steps);
        if let Some(metrics) = metrics {
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
    }

    fn evaluated(&mut self, trainer: &Trainer, evaluation: &Evaluation, best: bool, sample: Option<&str>) {
        let floor = evaluation.entropy_floor.map_or(String::new(), |floor| format!("  entropy floor {floor:.4}"));
        let star = if best { "  best so far" } else { "" };
        let step = trainer.step_count();
        self.say(&format!("step {step}  validation loss {:.4}{floor}{star}", evaluation.loss));
        if let Some(sample) = sample {
            self.say(&format!("  | {}", sample.trim().replace('\n', "\n  | ")));
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
