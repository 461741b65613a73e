//! A cache of the words that a thread has encoded recently, with their tokens.
//!
//! A text repeats its words, and most of it consists of a few thousand of them. The table of all tokens is too large for the
//! caches near a core, so a look-up in it often waits for the memory. A word of several tokens must also be merged. This cache
//! is direct-mapped: the bytes of a word determine its slot, and a new word replaces the one in its slot. A slot contains the
//! whole word, so two words are never confused. Pieces of more than 15 bytes or of more than three tokens are not kept.

use super::bpe::Scratch;
use super::hash::{fold, packed_start};
use std::cell::Cell;

/// The number of slots, 2 MB in all.
const SLOTS: usize = 1 << 16;

/// A word of more tokens is not kept. Few words have more.
const MOST: usize = 3;

/// No token.
const NONE: u32 = u32::MAX;

/// A word and its tokens.
#[derive(Clone, Copy)]
struct Word {
    key: u128,
    /// The vocabulary that the tokens belong to. 0 marks an empty slot, because vocabularies are numbered from 1.
    vocabulary: u32,
    /// The tokens, and [`NONE`] after them.
    ids: [u32; MOST],
}

/// The words of all vocabularies.
pub(super) struct Words(Vec<Word>);

impl Words {
    fn new() -> Self {
        Self(vec![Word { key: 0, vocabulary: 0, ids: [NONE; MOST] }; SLOTS])
    }

    /// Appends the tokens of the piece that is the first `length` bytes of `text` to `ids`. If they are not known, `encode`
    /// appends them.
    #[inline(always)]
    pub fn encode(
        &mut self,
        vocabulary: u32,
        text: &[u8],
        length: usize,
        ids: &mut Vec<u32>,
        encode: impl FnOnce(&[u8], &mut Vec<u32>),
    ) {
        let Some(key) = packed_start(text, length) else { return encode(&text[..length], ids) };
        let word = &mut self.0[fold(key as u64, (key >> 64) as u64) as usize % SLOTS];
        if word.key == key && word.vocabulary == vocabulary {
            // Copies all three ids and then drops the empty ones, which is faster than a loop.
            let end = ids.len() + word.ids.iter().filter(|&&id| id != NONE).count();
            ids.extend_from_slice(&word.ids);
            ids.truncate(end);
            return;
        }
        let first = ids.len();
        encode(&text[..length], ids);
        let tokens = &ids[first..];
        if tokens.len() <= MOST {
            let mut ids = [NONE; MOST];
            ids[..tokens.len()].copy_from_slice(tokens);
            *word = Word { key, vocabulary, ids };
        }
    }
}

/// Calls `f` with the words and with buffers, which the thread keeps for the next call.
pub(super) fn with_words<R>(f: impl FnOnce(&mut Words, &mut Scratch) -> R) -> R {
    thread_local! { static KEPT: Cell<Option<(Words, Scratch)>> = const { Cell::new(None) } }
    let (mut words, mut scratch) = KEPT.take().unwrap_or_else(|| (Words::new(), Scratch::default()));
    let result = f(&mut words, &mut scratch);
    KEPT.set(Some((words, scratch)));
    result
}
