//! Measures how time and memory grow with the context, and how speed grows with the number of texts:
//! `cargo bench --bench scaling`, or `cargo bench --bench scaling -- attention` for one of the tables `attention`, `batches` and `training`.
//!
//! Prints the tables and writes them to `book/figures/scaling.json`. From that the pictures of the book's chapters on speed
//! and on the KV cache are drawn: `cargo run --release --example figures -- book/src/pictures speed`. The first is the time in
//! which one new token attends behind a context of 128 to 32,768, in one layer of gpt-oss that slides and in one that sees
//! everything. The second is the rate at which 1 to 32 texts are generated at once, by models with random weights; a model
//! directory in the environment variable `SCALING_MODEL` adds another one. The third is the peak memory of one training step
//! of `nano` on one sequence, with and without recomputation; each is measured in a process of its own, since a peak only
//! grows.

mod limits;
mod process;

use ndarray::Array2;
use ossia::checkpoint;
use ossia::config::ModelConfig;
use ossia::generate::{Batch, Generator, Plain, Sampling};
use ossia::kernels::{memory, parallel, selected};
use ossia::layers::LayerCache;
use ossia::model::Transformer;
use ossia::ops::attention::{Keys, Shape, tiled};
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Context, and what was measured there.
type Points = Vec<(f64, f64)>;
/// Measures one table.
type Measure = fn() -> Outcome<Value>;
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn tokens(shape: (usize, usize), vocabulary: usize) -> Array2<u32> {
    Array2::from_shape_fn(shape, |(_, i)| (i * 97 % vocabulary) as u32)
}

/// Milliseconds in which one query of gpt-oss, 64 heads on 8 × 64 keys and values, attends behind each context.
fn attending(window: Option<usize>) -> Points {
    let shape = Shape { heads: 64, kv_heads: 8, head_dim: 64, window };
    let width = shape.kv_width();
    let numbers = |n: usize| (0..n).map(|i| (i * 97 % 1_000) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
    let (q, sinks) = (numbers(shape.query_width()), numbers(shape.heads));
    let mut cache = LayerCache::new(window, 8, 64);
    let mut once = |context: usize| {
        let more = numbers((context - cache.seen()) * width);
        cache.append(Keys::rows(cache.seen(), &more, &more, shape));
        let mut times: Vec<f64> = (0..1_001)
            .map(|_| {
                let start = Instant::now();
                black_box(tiled::forward(&q, context - 1, &cache.runs(), &sinks, shape));
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        (context as f64, times[times.len() / 2])
    };
    once(128); // the threads wake up
    (7..=15).map(|power| 1 << power).map(once).collect()
}

/// Texts that are generated at once.
const TEXTS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Tokens per second at which `model` generates several texts at once, for each number of texts: the median of five rounds, in
/// which the numbers take turns.
fn generating(model: &Transformer) -> Outcome<Points> {
    const NEW: usize = 24;
    let mut rates = vec![Vec::new(); TEXTS.len()];
    for _ in 0..5 {
        for (texts, rates) in TEXTS.into_iter().zip(&mut rates) {
            let sampling = |seed| Sampling { seed, ..Sampling::default() };
            let generator = Generator::new(model, &[1, 2, 3, 4], sampling(0))?;
            let all = (0..texts as u64).map(|seed| (sampling(seed), Plain::new(NEW, &[]))).collect();
            let mut batch = Batch::new(generator, all)?;
            batch.step()?; // its logits are those of the prompt
            let start = Instant::now();
            let mut tokens = 0;
            for _ in 1..NEW {
                tokens += black_box(batch.step()?).len();
            }
            rates.push(tokens as f64 / start.elapsed().as_secs_f64());
        }
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    Ok(TEXTS.into_iter().zip(&mut rates).map(|(texts, rates)| (texts as f64, median(rates))).collect())
}

/// One way there and back of `nano` on one sequence; prints seconds and the peak of the process in MB.
fn step(context: usize, checkpoint_activations: bool) -> Outcome<()> {
    memory::keep_freed_memory();
    let mut model = Transformer::random(&ModelConfig { context, ..ModelConfig::nano() }, 0);
    model.checkpoint_activations = checkpoint_activations;
    let tokens = tokens((1, context), model.config.vocab_size);
    let start = Instant::now();
    let output = model.forward(tokens.view(), None);
    let loss = model.loss(&output, tokens.as_slice().ok_or("one row")?).total;
    drop(output);
    black_box(loss.backward());
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds} {}", process::peak_mb().ok_or("this system does not tell a process's peak memory")?);
    Ok(())
}

/// [`step`] in a process of its own: seconds and MB.
fn measured_step(context: usize, checkpoint_activations: bool) -> Outcome<(f64, f64)> {
    let arguments = ["step".to_string(), context.to_string(), checkpoint_activations.to_string()];
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (seconds, mb) =
        text.trim().split_once(' ').ok_or_else(|| String::from_utf8_lossy(&output.stderr).to_string())?;
    Ok((seconds.parse()?, mb.parse()?))
}

/// One column of a table, to four digits behind the point.
fn column(points: &Points, number: fn(&(f64, f64)) -> f64) -> Vec<f64> {
    points.iter().map(|point| (number(point) * 1e4).round() / 1e4).collect()
}

fn time_per_token() -> Outcome<Value> {
    let (sliding, full) = (attending(Some(128)), attending(None));
    println!("\nattention of one new token in one layer of gpt-oss, 64 heads on 8 × 64 keys and values");
    println!("{:>8} {:>12} {:>12} {:>18}", "context", "window 128", "full", "full reads");
    for (&(context, narrow), &(_, wide)) in sliding.iter().zip(&full) {
        let cache = context * 2.0 * (8 * 64 * 4) as f64;
        println!("{context:>8} {narrow:>9.3} ms {wide:>9.3} ms {:>13.1} GB/s", cache / wide / 1e6);
    }
    Ok(json!({
        "context": column(&full, |p| p.0),
        "full_ms": column(&full, |p| p.1),
        "window_128_ms": column(&sliding, |p| p.1),
    }))
}

fn rates_of_batches() -> Outcome<Value> {
    println!("\ntokens per second of several texts at once, and how many times as fast that is as one text");
    let mut models: Vec<(String, Transformer)> = Vec::new();
    for preset in ["nano", "small"] {
        models.push((preset.into(), Transformer::random(&ModelConfig::preset(preset)?, 0)));
    }
    if let Some(directory) = std::env::var_os("SCALING_MODEL").map(PathBuf::from) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        models.push((name, checkpoint::load(directory)?));
    }
    let mut table = json!({ "texts": TEXTS });
    for (name, model) in models {
        let points = generating(&model)?;
        let cells: Vec<String> =
            points.iter().map(|(_, rate)| format!("{rate:.0} ({:.1}×)", rate / points[0].1)).collect();
        println!("{name:<24} {}", cells.iter().map(|cell| format!("{cell:>16}")).collect::<String>());
        table[name] = column(&points, |p| p.1).into();
    }
    Ok(table)
}

fn memory_of_a_step() -> Outcome<Value> {
    println!("\none training step of nano on one sequence: peak memory");
    println!("{:>8} {:>24} {:>24} {:>7} {:>7}", "T", "all kept", "recomputed", "memory", "time");
    let (mut kept, mut recomputed) = (Points::new(), Points::new());
    for context in (9..=15).map(|power| 1 << power) {
        let cell = |checkpoint, points: &mut Points| -> Outcome<_> {
            let (seconds, mb) = measured_step(context, checkpoint)?;
            let more = points.last().map_or(String::new(), |(before, less)| {
                format!("+{:.1} kB/token", (mb - less) * 1e3 / (context as f64 - before))
            });
            points.push((context as f64, mb));
            Ok((seconds, mb, format!("{mb:.0} MB {more:>15}")))
        };
        let (all, less) = (cell(false, &mut kept)?, cell(true, &mut recomputed)?);
        println!("{context:>8} {:>24} {:>24} {:>7.2} {:>7.2}", all.2, less.2, less.1 / all.1, less.0 / all.0);
    }
    Ok(json!({
        "context": column(&kept, |p| p.0),
        "kept_mb": column(&kept, |p| p.1),
        "recomputed_mb": column(&recomputed, |p| p.1),
    }))
}

fn run() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [command, context, checkpoint] = &arguments[..]
        && command == "step"
    {
        return step(context.parse()?, checkpoint.parse()?);
    }
    println!("{} threads, {}", parallel::threads(), selected()?.name());
    println!("at most {:.0} GFLOP/s and {:.1} GB/s read", limits::peak_flops(), limits::read_bandwidth());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/book/figures/scaling.json");
    let mut measured: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let tables: [(&str, Measure); 3] =
        [("attention", time_per_token), ("batches", rates_of_batches), ("training", memory_of_a_step)];
    for (name, measure) in tables {
        if arguments.first().is_none_or(|wanted| wanted == name) {
            measured[name] = measure()?;
        }
    }
    Ok(std::fs::write(path, serde_json::to_string_pretty(&measured)? + "\n")?)
}

fn main() -> ExitCode {
    // `cargo test --benches` requests no measurement.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
