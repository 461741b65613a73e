//! Converts texts to batches of token ids.
//!
//! 1. [`story`]: a grammar that generates children's stories and knows the exact probability of each, so that a loss can
//!    be compared with the best possible one.
//! 2. [`corpus`]: documents from files, directories, JSON Lines, or the grammar, split into training and validation parts.
//! 3. [`batches`]: token ids, cut into windows and shuffled into batches, with a cursor for exact resumption.

pub mod story;
pub mod corpus;
mod json;
pub mod batches;

pub use batches::{Batch, Batches, Cursor, IGNORE, MaskedDocument, Windows};
pub use corpus::{Corpus, Skipped, Split};
