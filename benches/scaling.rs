//! How time and memory grow with the context: `cargo bench --bench scaling`.
//!
//! Prints two tables and writes them to `book/figures/scaling.json`. From that the pictures of the book's chapter on speed
//! are drawn: `cargo run --release --example figures -- book/src/pictures speed`. The first is the time in which one new token
//! attends behind a context of 128 to 32,768, in one layer of gpt-oss that slides and in one that sees everything. The
//! second is the peak memory of one training step of `nano` on one sequence, with and without recomputation; each is
//! measured in a process of its own, since a peak only grows.

mod limits;
mod process;

use ndarray::Array2;
use ossia::config::ModelConfig;
use ossia::kernels::{memory, parallel, selected};
use ossia::layers::LayerCache;
use ossia::model::Transformer;
use ossia::ops::attention::{Shape, tiled};
use serde_json::{Value, json};
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Context, and what was measured there.
type Points = Vec<(f64, f64)>;
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
        cache.append(&more, &more);
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

fn time_per_token() -> Value {
    let (sliding, full) = (attending(Some(128)), attending(None));
    println!("\nattention of one new token in one layer of gpt-oss, 64 heads on 8 × 64 keys and values");
    println!("{:>8} {:>12} {:>12} {:>18}", "context", "window 128", "full", "full reads");
    for (&(context, narrow), &(_, wide)) in sliding.iter().zip(&full) {
        let cache = context * 2.0 * (8 * 64 * 4) as f64;
        println!("{context:>8} {narrow:>9.3} ms {wide:>9.3} ms {:>13.1} GB/s", cache / wide / 1e6);
    }
    json!({
        "context": column(&full, |p| p.0),
        "full_ms": column(&full, |p| p.1),
        "window_128_ms": column(&sliding, |p| p.1),
    })
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
    let measured = json!({ "attention": time_per_token(), "training": memory_of_a_step()? });
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/book/figures/scaling.json");
    Ok(std::fs::write(path, serde_json::to_string_pretty(&measured)? + "\n")?)
}

fn main() -> ExitCode {
    // `cargo test --benches` asks for no measurement.
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
