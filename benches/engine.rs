//! Measures the speed of the parts: `cargo bench`, or `cargo bench -- attention` for those whose name contains a word.
//!
//! Each line is the median of several runs, with the fastest and the slowest, since machines are noisy. For daily use,
//! `cargo bench --bench engine -- --history=FILE` measures everything briefly, in about two minutes, appends a line of JSON to the
//! file, and names what has changed since the line before.

mod limits;
mod machine;
mod history;
mod process;
mod masks;
mod drafts;

use history::History;
use machine::Machine;
use ndarray::Array2;
use ossia::config::ModelConfig;
use ossia::data::{Batches, Corpus};
use ossia::kernels::{self, gemm, memory, par_gemm, parallel, selected};
use ossia::model::Transformer;
use ossia::ops::attention::{Sequences, Shape, backward, tiled};
use ossia::ops::cross_entropy;
use ossia::parameter::Value;
use ossia::stored::{Bytes, Numbers, Precision, Rows, StoredWeight};
use ossia::tensor::{Tensor, array};
use ossia::tokenizer;
use ossia::train::material::windows;
use ossia::train::{Schedule, Settings, Trainer};
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

/// The history, if the command line names one.
static HISTORY: LazyLock<Mutex<Option<History>>> = LazyLock::new(|| {
    let path = std::env::args().find_map(|argument| argument.strip_prefix("--history=").map(PathBuf::from));
    Mutex::new(path.map(History::new))
});

/// Returns whether the command line selects this name. It does if it contains a word of the name, or no name at all.
fn wanted(name: &str) -> bool {
    std::env::args().skip(1).find(|argument| !argument.starts_with("--")).is_none_or(|word| name.contains(&word))
}

/// Prints one line. `amount` is what one run does, in `unit`s, such as 10⁹ floating-point operations.
fn bench<R>(name: &str, amount: f64, unit: &str, mut run: impl FnMut() -> R) {
    if !wanted(name) {
        return;
    }
    black_box(run());
    let mut history = HISTORY.lock().expect("one thread");
    let long = Duration::from_millis(if history.is_some() { 500 } else { 2_000 });
    let start = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < 5 || (start.elapsed() < long && seconds.len() < 200) {
        let one = Instant::now();
        black_box(run());
        seconds.push(one.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| amount / seconds[((seconds.len() - 1) as f64 * share) as usize];
    println!("{name:<44} {:>10.2} {unit:<9} ({:.2} to {:.2}, {} runs)", at(0.5), at(1.0), at(0.0), seconds.len());
    if let Some(history) = &mut *history {
        history.add(name, at(0.5));
    }
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 2_654_435_761) % 1_000) as f32 / 500.0 - 1.0).collect()
}

fn matrix_products() {
    for (m, k, n) in [(4096, 128, 128), (4096, 256, 256), (1024, 1024, 1024), (128, 4096, 128)] {
        let (a, b) = (numbers(m * k), numbers(k * n));
        let (a, b) = (Array2::from_shape_vec((m, k), a).unwrap(), Array2::from_shape_vec((k, n), b).unwrap());
        let mut c = Array2::zeros((m, n));
        let flops = 2.0 * (m * k * n) as f64;
        bench(&format!("gemm {m}×{k} · {k}×{n}"), flops / 1e9, "GFLOP/s", || {
            par_gemm(1.0, a.view(), b.view(), 0.0, c.view_mut());
        });
    }
}

/// The products of decoding, straight from a file's formats: one row of gpt-oss-20b's sizes at a time.
fn frozen_products() {
    let bytes = |n: usize| Bytes::new(Arc::new((0..n).map(|i| ((i * 2_654_435_761) >> 7) as u8).collect::<Vec<u8>>()));
    let (rows, columns) = (40_960, 2_880);
    let scales = Bytes::new(Arc::new(vec![120_u8; rows * columns / 32]));
    // Small numbers: an exponent of 0x3c in every second byte.
    let bf16: Vec<u8> = (0..rows * columns).flat_map(|i| [(i * 37) as u8, 0x3c]).collect();
    let f32s: Vec<u8> = numbers(rows * columns / 4).iter().flat_map(|x| x.to_le_bytes()).collect();
    let x = Array2::from_shape_vec((1, columns), numbers(columns)).unwrap();
    let formats = [
        (rows, Numbers::Bf16(Bytes::new(Arc::new(bf16)))),
        (rows, Numbers::Mxfp4 { codes: bytes(rows * columns / 2), scales }),
        (rows / 4, Numbers::F32(Bytes::new(Arc::new(f32s)))),
    ];
    let rows_of = |n: usize| numbers(n * 1_024);
    let (few, more) = (rows_of(4), rows_of(3));
    let (few, more): (Vec<&[f32]>, Vec<&[f32]>) = (few.chunks(1_024).collect(), more.chunks(1_024).collect());
    bench("4 rows × 3 rows of 1,024, 1 thread", 24.0 * 1_024.0 * 1e-6, "GFLOP/s", || {
        for _ in 0..1_000 {
            black_box(kernels::dots(
                black_box([few[0], few[1], few[2], few[3]]),
                black_box([more[0], more[1], more[2]]),
            ));
        }
    });
    for (rows, weights) in formats {
        let w = StoredWeight::new(&[rows, columns], Rows::Outputs, weights);
        let int8 = matches!(w.numbers(), Numbers::Bf16(_)).then(|| w.to_int8());
        for w in [Some(w), int8].into_iter().flatten() {
            let exact = matches!(w.numbers(), Numbers::F32(_) | Numbers::Bf16(_));
            for precision in if exact { &[Precision::Exact][..] } else { &[Precision::Exact, Precision::Fast] } {
                let w = w.clone().with_precision(*precision);
                let input = if *precision == Precision::Fast { "int8" } else { "f32" };
                let name = format!("{input} row × {} {rows}×{columns}", w.numbers().format());
                let mut y = Array2::zeros((1, rows));
                let size = w.numbers().bytes() as f64 / 1e9;
                bench(&name, size, "GB/s", || w.all().multiply(x.view(), y.view_mut()));
                for tokens in [4, 8, 16, 64, 256] {
                    let many = Array2::from_shape_vec((tokens, columns), numbers(tokens * columns)).unwrap();
                    let (name, mut y) = (name.replace("row", &format!("{tokens} rows")), Array2::zeros((tokens, rows)));
                    let flops = 2.0 * (tokens * rows * columns) as f64 / 1e9;
                    bench(&name, flops, "GFLOP/s", || w.all().multiply(many.view(), y.view_mut()));
                }
            }
        }
    }
}

/// The products of attention: a tile of 64 queries with 64 keys, on one thread.
fn small_products() {
    for dim in [32, 64] {
        let (q, k) = (numbers(64 * dim), numbers(64 * dim));
        let (q, k) = (Array2::from_shape_vec((64, dim), q).unwrap(), Array2::from_shape_vec((64, dim), k).unwrap());
        let (mut s, mut o) = (Array2::zeros((64, 64)), Array2::zeros((64, dim)));
        let flops = 2.0 * (64 * 64 * dim) as f64;
        bench(&format!("gemm of a tile, q·kᵀ, {dim}"), 100.0 * flops / 1e9, "GFLOP/s", || {
            (0..100).for_each(|_| gemm(1.0, q.view(), k.t(), 0.0, s.view_mut()));
        });
        bench(&format!("gemm of a tile, p·v, {dim}"), 100.0 * flops / 1e9, "GFLOP/s", || {
            (0..100).for_each(|_| gemm(1.0, s.view(), k.view(), 1.0, o.view_mut()));
        });
        bench(&format!("gemm of a tile, pᵀ·do, {dim}"), 100.0 * flops / 1e9, "GFLOP/s", || {
            (0..100).for_each(|_| gemm(1.0, s.t(), k.view(), 1.0, o.view_mut()));
        });
    }
    let mut s = numbers(64 * 64);
    bench("exponentials of a tile", 64.0 * 64.0 * 1e-9, "G/s", || {
        s.iter_mut().for_each(|x| *x = x.abs().min(1.0));
        s.chunks_exact_mut(64).map(|s| kernels::exp_sum(s, 1.0)).sum::<f32>()
    });
}

fn attention() {
    for (name, window) in [("full", None), ("window 128", Some(128))] {
        let (sequences, tokens) = (Sequences::equal(4, 1024), 1024);
        let shape = Shape { heads: 8, kv_heads: 2, head_dim: 64, window };
        let rows = sequences.rows();
        let (q, kv) = (numbers(rows * shape.query_width()), numbers(rows * shape.kv_width()));
        let sinks = numbers(shape.heads);
        // Two products of 2·D operations for each key that a query sees.
        let seen: usize = (0..tokens).map(|t| t + 1 - shape.first_visible(t)).sum();
        let flops = (4 * shape.head_dim * shape.heads * sequences.len() * seen) as f64;
        bench(&format!("attention forward, {name}, 4×1024"), flops / 1e9, "GFLOP/s", || {
            tiled::forward_batch(&q, &kv, &kv, &sinks, &sequences, shape)
        });
        let (o, lse) = tiled::forward_batch(&q, &kv, &kv, &sinks, &sequences, shape);
        let saved = backward::Saved { q: &q, k: &kv, v: &kv, sinks: &sinks, o: &o, lse: &lse };
        bench(&format!("attention backward, {name}, 4×1024"), 2.5 * flops / 1e9, "GFLOP/s", || {
            backward::backward(&q, &saved, &sequences, shape)
        });
    }
}

fn tokenizers(texts: &[String]) -> tokenizer::Tokenizer {
    let bytes: usize = texts.iter().map(String::len).sum();
    let megabytes = bytes as f64 / 1e6;
    let train = || tokenizer::train(texts.iter(), 2_048, &["<|endoftext|>"]).unwrap();
    bench("tokenizer train to 2,048 entries", megabytes, "MB/s", train);
    let tokenizer = train();
    bench("tokenizer encode, 1 thread", megabytes, "MB/s", || {
        texts.iter().map(|text| tokenizer.encode(text).len()).sum::<usize>()
    });
    let start = Instant::now();
    let harmony = tokenizer::o200k_harmony();
    println!("o200k_harmony is ready after {:.0?}", start.elapsed());
    bench("o200k_harmony encode stories, 1 thread", megabytes, "MB/s", || {
        texts.iter().map(|text| harmony.encode(text).len()).sum::<usize>()
    });
    for (name, c) in [("a", 'a'), ("spaces", ' '), ("newlines", '\n'), ("combining marks", '\u{301}')] {
        for megabytes in [5, 10] {
            let text: String = std::iter::repeat_n(c, megabytes * 1_000_000 / c.len_utf8()).collect();
            bench(&format!("o200k_harmony encode {megabytes} MB of {name}"), megabytes as f64, "MB/s", || {
                harmony.encode(&text).len()
            });
        }
    }
    tokenizer
}

fn train_steps(texts: &[String], tokenizer: &tokenizer::Tokenizer) {
    for (name, batch_size, context) in [("nano", 16, 256), ("tiny", 16, 256)] {
        let config = ModelConfig::preset(name).unwrap();
        let schedule = Schedule::Constant;
        let settings = Settings { warmup: 10, schedule, ..Settings::new(1_000, batch_size, context, 1e-3) };
        let windows = windows(texts, tokenizer, context).unwrap();
        let batches = Batches::new(windows, batch_size, 0).unwrap();
        let mut trainer = Trainer::new(Transformer::random(&config, 0), settings, batches, None);
        let tokens = trainer.tokens_per_step() as f64;
        bench(&format!("train step {name} {batch_size}×{context}"), tokens, "tokens/s", || trainer.step().unwrap());
    }
}

/// gpt-oss' vocabulary on one batch: what the fused loss needs beside its gradients, and what the logits alone would.
/// Comes first, since a peak only grows.
fn cross_entropy_memory() {
    let (tokens, hidden, vocabulary) = (2_048, 128, 201_088);
    let name = format!("cross-entropy {tokens}×{hidden} · {vocabulary}, peak memory");
    if !wanted(&name) {
        return;
    }
    let h = Array2::from_shape_vec((tokens, hidden), numbers(tokens * hidden)).unwrap();
    let w = Value::from(Tensor::parameter(array(&[vocabulary, hidden], numbers(vocabulary * hidden))));
    let targets: Vec<u32> = (0..tokens as u32).map(|t| t * 97 % vocabulary as u32).collect();
    let before = process::peak_mb();
    let (_, gradients) = cross_entropy::forward_backward(h.view(), &w, &targets);
    let after = process::peak_mb();
    let held = (gradients.dh.len() + w.count()) as f64 * 4e-6;
    let logits = (tokens * vocabulary) as f64 * 4e-6;
    match before.zip(after) {
        Some((before, after)) => println!(
            "{name}: {:.0} MB and {held:.0} MB of gradients; the logits alone would be {logits:.0} MB",
            after - before - held
        ),
        None => println!("{name}: not measured, this system does not tell (no /proc/self/status)"),
    }
}

fn main() {
    // `cargo test --benches` requests no measurement.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    memory::keep_freed_memory();
    println!(
        "{} threads, {}",
        parallel::threads(),
        selected().map_or_else(|e| e.to_string(), |isa| isa.name().to_string())
    );
    println!("at most {:.0} GFLOP/s and {:.1} GB/s read", limits::peak_flops(), limits::read_bandwidth());
    cross_entropy_memory();
    masks::masks();
    drafts::drafts();
    let texts = Corpus::builtin(2_000, 0).documents;
    frozen_products();
    matrix_products();
    small_products();
    attention();
    let tokenizer = tokenizers(&texts);
    train_steps(&texts, &tokenizer);
    if let Some(history) = HISTORY.lock().expect("one thread").take()
        && let Err(message) = history.write(&Machine::here())
    {
        eprintln!("error: the history cannot be written: {message}");
        std::process::exit(2);
    }
}
