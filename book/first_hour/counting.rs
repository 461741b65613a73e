//! A language model that counts: which token followed the last few tokens?
//!
//! cargo run --release --example counting
//!
//! Book: first_hour.md

use ossia::data::{Corpus, story};
use ossia::tokenizer::train::train;
use std::collections::HashMap;
use std::error::Error;

// ANCHOR: model
/// Counts of token sequences, and of their beginnings. The beginning of a sequence is the sequence without its last token.
#[derive(Default)]
struct Counts<'t> {
    sequences: HashMap<&'t [u32], f64>,
    beginnings: HashMap<&'t [u32], f64>,
}

impl<'t> Counts<'t> {
    /// Counts the sequences of `length` tokens in a text. Pairs have length 2.
    fn read(&mut self, tokens: &'t [u32], length: usize) {
        for sequence in tokens.windows(length) {
            *self.sequences.entry(sequence).or_default() += 1.0;
            *self.beginnings.entry(&sequence[..length - 1]).or_default() += 1.0;
        }
    }

    /// The probability of the last token of a sequence, given the tokens before it. A hundredth is added to the count of each of
    /// the `tokens` that could come next, so that nothing is impossible.
    fn probability(&self, sequence: &[u32], tokens: usize) -> f64 {
        let seen = self.sequences.get(sequence).copied().unwrap_or_default();
        let beginning = self.beginnings.get(&sequence[..sequence.len() - 1]).copied().unwrap_or_default();
        (seen + 0.01) / (beginning + 0.01 * tokens as f64)
    }
}
// ANCHOR_END: model

// ANCHOR: loss
/// The mean of −ln p over the tokens of some texts, where p is the probability that the model gave to the token.
fn loss(model: &Counts, texts: &[Vec<u32>], length: usize, tokens: usize) -> f64 {
    let sequences = texts.iter().flat_map(|text| text.windows(length));
    let surprises: Vec<f64> = sequences.map(|sequence| -model.probability(sequence, tokens).ln()).collect();
    surprises.iter().sum::<f64>() / surprises.len() as f64
}
// ANCHOR_END: loss

fn main() -> Result<(), Box<dyn Error>> {
    let mut stories = Corpus::builtin(5_000, 0).documents;
    let tokenizer = train(stories.iter().map(String::as_str), 2_048, &["<|endoftext|>"])?;
    let tokens = tokenizer.vocab_size();
    let mark = tokenizer.end_of_text().expect("the tokenizer was trained with it");
    // A story stands between two marks, so that its beginning and its end are predicted, too.
    let encode = |story: &String| [vec![mark], tokenizer.encode(story), vec![mark]].concat();
    let unseen = stories.split_off(4_900);
    let (texts, unseen_texts): (Vec<_>, Vec<_>) =
        (stories.iter().map(encode).collect(), unseen.iter().map(encode).collect());

    println!(
        "before reading: {:.3} nats per token, for {tokens} tokens",
        loss(&Counts::default(), &unseen_texts, 2, tokens)
    );
    for length in [2, 3, 4, 5, 9, 17] {
        let mut model = Counts::default();
        texts.iter().for_each(|text| model.read(text, length));
        let loss = loss(&model, &unseen_texts, length, tokens);
        println!("looking {:2} tokens back: {loss:.3}", length - 1);
    }
    let nats: f64 = unseen.iter().filter_map(|story| story::log_probability(story)).map(|nats| -nats).sum();
    let count: usize = unseen_texts.iter().map(|text| text.len() - 1).sum();
    println!("the entropy floor: {:.3}", nats / count as f64);
    Ok(())
}
