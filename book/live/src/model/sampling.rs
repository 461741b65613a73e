//! Sampling: the distribution of the next token, and what temperature and filters make of it.

use super::check;
use crate::Live;
use crate::spelled::{Token, spelled};
use ossia::error::{Error, Result};
use ossia::generate::{Generator, Sampler, Sampling};
use serde::{Deserialize, Serialize};

/// The tokens that a page shows.
const SHOWN: usize = 20;
/// The most draws.
const DRAWS: usize = 10_000;

#[derive(Deserialize)]
pub struct Question {
    model: String,
    text: String,
    temperature: f32,
    top_k: usize,
    top_p: f32,
    min_p: f32,
    seed: u64,
    draws: usize,
}

#[derive(Serialize)]
pub struct Answer {
    /// The most probable tokens.
    tokens: Vec<Candidate>,
    /// The number of tokens that may be drawn, and of all tokens.
    kept: usize,
    of: usize,
}

#[derive(Serialize)]
struct Candidate {
    #[serde(flatten)]
    token: Token,
    /// The probability in the model.
    before: f64,
    /// The probability of being drawn.
    after: f64,
    /// The number of draws that gave this token.
    drawn: usize,
}

pub fn answer(live: &mut Live, question: Question) -> Result<Answer> {
    let Question { text, temperature, top_k, top_p, min_p, seed, .. } = question;
    check("temperature", temperature, 0.0..=100.0)?;
    check("top-p", top_p, 0.0..=1.0)?;
    check("min-p", min_p, 0.0..=1.0)?;
    if question.draws > DRAWS {
        return Err(Error::argument(format!("{} draws; expected at most {DRAWS}", question.draws)));
    }
    let model = live.models.get(&question.model)?;
    let plain = Sampling::default().within(&model.tokenizer);
    let mut generator = Generator::new(&model.transformer, &model.tokenizer.prompt(&text), plain.clone())?;
    let logits = generator.logits()?;
    let mut sampler = Sampler::new(Sampling { temperature, top_k, top_p, min_p, seed, ..plain.clone() });
    let (before, after) = (Sampler::new(plain).probabilities(logits), sampler.probabilities(logits));
    let mut drawn = vec![0; logits.len()];
    (0..question.draws).for_each(|_| drawn[sampler.sample(logits) as usize] += 1);
    let mut ids: Vec<u32> = (0..model.tokenizer.vocab_size() as u32).collect();
    ids.sort_by(|&a, &b| before[b as usize].total_cmp(&before[a as usize]).then(a.cmp(&b)));
    let candidate = |token: Token| {
        let i = token.id as usize;
        Candidate { token, before: before[i], after: after[i], drawn: drawn[i] }
    };
    let kept = after.iter().filter(|&&p| p > 0.0).count();
    let of = ids.len();
    ids.truncate(SHOWN);
    Ok(Answer { tokens: spelled(&model.tokenizer, &ids).into_iter().map(candidate).collect(), kept, of })
}
