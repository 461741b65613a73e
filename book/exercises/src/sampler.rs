//! Sampling: from logits to a token. The chapter: sampling.md.

/// logits (V) → probabilities (V): the softmax of the logits divided by the temperature. At the temperature 0 the largest logit, of
/// equal ones the first, gets the probability 1.
pub fn probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    todo!("a softmax of {} logits at the temperature {temperature}", logits.len())
}

/// Keeps as few of the most probable tokens as have a sum of at least `most`, but at least one, and scales them to sum to 1; all others
/// become 0. Of equally probable tokens the first counts as the more probable one.
pub fn top_p(probabilities: &[f32], most: f32) -> Vec<f32> {
    todo!("the most probable of {} tokens, up to {most}", probabilities.len())
}

/// The probabilities divide the interval from 0 to 1 into one part per token, in the order of the tokens. Returns the token whose part
/// contains `place`, which is at least 0 and less than 1. A token with the probability 0 is never returned.
pub fn draw(probabilities: &[f32], place: f32) -> usize {
    todo!("the token at {place} of {}", probabilities.len())
}
