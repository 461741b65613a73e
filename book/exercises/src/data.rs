//! Data with a floor: the entropy of a grammar, and windows of tokens. The chapter: data.md.

/// A piece of a text that a grammar draws.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// A fixed text.
    Text(&'static str),
    /// A choice between equally likely options, at least one. Each option is a sequence of pieces.
    Choice(Vec<Vec<Piece>>),
}

/// Returns the entropy, in nats, of a sequence of pieces: the mean of −ln p of the texts that are drawn from it. No option of a
/// choice is a prefix of another option, so each text can be drawn in one way only.
pub fn entropy(pieces: &[Piece]) -> f64 {
    todo!("the entropy of {} pieces", pieces.len())
}

/// Returns the entropy floor of a set of stories, in nats per predicted token: the sum of −ln p over all stories, divided by the
/// number of tokens that a model has to predict. For each story, `nats` has its −ln p, and `tokens` has its number of tokens,
/// without the token that ends it. A model has to predict this token, too.
pub fn floor(nats: &[f64], tokens: &[usize]) -> f64 {
    todo!("the floor of {} stories with {} lengths", nats.len(), tokens.len())
}

/// Returns the positions in the stream `end d₁ end d₂ end … end` at which windows start. `lengths` has the number of tokens of
/// each document, at least 1. A document begins at the end token before it. A window that starts at s has the inputs from s on,
/// `context` of them, and its last target is at s + `context`. The first window starts at 0. If s + `context` is before the last
/// token of the stream, there is another window. Of the documents that begin at the places s + 1 … s + `context`, it starts with
/// the last one. If there is none, it starts at s + `context`.
pub fn starts(lengths: &[usize], context: usize) -> Vec<usize> {
    todo!("the starts of windows of {context} in a stream of {} documents", lengths.len())
}

/// A target that does not count.
pub const IGNORE: u32 = u32::MAX;

/// Returns the inputs and the targets of each window, as they are used for evaluation. Both have `context` numbers. The target of
/// an input is the next token of the stream. An input that would be the last token of the stream, or after it, is `end`, and its
/// target is [`IGNORE`]. Targets after the start of the next window are [`IGNORE`] too, so that each token counts once. `starts`
/// are the starts of all windows.
pub fn windows(documents: &[Vec<u32>], starts: &[usize], end: u32, context: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
    todo!("{} windows of {context} of {} documents that end with {end}", starts.len(), documents.len())
}
