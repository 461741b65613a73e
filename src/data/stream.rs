//! Documents of token ids as one stream, in memory or in a file.
//!
//! The ids of a large text can stay in a file. The file is mapped into memory, and the operating system reads the pages that
//! are touched. If several ranks train together, each reads the windows of its own micro-batches, and the index: the beginnings
//! of all documents.

use crate::error::{Error, Result};
use crate::stored::Bytes;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Token ids.
#[derive(Clone)]
pub enum Ids {
    /// In memory.
    Memory(Arc<[u32]>),
    /// Numbers of 16 bits, little-endian.
    U16(Bytes),
    /// Numbers of 32 bits, little-endian.
    U32(Bytes),
}

impl Ids {
    /// Returns the number of ids.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(ids) => ids.len(),
            Self::U16(bytes) => bytes.len() / 2,
            Self::U32(bytes) => bytes.len() / 4,
        }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns some of the ids. Panics if the range is not inside.
    pub fn read(&self, range: Range<usize>) -> Vec<u32> {
        let Range { start, end } = range;
        match self {
            Self::Memory(ids) => ids[start..end].to_vec(),
            Self::U16(bytes) => {
                bytes[2 * start..2 * end].as_chunks().0.iter().map(|&id| u16::from_le_bytes(id).into()).collect()
            }
            Self::U32(bytes) => {
                bytes[4 * start..4 * end].as_chunks().0.iter().map(|&id| u32::from_le_bytes(id)).collect()
            }
        }
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} ids", self.len())
    }
}

/// The documents, with a token at the end of each. Copies share the ids.
#[derive(Clone, Debug)]
pub struct Stream {
    pub(super) ids: Ids,
    /// The position of the token before each document, and of the last token.
    pub(super) beginnings: Arc<[usize]>,
    /// The token at the end of a document.
    pub(super) end: u32,
    /// A hash of the ids (FNV-1a).
    checksum: u64,
}

impl Stream {
    /// Returns `end d₁ end d₂ end … dₙ end`. Empty documents are left out.
    ///
    /// # Errors
    /// If there is no token at all.
    pub fn new(documents: &[Vec<u32>], end: u32) -> Result<Self> {
        let (mut ids, mut beginnings) = (vec![end], Vec::new());
        for document in documents.iter().filter(|document| !document.is_empty()) {
            beginnings.push(ids.len() - 1);
            ids.extend(document);
            ids.push(end);
        }
        if beginnings.is_empty() {
            return Err(Error::argument("found no token in the documents, expected at least 1"));
        }
        beginnings.push(ids.len() - 1);
        let checksum = ids.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &id| mixed(hash, id.into()));
        Ok(Self { ids: Ids::Memory(ids.into()), beginnings: beginnings.into(), end, checksum })
    }

    /// Returns a stream whose ids, index and checksum were written to a file. Returns `None` if the index cannot be one of these
    /// ids.
    pub fn from_file(ids: Ids, beginnings: Vec<usize>, end: u32, checksum: u64) -> Option<Self> {
        let ascending = beginnings.len() > 1 && beginnings.is_sorted_by(|a, b| a < b);
        let whole = beginnings.first() == Some(&0)
            && beginnings.last().is_some_and(|&last| last.checked_add(1) == Some(ids.len()));
        (ascending && whole).then(|| Self { ids, beginnings: beginnings.into(), end, checksum })
    }

    /// Returns the number of tokens.
    pub fn len(&self) -> usize {
        self.beginnings[self.documents()] + 1
    }

    /// Returns whether there are none, which is never the case.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns the number of documents.
    pub fn documents(&self) -> usize {
        self.beginnings.len() - 1
    }

    /// Returns the ids.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Returns the position of the token before each document, and of the last token.
    pub fn beginnings(&self) -> &[usize] {
        &self.beginnings
    }

    /// Returns a hash of the ids (FNV-1a).
    pub fn checksum(&self) -> u64 {
        self.checksum
    }
}

/// Mixes a number into a hash (FNV-1a).
pub(super) fn mixed(hash: u64, number: u64) -> u64 {
    (hash ^ number).wrapping_mul(0x0100_0000_01b3)
}
