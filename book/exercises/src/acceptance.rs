//! Speculative decoding: which drafts are accepted, and what follows them. The chapter: drafts.md.
//!
//! p and q are distributions over V tokens: p is that of the model, and q is the one from which a draft was drawn. Numbers called
//! `uniform` are random numbers from 0 to 1, without 1. The probability of a draft in q is above 0.

/// Draws a token with the probabilities `p`, whose sum is 1. This function is finished, and you can use it.
pub fn draw(p: &[f64], uniform: f64) -> usize {
    let mut sum = 0.0;
    let drawn = p.iter().position(|p| {
        sum += p;
        uniform < sum
    });
    // Rounding can keep the sum below 1.
    drawn.unwrap_or_else(|| p.iter().rposition(|p| *p > 0.0).unwrap_or(0))
}

/// Returns whether the draft x is accepted: it is with probability min(1, pₓ/qₓ). So of all numbers `uniform`, those below pₓ/qₓ
/// accept it.
pub fn accepts(draft: usize, q: &[f64], p: &[f64], uniform: f64) -> bool {
    todo!("whether draft {draft} is accepted, with {q:?}, {p:?} and {uniform}")
}

/// Returns the distribution of the token after a draft was rejected: (p − q)₊, divided by its sum. p and q differ.
pub fn residual(q: &[f64], p: &[f64]) -> Vec<f64> {
    todo!("what p has more than q, of {} and {} tokens", p.len(), q.len())
}

/// Returns the probability with which a draft is accepted, before it is drawn.
pub fn rate(q: &[f64], p: &[f64]) -> f64 {
    todo!("how often a draft from {q:?} is accepted, with {p:?}")
}

/// Returns the tokens that a pass of the model adds to the text. `drafts` has K tokens, and `q` the K distributions from which they
/// were drawn. `p` has K + 1 distributions: those of the model for the token at the place of each draft, and for the token after
/// the last draft. K may be 0.
///
/// Each draft that is checked takes one number `uniform()`, and the last token of the result takes another one.
pub fn check(drafts: &[usize], q: &[Vec<f64>], p: &[Vec<f64>], uniform: &mut dyn FnMut() -> f64) -> Vec<usize> {
    todo!("the tokens after {} drafts, with {} and {} distributions: {}", drafts.len(), q.len(), p.len(), uniform())
}

/// Returns how many tokens a pass adds on average, if each of `drafts` drafts that is checked is accepted with probability `rate`.
pub fn tokens_per_pass(rate: f64, drafts: usize) -> f64 {
    todo!("tokens per pass with {drafts} drafts that are accepted with probability {rate}")
}
