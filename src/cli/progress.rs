//! The display of a training run: a bar in a terminal, plain lines elsewhere.

use super::terminal::{Lines, shown_on};
use crate::train::{Evaluation, Metrics, Monitor, Pace, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The width of a sample, which stands behind `  | `.
const SAMPLE: usize = 76;
/// The time between two lines about an evaluation.
const PATIENCE: Duration = Duration::from_secs(10);

/// Displays the progress of a run on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    interrupted: Arc<AtomicBool>,
    started: Instant,
    first_step: u64,
    forecast: bool, // whether it was said how long the run takes
    said: Instant,  // when the last line about an evaluation was printed
    sample: Lines,
}

impl Progress {
    /// Creates the display of a run that is at step `first_step` of `steps`. `interrupted` asks the run to stop.
    pub fn new(first_step: u64, steps: u64, interrupted: Arc<AtomicBool>) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps).with_position(first_step);
            // The message takes what is left of the line, so that the line never wraps.
            let style = ProgressStyle::with_template("{bar:12} {pos}/{len}  {wide_msg} {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let now = Instant::now();
        Self { bar, interrupted, started: now, first_step, forecast: false, said: now, sample: Lines::new(SAMPLE) }
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
        if step == steps { String::new() } else { format!("{} left", clock(pace * (steps - step) as f64)) }
    }

    /// Says how long the run takes, once some steps were measured.
    fn forecast(&mut self, trainer: &Trainer) {
        /// Steps to measure; the first one is slower than the others.
        const STEPS: u64 = 3;
        let (step, steps) = (trainer.step_count(), trainer.settings.steps);
        let (taken, seconds) = (step - self.first_step, self.started.elapsed().as_secs_f64());
        if self.forecast || step == steps || (taken < STEPS && seconds < 5.0) {
            return;
        }
        self.forecast = true;
        let every = trainer.settings.eval_every;
        let evaluations = if every == 0 { 1 } else { (steps - step).div_ceil(every) };
        // Without a backward pass a token takes about a third of the time.
        let evaluated = trainer.evaluation.as_ref().map_or(0, |set| set.windows.tokens());
        let evaluation = evaluated as f64 / trainer.tokens_per_step() as f64 / 3.0;
        let pace = seconds / taken as f64;
        let left = pace * ((steps - step) as f64 + evaluations as f64 * evaluation);
        self.say(&format!("a step takes {}: the run takes about {} more", clock(pace), clock(left)));
    }
}

impl Monitor for Progress {
    fn stepped(&mut self, trainer: &Trainer, loss: f32, metrics: Option<&Metrics>) {
        let (step, steps) = (trainer.step_count(), trainer.settings.steps);
        if let Some(metrics) = metrics {
            match &self.bar {
                Some(bar) => bar.set_message(format!(
                    "loss {loss:.4}  norm {:.2}  {:.0} tokens/s",
                    metrics.grad_norm, metrics.tokens_per_second
                )),
                None => say!(
                    "step {step}/{steps}  loss {loss:.4}{}  lr {:.1e}  norm {:.2}  {:.0} tokens/s  busiest expert {:.2}×  \
                     {}",
                    metrics.draft_loss.map_or(String::new(), |loss| format!("  draft loss {loss:.4}")),
                    metrics.lr,
                    metrics.grad_norm,
                    metrics.tokens_per_second,
                    metrics.imbalance(),
                    self.left(step, steps)
                ),
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        }
        self.forecast(trainer);
    }

    fn evaluating(&mut self, measured: usize, tokens: usize) {
        let line = format!("evaluating: {measured} of {tokens} tokens");
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None if self.said.elapsed() >= PATIENCE && measured < tokens => {
                self.said = Instant::now();
                say!("{line}");
            }
            None => {}
        }
    }

    fn evaluated(&mut self, trainer: &Trainer, evaluation: &Evaluation, best: bool) {
        let floor = evaluation.entropy_floor.map_or(String::new(), |floor| format!("  entropy floor {floor:.4}"));
        let star = if best { "  best so far" } else { "" };
        let step = trainer.step_count();
        self.say(&format!("step {step}  validation loss {:.4}{floor}{star}", evaluation.loss));
        self.said = Instant::now();
    }

    fn sampled(&mut self, piece: Option<&str>) {
        let lines = match piece {
            Some(piece) => self.sample.push(piece),
            None => vec![std::mem::replace(&mut self.sample, Lines::new(SAMPLE)).finish()],
        };
        lines.iter().for_each(|line| self.say(&format!("  | {}", shown_on(&stderr(), line))));
    }

    fn paced(&mut self, pace: &Pace) {
        self.say(&pace.to_string());
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// 0.17 s, 12 s, 3:05 minutes, 2:03 hours
pub fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{seconds:.0} s"),
        60..3600 => format!("{minutes}:{rest:02} minutes"),
        _ => format!("{hours}:{minutes:02} hours"),
    }
}
