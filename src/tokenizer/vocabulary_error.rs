//! The mistakes that a vocabulary can have.

use crate::error::Error;

/// The largest number of ids that a vocabulary may have, five times that of o200k. It bounds how much memory a file can
/// make the program allocate.
pub(super) const MAX_VOCAB: usize = 1 << 20;

/// A list of tokens, merges or special tokens that is not a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum VocabularyError {
    #[error("found {0} ids, expected at most {MAX_VOCAB}")]
    TooManyIds(usize),
    #[error("found id {0}, expected an id below {MAX_VOCAB}")]
    IdTooLarge(usize),
    #[error("id {0} has no bytes, expected at least one")]
    Empty(usize),
    #[error("id {0} is used twice, expected each id once")]
    DuplicateId(usize),
    #[error("ids {first} and {second} are the same bytes {text:?}, expected each token once")]
    DuplicateBytes { first: u32, second: u32, text: String },
    #[error("there is no token for the byte {0:#04x}")]
    MissingByte(u8),
    #[error("merge {rank}: found ids {left} and {right}, expected ids < {id}")]
    MergeOfLaterId { rank: u32, left: u32, right: u32, id: u32 },
    #[error("merge {line} of ids {left} and {right} does not make id {id}: check the vocabulary")]
    WrongMerge { line: usize, left: u32, right: u32, id: u32 },
    #[error("merge {line} of ids {left} and {right} is listed twice, expected each pair once")]
    DuplicateMerge { line: usize, left: u32, right: u32 },
    #[error("the special token with id {0} is empty, expected a name")]
    EmptySpecial(u32),
    #[error("the special token {name:?} is listed twice (ids {first} and {second}), expected once")]
    DuplicateSpecial { name: String, first: u32, second: u32 },
    #[error("the special token {name:?} has id {id}, expected an id below {MAX_VOCAB}")]
    SpecialIdTooLarge { name: String, id: u32 },
    #[error("the special token {name:?} has id {id}, which is a token already")]
    SpecialIdTaken { name: String, id: u32 },
}

impl From<VocabularyError> for Error {
    fn from(error: VocabularyError) -> Self {
        Error::unusable(error)
    }
}
