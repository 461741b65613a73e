//! Converts texts to batches of token ids.
//!
//! 1. [`story`]: a grammar that generates children's stories and knows the exact probability of each, so that a loss can
//!    be compared with the best possible one.
//! 2. [`read`]: files and directories, part by part; [`corpus`]: documents from them or from the grammar, split into training and
//!    validation parts.
//! 3. [`stream`]: token ids of documents, in memory or in a file; [`windows`]: cuts them into windows; [`packed`]: packs whole
//!    conversations into windows.
//! 4. [`batches`]: windows, shuffled into batches, with a cursor for exact resumption.

pub mod story;
pub mod read;
pub mod corpus;
pub mod json;
pub mod stream;
pub mod packed;
pub mod windows;
pub mod batches;

pub use batches::{Batches, Cursor};
pub use corpus::{Corpus, Skipped, Split};
pub use packed::{Example, IGNORE, Packed};
pub use stream::{Ids, Stream};
pub use windows::{Batch, Windows};
