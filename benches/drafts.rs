//! Measures speculative decoding beside decoding without drafts, on the same prompts, in turns.
//!
//! `MODEL=runs/nano DRAFT=runs/small cargo bench --bench engine -- drafts`. A model with multi-token prediction drafts for itself, too.

use crate::wanted;
use ossia::checkpoint;
use ossia::generate::generation::{Generation, Plain, Reader};
use ossia::generate::{DraftModel, Drafter, Generator, MtpDrafter, Sampling, Speculative, Statistics};
use ossia::model::Transformer;
use ossia::tokenizer::Tokenizer;
use std::time::Instant;

/// Rounds, in each of which every variant writes one text.
const ROUNDS: u64 = 15;
/// New tokens of a text.
const TOKENS: usize = 150;

/// A way to write.
struct Variant {
    name: String,
    drafter: Option<(Kind, usize)>,
    rates: Vec<f64>, // tokens per second
    statistics: Statistics,
}

#[derive(Clone, Copy)]
enum Kind {
    Mtp,
    Model,
}

/// Prints a table for each temperature.
pub fn drafts() {
    if !wanted("drafts") {
        return;
    }
    let Ok(path) = std::env::var("MODEL") else {
        return println!("drafts: skipped, since there is no MODEL; set it to a model directory");
    };
    let (model, tokenizer) = checkpoint::open(path).expect("a model");
    let draft = std::env::var("DRAFT").ok().map(|path| checkpoint::open(path).expect("a draft model"));
    for temperature in [0.0, 0.8] {
        let mut variants = vec![(None, "no drafts".to_string())];
        if model.mtp().is_some() {
            variants.extend([1, 2, 3].map(|most| (Some((Kind::Mtp, most)), format!("multi-token prediction, {most}"))));
        }
        if draft.is_some() {
            variants.extend([1, 2, 3, 5].map(|most| (Some((Kind::Model, most)), format!("draft model, {most}"))));
        }
        let new = |(drafter, name)| Variant { name, drafter, rates: Vec::new(), statistics: Statistics::default() };
        let mut variants: Vec<Variant> = variants.into_iter().map(new).collect();
        for round in 0..ROUNDS {
            for variant in &mut variants {
                variant.write(
                    &model,
                    &tokenizer,
                    draft.as_ref(),
                    Sampling { temperature, seed: round, ..Sampling::default() },
                );
            }
        }
        print(temperature, &variants);
    }
}

impl Variant {
    /// Writes a text and takes the time of its new tokens.
    fn write(
        &mut self,
        model: &Transformer,
        tokenizer: &Tokenizer,
        draft: Option<&(Transformer, Tokenizer)>,
        sampling: Sampling,
    ) {
        let (prompt, sampling) = (tokenizer.prompt("Once upon a time"), sampling.within(tokenizer));
        let mut writer: Box<dyn Reader> = match self.drafter {
            None => Box::new(Generator::new(model, &prompt, sampling).expect("a prompt that fits")),
            Some((kind, most)) => {
                let drafter: Box<dyn Drafter> = match (kind, draft) {
                    (Kind::Model, Some((draft, its))) => {
                        Box::new(DraftModel::new((draft, its), (model, tokenizer), most).expect("the same tokenizer"))
                    }
                    _ => Box::new(MtpDrafter::new(model).expect("multi-token prediction")),
                };
                Box::new(
                    Speculative::new(model, drafter, most, (&prompt, &mut |_, _| {}), sampling)
                        .expect("a prompt that fits"),
                )
            }
        };
        let start = Instant::now();
        let tokens = Generation::new(&mut *writer, Plain::new(TOKENS, &model.stop_tokens(tokenizer))).count();
        self.rates.push(tokens as f64 / start.elapsed().as_secs_f64());
        let found = writer.statistics().unwrap_or_default();
        self.statistics.passes += found.passes;
        self.statistics.drafted += found.drafted;
        self.statistics.accepted += found.accepted;
    }
}

/// Prints the median rate of each variant with its quartiles, and its ratio to that of the first in the same round.
fn print(temperature: f32, variants: &[Variant]) {
    println!("drafts: temperature {temperature}, {ROUNDS} texts of up to {TOKENS} tokens");
    for variant in variants {
        let ratios = variant.rates.iter().zip(&variants[0].rates).map(|(rate, plain)| rate / plain).collect();
        let ([low, rate, high], [least, ratio, most]) = (quartiles(variant.rates.clone()), quartiles(ratios));
        let Statistics { drafted, accepted, .. } = variant.statistics;
        let accepted = 100.0 * accepted as f64 / drafted.max(1) as f64;
        println!(
            "drafts: {:28} {rate:6.0} tokens/s ({low:.0} to {high:.0}), {ratio:.2} × ({least:.2} to {most:.2}), {:.2} tokens per \
             pass, {accepted:.0} % accepted",
            variant.name,
            variant.statistics.tokens_per_pass(),
        );
    }
}

fn quartiles(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| numbers[quarter * (numbers.len() - 1) / 4])
}
