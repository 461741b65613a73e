//! Effort: a budget for analysis, a vote, and the price of a right answer. The chapter: effort.md.

/// Returns the most tokens of analysis that a reply may have. `budget` is the budget of the effort. The prompt leaves room for
/// `room` tokens, of which ⌊room/4⌋ are reserved for the answer.
pub fn analysis_limit(budget: usize, room: usize) -> usize {
    todo!("a limit from a budget of {budget} and room for {room} tokens")
}

/// Lets a model write a reply whose analysis has just begun, and returns the tokens of the reply. `model` returns the token
/// with which the model continues the reply so far.
///
/// `switch` is `<|end|><|start|>assistant<|channel|>final<|message|>` in tokens. As soon as the reply has `limit` tokens and its
/// analysis has not ended, appends these tokens instead of asking the model. The analysis also ends when the model writes the
/// first token of `switch`, `<|end|>`. Then `limit` does not count any more.
///
/// The reply ends after the token `done`, or as soon as it has `most` tokens or more. If the tokens of `switch` are appended,
/// all of them are, even if the reply then has more than `most` tokens. If the reply has `most` tokens, nothing is appended.
pub fn reply(
    model: &mut dyn FnMut(&[u32]) -> u32,
    (limit, most): (usize, usize),
    switch: &[u32],
    done: u32,
) -> Vec<u32> {
    _ = model;
    todo!("a reply with {limit} of {most} tokens of analysis, {switch:?} and {done}")
}

/// Returns the most frequent answer of several replies. A reply without an answer (`None`) does not count. If several answers
/// are equally frequent, returns the one that occurs first. Returns `None` if no reply has an answer.
pub fn vote(answers: &[Option<i64>]) -> Option<i64> {
    todo!("the most frequent of {} answers", answers.len())
}

/// Returns the share of right answers, and the price of a right answer: the tokens of all replies, divided by the number of
/// right answers. The price is infinite if no answer is right. For each reply, `replies` says whether it is right, and has its
/// number of tokens. There is at least one reply.
pub fn price(replies: &[(bool, usize)]) -> (f64, f64) {
    todo!("the share of right answers of {} replies, and the price", replies.len())
}
