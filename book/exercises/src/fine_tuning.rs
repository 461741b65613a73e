//! Fine-tuning: what is learned, what sees what, and what is averaged. The chapter: fine_tuning.md.

use std::ops::Range;

/// Marks a target that does not count.
pub use ossia::data::IGNORE;

/// Returns the inputs and the targets of a conversation. `ids` are its tokens, at least one. `written` has the ranges of
/// positions in `ids` whose tokens the assistant wrote.
///
/// The inputs are all tokens except the last one. There are as many targets as inputs. The target at a position is the token at
/// the next position if the assistant wrote that token, and [`IGNORE`] otherwise. So the first token of a range is the target at
/// the position before the range. The token at position 0 is never a target.
///
/// An answer ends with `<|return|>` when the assistant writes it, but with `<|end|>` in `ids`, because it is part of a history.
/// `ends` has such differences: each is a position in `ids`, and the token that the assistant wrote there. This token is the
/// target instead of the token in `ids`. The inputs do not change. Each of these positions is in a range of `written`.
pub fn examples_targets(ids: &[u32], written: &[Range<usize>], ends: &[(usize, u32)]) -> (Vec<u32>, Vec<u32>) {
    todo!("inputs and targets of {} tokens, of which {written:?} are written, with {ends:?}", ids.len())
}

/// Packs sequences into windows of `context` tokens (best fit), and returns the indices of the sequences in each window.
/// `lengths` has the number of tokens of each sequence, from 1 to `context`.
///
/// Packs the sequences in the given order. Each one goes to the end of the fullest window that still has room for all of its
/// tokens. If several windows are equally full, it goes into the first of them. If no window has enough room, it begins a new
/// window, which is added at the end.
pub fn pack(lengths: &[usize], context: usize) -> Vec<Vec<usize>> {
    todo!("windows of {context} tokens with {} sequences", lengths.len())
}

/// Returns whether the token at position `query` of a window may attend to the token at position `key`. The window has
/// sequences of these lengths, one after the other, and both positions are in one of them. A token attends to itself and to
/// earlier tokens, but only to those of its own sequence.
pub fn sees(lengths: &[usize], query: usize, key: usize) -> bool {
    todo!("whether {query} sees {key} in a window with sequences of the lengths {lengths:?}")
}

/// Returns the loss of a training step: the mean over all targets of the step that count. For each micro-batch,
/// `micro_batches` has the loss of each target, or `None` if the target does not count. A micro-batch may have no target that
/// counts, but at least one target of the step counts.
pub fn mean_loss(micro_batches: &[Vec<Option<f32>>]) -> f32 {
    todo!("the loss of a step of {} micro-batches", micro_batches.len())
}
