//! Steps of training: ours, and those of transformers and torch.

use super::Arguments;
use super::table::{Row, Spread, median};
use ossia::config::ModelConfig;
use ossia::data::{Batches, Windows};
use ossia::kernels::{memory, parallel};
use ossia::model::Transformer;
use ossia::profile;
use ossia::train::Schedule;
use ossia::train::adamw::Hyperparameters;
use ossia::train::{Method, Settings, Trainer};
use serde::{Deserialize, Serialize};
use std::process::Command;
use std::time::{Duration, Instant};

/// The result of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The median step.
    pub seconds: f64,
    /// The most memory that the process had, where the system says.
    pub peak_mb: Option<f64>,
    /// The operations in the formulas of a step; only ossia counts them.
    #[serde(default)]
    pub flops: f64,
}

/// Sequences and tokens of a step.
fn batch(preset: &str) -> (usize, usize) {
    if preset == "small" { (4, 512) } else { (16, 256) }
}

/// The preset without the load-balancing loss, which the peer does not compute either.
fn config(preset: &str) -> Result<ModelConfig, String> {
    let config = ModelConfig::preset(preset).map_err(|e| e.to_string())?;
    Ok(ModelConfig { router_aux_loss_coef: 0.0, ..config })
}

/// Trains on random tokens for a while and prints a [`Run`].
pub fn once(preset: &str, seconds: f64) -> Result<(), String> {
    memory::keep_freed_memory();
    let (config, (batch_size, context)) = (config(preset)?, batch(preset));
    let tokens: Vec<u32> = (0..50_000_u64).map(|i| (i * 2_654_435_761 % config.vocab_size as u64) as u32).collect();
    let settings = Settings {
        optimizer: Method::AdamW,
        steps: 1_000_000,
        batch_size,
        context,
        accumulate: 1,
        learning_rate: 1e-3,
        warmup: 1,
        schedule: Schedule::Constant,
        adamw: Hyperparameters { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, clip: 1.0 },
        qat: None,
        mtp_weight: None,
        seed: 0,
        log_every: 0,
        eval_every: 0,
        save_every: 0,
    };
    let windows = Windows::new(&[tokens], 0, context).map_err(|e| e.to_string())?;
    let batches = Batches::new(windows, batch_size, 0).map_err(|e| e.to_string())?;
    let mut trainer = Trainer::new(Transformer::random(&config, 0), settings, batches, None);
    let mut step = || trainer.step().map(|_| ()).map_err(|e| e.to_string());
    step()?;
    profile::start();
    step()?;
    let profile = profile::stop();
    eprintln!("{profile}");
    let flops = profile.rows.iter().map(|row| row.flops).sum();
    let (start, mut steps) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_secs_f64(seconds) || steps.len() < 3 {
        let one = Instant::now();
        step()?;
        steps.push(one.elapsed().as_secs_f64());
    }
    let run = Run { seconds: median(steps), peak_mb: super::process::peak_mb(), flops };
    println!("{}", serde_json::to_string(&run).expect("numbers render"));
    Ok(())
}

/// The last line of what a program prints, as a [`Run`].
fn result_of(command: &mut Command) -> Result<Run, String> {
    let output = command.output().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or("");
    serde_json::from_str(last).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("nothing").to_string();
        format!("{} gave no result; it said: {said}", command.get_program().display())
    })
}

/// Runs ossia and the peer alternately.
pub fn compare(preset: &str, arguments: &Arguments) -> Result<Row, String> {
    let (batch_size, context) = batch(preset);
    let place = std::env::temp_dir().join(format!("ossia-peers-{}.json", std::process::id()));
    std::fs::write(&place, config(preset)?.to_json()).map_err(|e| format!("{}: {e}", place.display()))?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/torch_train.py");
    let peer = |mode: &str| {
        let mut command = Command::new(&arguments.python);
        command.arg(script).arg(&place).args([batch_size, context].map(|n| n.to_string()));
        result_of(command.args([mode, &arguments.seconds.to_string(), &parallel::threads().to_string()]))
    };
    let ours = || {
        let this = std::env::current_exe().map_err(|e| e.to_string())?;
        result_of(Command::new(this).args(["train-once", preset, "--seconds", &arguments.seconds.to_string()]))
    };
    let (mut best, mut failed) = (None, String::new());
    for mode in ["eager", "grouped_mm", "compile"] {
        match peer(mode) {
            Ok(run) => {
                println!("  {preset}, torch {mode}: {:.0} tokens/s", (batch_size * context) as f64 / run.seconds);
                if best.as_ref().is_none_or(|(_, seconds)| run.seconds < *seconds) {
                    best = Some((mode, run.seconds));
                }
            }
            Err(message) => {
                println!("  {preset}, torch {mode}: not measured: {message}");
                failed = message;
            }
        }
    }
    let (mode, _) = best.ok_or(failed)?;
    let mut pairs = Vec::new();
    for _ in 0..arguments.pairs.max(1) {
        pairs.push((ours()?, peer(mode)?));
    }
    _ = std::fs::remove_file(&place);
    let of = |number: fn(&Run) -> f64| {
        (median(pairs.iter().map(|p| number(&p.0)).collect()), median(pairs.iter().map(|p| number(&p.1)).collect()))
    };
    let (seconds, peak) = (of(|run| run.seconds), of(|run| run.peak_mb.unwrap_or(f64::NAN)));
    Ok(Row {
        work: format!("training step, `{preset}`, {batch_size}×{context}"),
        peer: format!("transformers + torch, {mode}"),
        unit: "tokens/s",
        rates: ((batch_size * context) as f64 / seconds.0, (batch_size * context) as f64 / seconds.1),
        ratio: Spread::of(pairs.iter().map(|(ours, peer)| peer.seconds / ours.seconds).collect()),
        peak_mb: (peak.0.is_finite() && peak.1.is_finite()).then_some(peak),
        gflops: Some(pairs[0].0.flops / seconds.0 / 1e9),
        gbytes: None,
    })
}
