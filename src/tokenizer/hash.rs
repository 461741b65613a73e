//! The hash function of the tokenizer's tables: a multiplication per eight bytes.
//!
//! A lookup per piece and per candidate merge makes hashing the hottest line of the encoder, and the standard library's
//! SipHash costs more than the lookup. Here eight bytes are mixed by one 64 × 64 → 128 bit product whose halves are
//! xored ("folded multiply", as in wyhash, <https://github.com/wangyi-fudan/wyhash>). It does not resist keys that are
//! chosen to collide, so it is only for tables whose keys come from a vocabulary or a training text.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A `HashMap` with the fast hash.
pub(super) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FoldHasher>>;

/// The state of one hash computation.
#[derive(Default)]
pub(super) struct FoldHasher {
    state: u64,
}

/// An odd number without pattern: the first 64 bits of the fraction of π, with the last bit set.
const PI: u64 = 0x243f_6a88_85a3_08d3;

impl FoldHasher {
    #[inline(always)]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word ^ PI) * u128::from(PI.rotate_left(32));
        self.state = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for FoldHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.mix(word.into());
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    #[inline]
    fn write_usize(&mut self, length: usize) {
        self.mix(length as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}
