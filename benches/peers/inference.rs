//! Reading a prompt and writing token by token: ours, and that of the `llama-bench` of llama.cpp and of its fork ik_llama.cpp,
//! on the same shapes.

use super::Arguments;
use super::table::{Row, Spread, median};
use ndarray::Array2;
use ossia::checkpoint::{Arithmetic, load_with};
use ossia::kernels::{memory, parallel};
use ossia::layers::{KvCache, Layer};
use ossia::model::Transformer;
use ossia::profile;
use ossia::stored::Precision;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Tokens that are read, and tokens that are written by a model that has read nothing.
const PROMPT: usize = 512;
const NEW: usize = 64;

/// The programs and models to compare.
#[derive(clap::Args, Clone)]
pub struct Models {
    /// The directory that `--example synthetic_checkpoint -- --layers 4 DIRECTORY` wrote, or a checkpoint of OpenAI's
    model: PathBuf,
    /// The file that `benches/peers/synthetic_gguf.py DIRECTORY bf16 FILE` wrote, with the same shapes
    #[arg(long, value_name = "FILE")]
    bf16: Option<PathBuf>,
    /// The same with dense weights in Q8_0
    #[arg(long, value_name = "FILE")]
    q8: Option<PathBuf>,
    /// llama.cpp's benchmark
    #[arg(long, default_value = "llama-bench", value_name = "PROGRAM")]
    llama_bench: PathBuf,
    /// The benchmark of ik_llama.cpp, a peer of its own; it repacks the weights when it starts (`-rtr 1`)
    #[arg(long, value_name = "PROGRAM")]
    ik_llama_bench: Option<PathBuf>,
}

/// A program to compare with.
struct Peer<'a> {
    name: &'static str,
    program: &'a Path,
    arguments: &'static [&'static str],
}

impl Models {
    fn peers(&self) -> Vec<Peer<'_>> {
        let mut peers = vec![Peer { name: "llama.cpp", program: &self.llama_bench, arguments: &[] }];
        if let Some(program) = &self.ik_llama_bench {
            peers.push(Peer { name: "ik_llama.cpp", program, arguments: &["-rtr", "1"] });
        }
        peers
    }
}

/// The result of one run: tokens per second, and the load of the machine during decoding.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Run {
    prompt: f64,
    new: f64,
    #[serde(default)]
    gflops: f64,
    #[serde(default)]
    gbytes: f64,
}

/// Reads and writes once and prints a [`Run`].
pub fn once(model: &Path, arithmetic: Arithmetic) -> Result<(), String> {
    memory::keep_freed_memory();
    let model = load_with(model, arithmetic).map_err(|e| e.to_string())?.frozen();
    let token = |i: usize| (i * 2_654_435_761 % model.config.vocab_size) as u32;
    let read = |cache: &mut KvCache, tokens: &[u32]| last_logits(&model, cache, tokens);
    let prompt: Vec<u32> = (0..PROMPT).map(token).collect();
    // As llama-bench does, once to warm up: this is also when the system maps the pages of the file.
    read(&mut KvCache::new(&model.config), &prompt);
    profile::start();
    let start = Instant::now();
    read(&mut KvCache::new(&model.config), &prompt);
    let prompt = start.elapsed().as_secs_f64();
    let flops: f64 = profile::stop().rows.iter().map(|row| row.flops).sum();
    profile::start();
    let (start, mut cache) = (Instant::now(), KvCache::new(&model.config));
    (0..NEW).for_each(|i| _ = read(&mut cache, &[token(i)]));
    let new = start.elapsed().as_secs_f64();
    let bytes: f64 = profile::stop().rows.iter().map(|row| row.bytes).sum();
    let run = Run {
        prompt: PROMPT as f64 / prompt,
        new: NEW as f64 / new,
        gflops: flops / prompt / 1e9,
        gbytes: bytes / new / 1e9,
    };
    println!("{}", serde_json::to_string(&run).expect("numbers render"));
    Ok(())
}

fn last_logits(model: &Transformer, cache: &mut KvCache, tokens: &[u32]) -> f32 {
    let ids = Array2::from_shape_vec((1, tokens.len()), tokens.to_vec()).expect("one row");
    let hidden = model.forward(ids.view(), Some(cache)).hidden;
    let last = ossia::tensor::Tensor::constant(hidden.value().slice_axis(ndarray::Axis(0), (-1..).into()).to_shared());
    model.logits(&last).data()[0]
}

fn output_of(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name}: {}", said.lines().last().unwrap_or("failed and said nothing")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn ours(models: &Models, flags: &[&str]) -> Result<Run, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let text = output_of(Command::new(this).arg("infer-once").arg(&models.model).args(flags))?;
    serde_json::from_str(text.lines().last().unwrap_or("")).map_err(|e| format!("infer-once: {e}"))
}

fn theirs(peer: &Peer, gguf: &Path) -> Result<Run, String> {
    let threads = parallel::threads().to_string();
    let mut command = Command::new(peer.program);
    command.arg("-m").arg(gguf).args(["-t", &threads, "-r", "1", "-o", "json"]).args(peer.arguments);
    let text = output_of(command.args(["-p", &PROMPT.to_string(), "-n", &NEW.to_string()]))?;
    let name = peer.name;
    let tests: Value = serde_json::from_str(&text).map_err(|e| format!("{name}: {e}"))?;
    let rate = |i: usize| tests[i]["avg_ts"].as_f64().ok_or(format!("{name}: no avg_ts in test {i}"));
    Ok(Run { prompt: rate(0)?, new: rate(1)?, gflops: 0.0, gbytes: 0.0 })
}

/// Runs ossia and the peers alternately: exact and fast against bf16, int8 against Q8_0.
pub fn compare(models: &Models, arguments: &Arguments) -> Result<Vec<Row>, String> {
    let int8 = ["--precision-fast", "--dense-int8"];
    let contests: [(_, _, &[&str], _); 3] = [
        (&models.bf16, "exact", &[], "bf16 + MXFP4"),
        (&models.bf16, "--precision fast", &int8[..1], "bf16 + MXFP4"),
        (&models.q8, "--precision fast --dense int8", &int8, "Q8_0 + MXFP4"),
    ];
    let mut rows = Vec::new();
    for (gguf, how, flags, format) in contests {
        let Some(gguf) = gguf else {
            println!("  {how}: not measured: needs the file of {format}");
            continue;
        };
        let peers = models.peers();
        let mut pairs = vec![Vec::new(); peers.len()];
        for _ in 0..arguments.pairs.max(1) {
            for (peer, pairs) in peers.iter().zip(&mut pairs) {
                pairs.push((ours(models, flags)?, theirs(peer, gguf)?));
            }
        }
        let name = models.model.file_name().unwrap_or_default().display();
        for (peer, pairs) in peers.iter().zip(pairs) {
            let two = rows_of(&format!("{name}`, {how}"), &format!("{}, {format}", peer.name), &pairs);
            two.iter().for_each(|row| println!("{row}"));
            rows.extend(two);
        }
    }
    Ok(rows)
}

/// Decoding and prefill of some pairs, ours first.
fn rows_of(model: &str, peer: &str, pairs: &[(Run, Run)]) -> [Row; 2] {
    let of = |number: &dyn Fn(&(Run, Run)) -> f64| median(pairs.iter().map(number).collect());
    let row = |work: String, rate: fn(&Run) -> f64| Row {
        work,
        peer: peer.to_string(),
        unit: "tokens/s",
        rates: (of(&|p| rate(&p.0)), of(&|p| rate(&p.1))),
        ratio: Spread::of(pairs.iter().map(|p| rate(&p.0) / rate(&p.1)).collect()),
        peak_mb: None,
        gflops: None,
        gbytes: None,
    };
    let decode = row(format!("decoding, `{model}"), |run| run.new);
    let prefill = row(format!("prompt of {PROMPT}, `{model}"), |run| run.prompt);
    [Row { gbytes: Some(of(&|p| p.0.gbytes)), ..decode }, Row { gflops: Some(of(&|p| p.0.gflops)), ..prefill }]
}

/// The arithmetic that the flags of `infer-once` mean.
pub fn arithmetic(fast: bool, dense_int8: bool) -> Arithmetic {
    let precision = if fast { Precision::Fast } else { Precision::Exact };
    Arithmetic { precision, dense_int8, ..Default::default() }
}
