//! Converts texts to batches of token ids.
//!
//! 1. [`story`]: a grammar that generates children's stories and knows the exact probability of each, so that a loss can
//!    be compared with the best possible one.
//! 2. [`corpus`]: documents from files, directories, JSON Lines, or the grammar, split into training and validation parts.
//! 3. [`stream`]: token ids of documents, in memory or in a file; [`windows`]: cuts them into windows.
//! 4. [`batches`]: windows, shuffled into batches, with a cursor for exact resumption.

pub mod story;
pub mod corpus;
mod json;
pub mod stream;
pub mod windows;
pub mod batches;

pub use batches::{Batches, Cursor};
pub use corpus::{Corpus, Skipped, Split};
pub use stream::{Ids, MaskedDocument, Stream};
pub use windows::{Batch, IGNORE, Windows};
