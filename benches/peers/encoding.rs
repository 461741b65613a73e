//! Text to tokens of o200k, on one thread: ours, tiktoken-rs and bpe-openai, in this process.

use super::Arguments;
use super::table::{Row, Spread, median};
use ossia::data::Corpus;
use ossia::tokenizer::o200k_harmony;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// Encodes every text, MB/s.
fn rate(texts: &[String], bytes: f64, encode: impl Fn(&str) -> usize) -> f64 {
    let start = Instant::now();
    for text in texts {
        black_box(encode(black_box(text)));
    }
    bytes / 1e6 / start.elapsed().as_secs_f64()
}

/// Measures the encoders in alternating runs, after checking that all of them return the same tokens.
pub fn compare(data: Option<&Path>, arguments: &Arguments) -> Result<Vec<Row>, String> {
    let corpus = match data {
        None => Corpus::builtin(5_000, 0),
        Some(path) => Corpus::read(&[path], "text").map_err(|e| e.to_string())?,
    };
    let (texts, bytes) = (&corpus.documents, corpus.documents.iter().map(String::len).sum::<usize>());
    let (ours, tiktoken, bpe) = (o200k_harmony(), tiktoken_rs::o200k_base_singleton(), bpe_openai::o200k_base());
    for text in texts {
        let expected = ours.encode(text);
        if tiktoken.encode_ordinary(text) != expected || bpe.encode(text) != expected {
            return Err(format!("the encoders differ on {:?}…", text.chars().take(60).collect::<String>()));
        }
    }
    let all = bytes as f64;
    let rounds: Vec<[f64; 3]> = (0..arguments.pairs.max(1))
        .map(|_| {
            [
                rate(texts, all, |text| ours.encode(text).len()),
                rate(texts, all, |text| tiktoken.encode_ordinary(text).len()),
                rate(texts, all, |text| bpe.encode(text).len()),
            ]
        })
        .collect();
    let of = |i: usize| median(rounds.iter().map(|round| round[i]).collect());
    let row = |i: usize, peer: &str| Row {
        work: format!(
            "encoding {:.1} MB of {}, 1 thread",
            all / 1e6,
            data.map_or("stories".into(), |d| d.display().to_string())
        ),
        peer: peer.into(),
        unit: "MB/s",
        rates: (of(0), of(i)),
        ratio: Spread::of(rounds.iter().map(|round| round[0] / round[i]).collect()),
        peak_mb: None,
        gflops: None,
        gbytes: None,
    };
    Ok(vec![row(1, "tiktoken-rs"), row(2, "bpe-openai")])
}
