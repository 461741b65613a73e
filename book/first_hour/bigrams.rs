//! A language model that counts: which token follows which?
//!
//! cargo run --release --example bigrams
//!
//! Book: first_hour.md

use ossia::data::{Corpus, story};
use ossia::tokenizer::Tokenizer;
use ossia::tokenizer::train::train;
use std::collections::HashMap;
use std::error::Error;

const VOCABULARY: usize = 2_048;

// ANCHOR: model
/// How often each token was followed by each other token.
#[derive(Default)]
struct Bigrams {
    pairs: HashMap<(u32, u32), f64>,
    firsts: HashMap<u32, f64>,
}

impl Bigrams {
    fn read(&mut self, tokens: &[u32]) {
        for pair in tokens.windows(2) {
            *self.pairs.entry((pair[0], pair[1])).or_default() += 1.0;
            *self.firsts.entry(pair[0]).or_default() += 1.0;
        }
    }

    /// The probability of `next` after `token`. A hundredth is added to every count, so that nothing is impossible.
    fn probability(&self, token: u32, next: u32) -> f64 {
        let count = |n: Option<&f64>| n.copied().unwrap_or_default();
        (count(self.pairs.get(&(token, next))) + 0.01) / (count(self.firsts.get(&token)) + 0.01 * VOCABULARY as f64)
    }
}
// ANCHOR_END: model

// ANCHOR: loss
/// The mean of −ln p over all tokens of some texts, where p is the probability that the model gave to the token.
fn loss(model: &Bigrams, texts: &[Vec<u32>]) -> f64 {
    let surprises = texts.iter().flat_map(|text| text.windows(2)).map(|pair| -model.probability(pair[0], pair[1]).ln());
    let all: Vec<f64> = surprises.collect();
    all.iter().sum::<f64>() / all.len() as f64
}
// ANCHOR_END: loss

fn main() -> Result<(), Box<dyn Error>> {
    let mut stories = Corpus::builtin(5_000, 0).documents;
    let tokenizer = train(stories.iter().map(String::as_str), VOCABULARY, &["<|endoftext|>"])?;
    let tokens = |stories: &[String]| stories.iter().map(|story| spelled(&tokenizer, story)).collect::<Vec<_>>();
    let unseen = stories.split_off(4_900);
    let (texts, unseen_texts) = (tokens(&stories), tokens(&unseen));

    let mut model = Bigrams::default();
    println!("before reading: {:.3} nats per token", loss(&model, &unseen_texts));
    texts.iter().for_each(|text| model.read(text));
    println!("after reading {} stories: {:.3} nats per token", texts.len(), loss(&model, &unseen_texts));

    let nats: f64 = unseen.iter().filter_map(|story| story::log_probability(story)).map(|nats| -nats).sum();
    let count: usize = unseen_texts.iter().map(|text| text.len() - 1).sum();
    println!("the entropy floor: {:.3} nats per token", nats / count as f64);
    Ok(())
}

/// The tokens of a story between two marks, so that its beginning and its end are predicted, too.
fn spelled(tokenizer: &Tokenizer, story: &str) -> Vec<u32> {
    let mark = tokenizer.end_of_text().expect("it was trained with this token");
    [vec![mark], tokenizer.encode(story), vec![mark]].concat()
}
