//! Writes a checkpoint of gpt-oss' true shapes, in the true format, with random numbers: what it needs in memory and
//! time is that of the real one.
//!
//! cargo run --release --example synthetic_checkpoint -- --preset gpt-oss-20b --layers 24 OUT

use clap::Parser;
use ossia::checkpoint::{CONFIG, Dtype, TensorToWrite, WEIGHTS, file_name, write_tensors};
use ossia::config::ModelConfig;
use ossia::error::{Error, Result};
use ossia::files::{create_directory, write_atomically};
use ossia::model::Transformer;
use ossia::mxfp4::BLOCK;
use ossia::parameter::{Request, Role, Source, Value};
use ossia::stored::{Bytes, Numbers, Rows, StoredWeight};
use ossia::tensor::{Tensor, array};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Write a checkpoint of random numbers in the shapes and the format of gpt-oss
#[derive(Parser)]
struct Arguments {
    /// gpt-oss-20b or gpt-oss-120b; other presets work as well
    #[arg(long, default_value = "gpt-oss-20b")]
    preset: String,
    /// Layers [default: all of the preset]
    #[arg(long)]
    layers: Option<usize>,
    /// The directory to write
    out: PathBuf,
}

/// Notes down the name and shape of every parameter. What it gives takes no memory: zeros that are never touched.
struct Names {
    zeros: Bytes,
    seen: Vec<(String, Vec<usize>)>,
}

impl Source for Names {
    fn value(&mut self, Request { name, shape, role, .. }: Request) -> Result<Value> {
        self.seen.push((name.to_string(), shape.to_vec()));
        let count: usize = shape.iter().product();
        if !role.is_matrix() {
            return Ok(Tensor::constant(array(shape, vec![0.0; count])).into());
        }
        let row = if role == Role::Expert { Rows::Inputs } else { Rows::Outputs };
        Ok(StoredWeight::new(shape, row, Numbers::Bf16(self.zeros.slice(0..2 * count))).into())
    }
}

/// bf16 numbers between 2⁻⁶ and 2⁻⁵ of either sign.
fn random_bf16(count: usize, seed: u64) -> Vec<u8> {
    let mut bytes = random_bytes(2 * count, seed);
    for half in bytes.as_chunks_mut::<2>().0 {
        let bits = u16::from_le_bytes(*half) & 0x807f | 121 << 7;
        *half = bits.to_le_bytes();
    }
    bytes
}

fn random_bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; count];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A tensor whose bytes are made when they are written.
fn part(dtype: Dtype, shape: &[usize], bytes: impl Fn(usize) -> Vec<u8> + 'static) -> TensorToWrite<'static> {
    let count = shape.iter().product();
    TensorToWrite { dtype, shape: shape.to_vec(), bytes: Box::new(move || Cow::Owned(bytes(count))) }
}

/// Returns the tensors of a parameter in the file: codes and scales for experts, and bf16 for all others.
fn parts(name: &str, shape: &[usize], seed: u64) -> Vec<(String, TensorToWrite<'static>)> {
    let file_name = file_name(name);
    if let [experts, inputs, outputs] = *shape {
        let scales = [experts, outputs, inputs / BLOCK];
        let codes = [experts, outputs, inputs / BLOCK, BLOCK / 2];
        // 2⁻⁹ or 2⁻⁸: numbers up to 6 · 2⁻⁸.
        let small = move |n| random_bytes(n, seed + 1).into_iter().map(|byte| 118 + (byte & 1)).collect();
        return vec![
            (format!("{file_name}_blocks"), part(Dtype::U8, &codes, move |n| random_bytes(n, seed))),
            (format!("{file_name}_scales"), part(Dtype::U8, &scales, small)),
        ];
    }
    let one = name.contains("norm");
    let made = move |n| match one {
        true => [0x80, 0x3f].repeat(n), // 1.0
        false => random_bf16(n, seed),
    };
    vec![(file_name, part(Dtype::BF16, shape, made))]
}

fn run(arguments: &Arguments) -> Result<()> {
    let mut config = ModelConfig::preset(&arguments.preset)?;
    let layers = arguments.layers.unwrap_or(config.layers);
    if layers == 0 || layers > config.layers {
        return Err(Error::argument(format!("--layers {layers}: expected 1 to {}", config.layers)));
    }
    config.layers = layers;
    config.windows.truncate(layers);
    config.dense_layers.retain(|&layer| layer < layers);
    config.other.insert("dtype".into(), "bfloat16".into());
    config.other.insert("quantization_config".into(), [("quant_method", "mxfp4")].into_iter().collect());
    let largest = (config.vocab_size * config.hidden_size)
        .max(config.experts * config.hidden_size * 2 * config.intermediate_size);
    let mut names = Names { zeros: Bytes::new(Arc::new(vec![0_u8; 2 * largest])), seen: Vec::new() };
    Transformer::new(&config, &mut names)?;
    let start = Instant::now();
    create_directory(&arguments.out)?;
    let tensors = names.seen.iter().enumerate().flat_map(|(i, (name, shape))| parts(name, shape, 2 * i as u64));
    let path = arguments.out.join(WEIGHTS);
    write_tensors(&path, tensors, &[("format", "pt".into())])?;
    write_atomically(&arguments.out.join(CONFIG), config.to_json().as_bytes())?;
    let bytes = std::fs::metadata(&path).map_err(|e| Error::io(&path, "read", e))?.len() as f64;
    eprintln!("{}: {:.2} GB in {:.0?}", path.display(), bytes / 1e9, start.elapsed());
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
