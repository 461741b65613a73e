//! The hash function of the tokenizer's tables: one multiplication per eight bytes.
//!
//! Hashing is the hottest line of the encoder, because it looks up every piece and every candidate merge, and the
//! standard library's SipHash costs more than the look-up. Here one 64 × 64 → 128 bit product mixes eight bytes, and
//! its halves are xored ("folded multiply", as in wyhash, <https://github.com/wangyi-fudan/wyhash>). The function does
//! not resist keys that are chosen to collide, so it is used only for tables whose keys come from a vocabulary or a
//! training text, and for the words that a thread keeps, where a collision only replaces a word.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A `HashMap` with the fast hash.
pub(super) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FoldHasher>>;

/// The state of one hash computation.
#[derive(Default)]
pub(super) struct FoldHasher {
    state: u64,
}

/// An odd number without an obvious pattern: the first 64 bits of the fraction of π, with the last bit set.
const PI: u64 = 0x243f_6a88_85a3_08d3;

/// Mixes two words into one.
#[inline(always)]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ PI) * u128::from(b ^ PI.rotate_left(32));
    product as u64 ^ (product >> 64) as u64
}

impl FoldHasher {
    #[inline(always)]
    fn mix(&mut self, word: u64) {
        self.state = fold(self.state ^ word, 0);
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

/// A map from byte strings to ids. Strings of up to 15 bytes, which are nearly all pieces of a text, are packed into
/// the key itself, so that a look-up touches one cache line instead of two.
#[derive(Clone, Debug, Default)]
pub(super) struct ByBytes {
    short: FastMap<u128, u32>,
    long: FastMap<Box<[u8]>, u32>,
}

impl ByBytes {
    /// Creates an empty map with room for this many short strings.
    pub fn with_capacity(strings: usize) -> Self {
        Self {
            short: FastMap::with_capacity_and_hasher(strings, BuildHasherDefault::default()),
            long: FastMap::default(),
        }
    }

    /// Returns the id of `bytes`.
    #[inline]
    pub fn get(&self, bytes: &[u8]) -> Option<u32> {
        match packed(bytes) {
            Some(key) => self.short.get(&key).copied(),
            None => self.long.get(bytes).copied(),
        }
    }

    /// Sets the id of `bytes` and returns the previous one, if any.
    pub fn insert(&mut self, bytes: &[u8], id: u32) -> Option<u32> {
        match packed(bytes) {
            Some(key) => self.short.insert(key, id),
            None => self.long.insert(bytes.into(), id),
        }
    }
}

/// Packs up to 15 bytes, padded with zeros, and their length into a number that is unique for each string.
///
/// The string is read as two words. The second word ends with the string and is shifted to the position where the first
/// one ends, because copying so few bytes would cost more than the look-up.
#[inline(always)]
pub(super) fn packed(bytes: &[u8]) -> Option<u128> {
    let length = bytes.len();
    let (low, high) = match bytes {
        [] => (0, 0),
        &[a] => (a.into(), 0),
        &[a, b] => (u64::from(a) | u64::from(b) << 8, 0),
        &[a, b, c] => (u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16, 0),
        _ if length < 8 => {
            let (first, last) = (word::<4>(bytes.first_chunk()?), word::<4>(bytes.last_chunk()?));
            (first | (last >> (8 * (8 - length))) << 32, 0)
        }
        // Shifts in two steps, because for eight bytes all 64 bits must go, and a shift by 64 does nothing.
        _ if length < 16 => {
            (word::<8>(bytes.first_chunk()?), (word::<8>(bytes.last_chunk()?) >> 8) >> (8 * (15 - length)))
        }
        _ => return None,
    };
    Some(u128::from(low) | u128::from(high) << 64 | (length as u128) << 120)
}

/// Returns [`packed`] of the first `length` bytes of `text`: `None` if `length` is more than 15. If `text` has at least 16 bytes,
/// they are read with a single load.
#[inline(always)]
pub(super) fn packed_start(text: &[u8], length: usize) -> Option<u128> {
    match text.first_chunk() {
        Some(bytes) if length < 16 => Some(u128::from_le_bytes(*bytes) & STARTS[length] | (length as u128) << 120),
        _ => packed(&text[..length]),
    }
}

/// `STARTS[n]` is the mask of the `n` lowest bytes, which are the first `n` bytes of a text that was read as a little-endian
/// number.
static STARTS: [u128; 16] = {
    let mut masks = [0; 16];
    let mut length = 1;
    while length < 16 {
        masks[length] = masks[length - 1] << 8 | 0xff;
        length += 1;
    }
    masks
};

/// Reads bytes as a little-endian number.
#[inline(always)]
fn word<const N: usize>(bytes: &[u8; N]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::packed;

    /// The definition of the packed number: the bytes, zeros, and the length.
    #[test]
    fn packed_strings_are_numbers_of_their_own() {
        let bytes: Vec<u8> = (1..=20).map(|i| 255 - i * 7).collect();
        for length in 0..=20 {
            let mut padded = [0; 16];
            let expected = bytes[..length].iter().zip(&mut padded).map(|(&byte, place)| *place = byte).count();
            padded[15] = length as u8;
            let expected = (expected < 16).then(|| u128::from_le_bytes(padded));
            assert_eq!(packed(&bytes[..length]), expected, "{length} bytes");
        }
    }
}
