//! Sampling: from logits to a token. The chapter: sampling.md.

/// logits (V) → probabilities (V): the softmax of the logits divided by the temperature. At the temperature 0 the largest logit, of
/// equal ones the first, gets the probability 1.
pub fn probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    todo!("a softmax of {} logits at the temperature {temperature}", logits.len())
}

/// Keeps the most probable tokens that together reach `most`, at least one, and scales them to sum to 1; all others become 0. Of
/// equally probable tokens the first counts as the more probable one.
pub fn top_p(probabilities: &[f32], most: f32) -> Vec<f32> {
    todo!("the most probable of {} tokens, up to {most}", probabilities.len())
}

/// Returns the token at `place` (at least 0, less than 1) of the way through the probabilities, which sum to 1: token 0 has the first
/// part of the way, and so on. A token with the probability 0 is never returned.
pub fn draw(probabilities: &[f32], place: f32) -> usize {
    todo!("the token at {place} of {}", probabilities.len())
}
