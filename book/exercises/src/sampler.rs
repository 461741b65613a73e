//! Sampling: from logits to a token. The chapter: sampling.md.

/// Returns the probabilities (V) of the tokens from their logits (V): the softmax of the logits divided by the temperature. At
/// temperature 0, the largest logit gets probability 1. If several logits are equal, the first of them does.
pub fn probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    todo!("a softmax of {} logits at temperature {temperature}", logits.len())
}

/// Keeps the smallest set of most probable tokens whose probabilities sum to at least `p`, and at least one token. Rescales the
/// kept probabilities so that they sum to 1, and sets all others to 0. If several tokens are equally probable, the first of
/// them counts as the most probable one.
pub fn top_p(probabilities: &[f32], p: f32) -> Vec<f32> {
    todo!("the most probable of {} tokens, up to {p}", probabilities.len())
}

/// The probabilities divide the interval from 0 to 1 into one part per token, in the order of the tokens. Returns the token
/// whose part contains `place`, which is at least 0 and less than 1. A token with probability 0 is never returned.
pub fn draw(probabilities: &[f32], place: f32) -> usize {
    todo!("the token at {place} of {}", probabilities.len())
}
