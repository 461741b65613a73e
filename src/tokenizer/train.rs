//! Learns the merges: counts adjacent pairs, joins the most frequent pair, and repeats.
//!
//! Sennrich, Haddow & Birch 2016, <https://arxiv.org/abs/1508.07909>, on bytes. Pairs never cross the border of a piece
//! ([`split`]), so equal pieces are merged equally: each distinct piece is kept once, with its count.
//!
//! Recounting every pair in each round would cost (text × merges) ([`merges_naive`], the reference). Here the symbols
//! of all pieces form one linked list, each pair has its count and its positions, and joining a pair touches only these
//! positions and their neighbours. A max-heap proposes the next pair. Its entries are not updated but checked when they
//! are popped: the count of a pair in the heap can only fall, so an outdated entry comes up too early, never too late,
//! and is pushed again with its current count.
//!
//! Ties are resolved: the higher count comes first, then the pair with the lower (left id, right id). So the same texts
//! give the same tokenizer on every machine. Overlapping occurrences all count: `aaa` has two pairs `aa`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Tokenizer;
use super::hash::FastMap;
use super::split::split;
use super::vocabulary_error::MAX_VOCAB;
use crate::error::{Error, Result};

type Pair = (u32, u32);

/// Learns a tokenizer of `vocab_size` ids: the 256 bytes, the merges in the order in which they are learned, then
/// `special_tokens`.
///
/// If the texts have too few different pairs, the tokenizer is smaller: see [`Tokenizer::vocab_size`]. The texts are
/// plain: the name of a special token in them is treated like any other text. `<|endoftext|>`, if it is one of the special
/// tokens, becomes the start token: in a stream of documents it also stands before each of them.
///
/// # Errors
/// If `vocab_size` has no room for the bytes and the special tokens, or exceeds 2²⁰, or if a special token is empty or
/// listed twice.
pub fn train<I>(texts: I, vocab_size: usize, special_tokens: &[&str]) -> Result<Tokenizer>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let least = 256 + special_tokens.len();
    if !(least..=MAX_VOCAB).contains(&vocab_size) {
        return Err(Error::argument(format!(
            "vocabulary size: found {vocab_size}, expected {least} (256 bytes and {} special tokens) to {MAX_VOCAB}",
            special_tokens.len()
        )));
    }
    let tokenizer = Tokenizer::from_merges(&merges(&count_pieces(texts), vocab_size - least), special_tokens)?;
    let start = tokenizer.end_of_text();
    Ok(tokenizer.with_start(start))
}

/// Counts the distinct pieces of the texts and returns them sorted by their bytes.
pub fn count_pieces<I>(texts: I) -> Vec<(Box<[u8]>, u64)>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut counts: FastMap<Box<[u8]>, u64> = FastMap::default();
    for text in texts {
        for piece in split(text.as_ref()) {
            match counts.get_mut(piece.as_bytes()) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(piece.as_bytes().into(), 1);
                }
            }
        }
    }
    let mut pieces: Vec<_> = counts.into_iter().collect();
    pieces.sort_unstable();
    pieces
}

// ANCHOR: naive
/// Returns the first `wanted` merges, and recounts all pairs each round. It is the reference that [`merges`] is tested
/// against.
pub fn merges_naive(pieces: &[(Box<[u8]>, u64)], wanted: usize) -> Vec<Pair> {
    let mut words: Vec<(Vec<u32>, u64)> =
        pieces.iter().map(|(bytes, count)| (bytes.iter().map(|&byte| byte.into()).collect(), *count)).collect();
    let mut merges = Vec::new();
    while merges.len() < wanted {
        let mut counts: BTreeMap<Pair, u64> = BTreeMap::new();
        for (word, count) in &words {
            for pair in word.windows(2) {
                *counts.entry((pair[0], pair[1])).or_default() += count;
            }
        }
        let Some((&best, _)) = counts.iter().max_by_key(|&(&pair, &count)| (count, Reverse(pair))) else { break };
        let id = 256 + merges.len() as u32;
        for (word, _) in &mut words {
            let mut at = 0;
            while at + 1 < word.len() {
                if (word[at], word[at + 1]) == best {
                    word.splice(at..at + 2, [id]);
                }
                at += 1;
            }
        }
        merges.push(best);
    }
    merges
}
// ANCHOR_END: naive

/// Returns the first `wanted` merges of the counted pieces, or fewer if all pieces become single tokens before. Merge
/// `i` makes id `256 + i`; the ids below 256 are the bytes.
pub fn merges(pieces: &[(Box<[u8]>, u64)], wanted: usize) -> Vec<Pair> {
    let mut words = SymbolList::new(pieces);
    let mut heap: BinaryHeap<_> = words.pairs.iter().map(|(&pair, info)| (info.count, Reverse(pair))).collect();
    let mut merges = Vec::new();
    while merges.len() < wanted {
        let Some((count, Reverse(pair))) = heap.pop() else { break };
        let now = words.pairs.get(&pair).map_or(0, |info| info.count);
        if now == count {
            let id = 256 + merges.len() as u32;
            merges.push(pair);
            let created = words.join(pair, id);
            heap.extend(created.into_iter().map(|pair| (words.pairs[&pair].count, Reverse(pair))));
        } else if now > 0 {
            heap.push((now, Reverse(pair)));
        }
    }
    merges
}

/// All pieces as one doubly linked list of symbols, with an index of the pairs in it.
struct SymbolList {
    symbols: Vec<Symbol>,
    pairs: FastMap<Pair, PairInfo>,
}

/// A symbol of a piece.
struct Symbol {
    id: u32,
    /// The neighbours in the piece, or [`END`] at its ends.
    previous: usize,
    next: usize,
    /// The number of times that the piece occurs in the texts.
    count: u64,
}

/// The number of times that a pair occurs in the texts, and the positions of its left symbols, ascending. A position
/// may be outdated, because one of its symbols has since been joined with another one.
#[derive(Default)]
struct PairInfo {
    count: u64,
    positions: Vec<usize>,
}

/// Marks the end of a piece: there is no neighbour.
const END: usize = usize::MAX;

/// The id of a symbol that has been joined into its left neighbour.
const REMOVED: u32 = u32::MAX;

impl SymbolList {
    fn new(pieces: &[(Box<[u8]>, u64)]) -> Self {
        let mut words = Self { symbols: Vec::new(), pairs: FastMap::default() };
        for (bytes, count) in pieces {
            let start = words.symbols.len();
            let end = start + bytes.len();
            for (at, &byte) in (start..).zip(bytes) {
                let previous = if at == start { END } else { at - 1 };
                let next = if at + 1 == end { END } else { at + 1 };
                words.symbols.push(Symbol { id: byte.into(), previous, next, count: *count });
            }
            for (at, pair) in (start..).zip(bytes.windows(2)) {
                words.add((pair[0].into(), pair[1].into()), at);
            }
        }
        words
    }

    /// Adds a position where `pair` occurs.
    fn add(&mut self, pair: Pair, position: usize) {
        let info = self.pairs.entry(pair).or_default();
        info.count += self.symbols[position].count;
        info.positions.push(position);
    }

    /// Removes one occurrence of `pair` in a piece that occurs `count` times.
    fn remove(&mut self, pair: Pair, count: u64) {
        if let Some(info) = self.pairs.get_mut(&pair) {
            info.count -= count;
            if info.count == 0 {
                self.pairs.remove(&pair);
            }
        }
    }

    // ANCHOR: join
    /// Replaces `pair` by `id` at all its positions, from left to right. Returns the pairs that this creates.
    fn join(&mut self, pair: Pair, id: u32) -> Vec<Pair> {
        let Some(info) = self.pairs.remove(&pair) else { return Vec::new() };
        let mut created = Vec::new();
        for left in info.positions {
            let Symbol { id: left_id, previous, next: right, count } = self.symbols[left];
            if left_id != pair.0 || right == END || self.symbols[right].id != pair.1 {
                continue; // outdated
            }
            let after = self.symbols[right].next;
            self.symbols[left].id = id;
            self.symbols[left].next = after;
            self.symbols[right].id = REMOVED;
            if previous != END {
                let neighbour = self.symbols[previous].id;
                self.remove((neighbour, pair.0), count);
                self.add((neighbour, id), previous);
                created.push((neighbour, id));
            }
            if after != END {
                let neighbour = self.symbols[after].id;
                self.symbols[after].previous = left;
                self.remove((pair.1, neighbour), count);
                self.add((id, neighbour), left);
                created.push((id, neighbour));
            }
        }
        created.sort_unstable();
        created.dedup();
        created.retain(|pair| self.pairs.contains_key(pair));
        created
    }
    // ANCHOR_END: join
}
