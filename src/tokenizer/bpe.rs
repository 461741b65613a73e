//! Byte-pair encoding of one piece.
//!
//! A piece starts as its bytes, one token each. Then, again and again, the adjacent pair with the lowest rank becomes
//! one token, the leftmost first among equals, until no adjacent pair is in the merge table. Ranks are learned
//! ([`train`](mod@super::train)): the most frequent pair of the training text has rank 0.
//! Sennrich, Haddow & Birch 2016, <https://arxiv.org/abs/1508.07909>; on bytes: Radford et al. 2019 (GPT-2).
//!
//! Three ways to the same tokens. [`Bpe::encode_naive`] says what is meant, in O(n²). Short pieces, nearly all of them,
//! scan an array of ranks. Long ones keep the candidates in a heap over a linked list: O(n log n).
//!
//! There are two dialects of a merge table. `tokenizer.json` lists pairs, and the rank is the place in the list.
//! tiktoken ranks the merged bytes, so that any two adjacent tokens merge if their bytes together are a token.
//! The second becomes the first by listing, with that token's rank, every way to cut it into two tokens.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::hash::{ByBytes, FastMap};

/// The largest number of ids a vocabulary may have: five times o200k. It bounds what a file can make us allocate.
pub(super) const MAX_VOCAB: usize = 1 << 20;

/// Pieces up to this many bytes are encoded by scanning. Measured on runs of English letters with 4,096 ids: at 64 bytes
/// the scan is 1.25 times as fast as the heap, at 128 bytes 0.7 times.
const SHORT: usize = 64;

/// No merge: greater than every rank.
const NONE: u32 = u32::MAX;

/// One line of the merge table: `left` and `right`, side by side, become `id`; lower ranks go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merge {
    pub left: u32,
    pub right: u32,
    pub id: u32,
    pub rank: u32,
}

/// The vocabulary of byte strings and the merges between them. Special tokens are not part of it.
#[derive(Clone, Debug)]
pub(super) struct Bpe {
    /// The bytes of every id; an empty string where the vocabulary has a gap.
    tokens: Vec<Box<[u8]>>,
    /// The token of each single byte.
    byte_ids: [u32; 256],
    /// (left, right) as one number → (rank, id).
    merges: FastMap<u64, (u32, u32)>,
    /// Pieces that are one token: every token if merges are ignored, else every token that its own merges lead to.
    whole: ByBytes,
    /// A piece that is a token is that token, whatever its merges say. tiktoken does this, and so does o200k's file.
    ignore_merges: bool,
}

/// What one encoding reuses from piece to piece.
#[derive(Default)]
pub(super) struct Scratch {
    parts: Vec<Part>,
    heap: BinaryHeap<Reverse<(u32, usize)>>,
}

/// A token of the piece being encoded, and what it and its right neighbour would become.
#[derive(Clone, Copy)]
struct Part {
    id: u32,
    rank: u32, // NONE if the two do not merge
    merged: u32,
    previous: usize, // used by the heap only; usize::MAX at the start of the piece
    next: usize,     // used by the heap only; the length of the piece at its end
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

impl Bpe {
    /// A vocabulary with the given bytes per id (empty: no such id) and merges. The message of an error is one line.
    pub fn new(tokens: Vec<Box<[u8]>>, merges: &[Merge], ignore_merges: bool) -> Result<Self, String> {
        if tokens.len() > MAX_VOCAB {
            return Err(format!("found {} ids, expected at most {MAX_VOCAB}", tokens.len()));
        }
        let whole = index(&tokens)?;
        let mut byte_ids = [0; 256];
        for (byte, id) in (0u8..=255).zip(&mut byte_ids) {
            *id = whole.get(&[byte]).ok_or_else(|| format!("there is no token for the byte {byte:#04x}"))?;
        }
        let table = merge_table(&tokens, merges)?;
        let mut bpe = Self { tokens, byte_ids, merges: table, whole, ignore_merges };
        if !ignore_merges {
            bpe.keep_reachable_wholes();
        }
        Ok(bpe)
    }

    /// tiktoken's form of a vocabulary: the rank of a merge is the id of the bytes it makes.
    pub fn from_ranks(tokens: Vec<Box<[u8]>>) -> Result<Self, String> {
        let whole = index(&tokens)?;
        let mut merges = Vec::new();
        for (bytes, id) in tokens.iter().zip(0..) {
            for cut in 1..bytes.len() {
                if let (Some(left), Some(right)) = (whole.get(&bytes[..cut]), whole.get(&bytes[cut..])) {
                    merges.push(Merge { left, right, id, rank: id });
                }
            }
        }
        Self::new(tokens, &merges, true)
    }

    /// Drops from `whole` the tokens that the merges do not lead to, so that a look-up says what the merges would.
    fn keep_reachable_wholes(&mut self) {
        let (mut scratch, mut ids) = (Scratch::default(), Vec::new());
        let mut whole = ByBytes::default();
        for (bytes, id) in self.tokens.iter().zip(0..).filter(|(bytes, _)| !bytes.is_empty()) {
            ids.clear();
            self.merge(bytes, &mut scratch, &mut ids);
            if ids == [id] {
                whole.insert(bytes, id);
            }
        }
        self.whole = whole;
    }

    /// The bytes of every id; empty where there is no token.
    pub fn tokens(&self) -> &[Box<[u8]>] {
        &self.tokens
    }

    /// Whether a piece that is a token is taken as it is.
    pub fn ignore_merges(&self) -> bool {
        self.ignore_merges
    }

    /// The merges, lowest rank first; those of one rank by (left, right).
    pub fn merges(&self) -> Vec<Merge> {
        let mut merges: Vec<_> = self.merges.iter().map(|(&pair, &(rank, id))| from_key(pair, rank, id)).collect();
        merges.sort_unstable_by_key(|m| (m.rank, m.left, m.right));
        merges
    }

    fn pair(&self, left: u32, right: u32) -> (u32, u32) {
        self.merges.get(&key(left, right)).copied().unwrap_or((NONE, NONE))
    }

    // ANCHOR: naive
    /// The tokens of a piece, in the plainest way: O(n²), the twin that [`encode`](Self::encode) is tested against.
    pub fn encode_naive(&self, piece: &[u8]) -> Vec<u32> {
        if self.ignore_merges
            && let Some(id) = self.tokens.iter().position(|token| !token.is_empty() && **token == *piece)
        {
            return vec![id as u32];
        }
        let mut ids: Vec<u32> = piece.iter().map(|&byte| self.byte_ids[usize::from(byte)]).collect();
        loop {
            let candidates = ids.windows(2).enumerate().filter_map(|(at, pair)| {
                let (rank, id) = self.merges.get(&key(pair[0], pair[1]))?;
                Some((rank, at, id))
            });
            let Some((_, at, &id)) = candidates.min() else { return ids };
            ids.splice(at..at + 2, [id]);
        }
    }
    // ANCHOR_END: naive

    /// Appends the tokens of `piece` to `ids`.
    #[inline]
    pub fn encode(&self, piece: &[u8], scratch: &mut Scratch, ids: &mut Vec<u32>) {
        match self.whole.get(piece) {
            Some(id) => ids.push(id),
            None => self.merge(piece, scratch, ids),
        }
    }

    /// Appends the tokens that the merges make of `piece` to `ids`.
    fn merge(&self, piece: &[u8], scratch: &mut Scratch, ids: &mut Vec<u32>) {
        self.fill(piece, &mut scratch.parts);
        if piece.len() <= SHORT {
            self.merge_short(&mut scratch.parts);
            ids.extend(scratch.parts.iter().map(|part| part.id));
        } else {
            self.merge_long(scratch);
            let mut at = 0;
            while let Some(part) = scratch.parts.get(at) {
                ids.push(part.id);
                at = part.next;
            }
        }
    }

    /// One part a byte.
    fn fill(&self, piece: &[u8], parts: &mut Vec<Part>) {
        parts.clear();
        let mut right = None; // from the right, so that each part knows its neighbour
        parts.extend(piece.iter().enumerate().rev().map(|(at, &byte)| {
            let id = self.byte_ids[usize::from(byte)];
            let (rank, merged) = right.map_or((NONE, NONE), |right| self.pair(id, right));
            right = Some(id);
            Part { id, rank, merged, previous: at.wrapping_sub(1), next: at + 1 }
        }));
        parts.reverse();
    }

    // ANCHOR: merge_short
    /// Merges by looking for the lowest rank each time.
    fn merge_short(&self, parts: &mut Vec<Part>) {
        loop {
            let mut best = (NONE, 0);
            for (at, part) in parts.iter().enumerate() {
                if part.rank < best.0 {
                    best = (part.rank, at);
                }
            }
            let (rank, at) = best;
            if rank == NONE {
                return;
            }
            parts[at].id = parts[at].merged;
            parts.remove(at + 1);
            let right = parts.get(at + 1).map(|part| part.id);
            self.rank_again(&mut parts[at], right);
            if let Some(before) = at.checked_sub(1) {
                let right = Some(parts[at].id);
                self.rank_again(&mut parts[before], right);
            }
        }
    }
    // ANCHOR_END: merge_short

    // ANCHOR: merge_long
    /// Merges by popping the lowest (rank, position) from a heap. An entry whose part has since got another right
    /// neighbour, or has gone, no longer has that part's rank, and is skipped.
    fn merge_long(&self, Scratch { parts, heap }: &mut Scratch) {
        let end = parts.len();
        let candidates = parts.iter().enumerate().filter(|(_, part)| part.rank != NONE);
        heap.clear();
        heap.extend(candidates.map(|(at, part)| Reverse((part.rank, at))));
        while let Some(Reverse((rank, at))) = heap.pop() {
            if parts[at].rank != rank {
                continue;
            }
            let gone = parts[at].next;
            let after = parts[gone].next;
            parts[gone].rank = NONE;
            parts[at].id = parts[at].merged;
            parts[at].next = after;
            if after != end {
                parts[after].previous = at;
            }
            for changed in [parts[at].previous, at] {
                let Some(&Part { next, .. }) = parts.get(changed) else { continue };
                let right = parts.get(next).map(|part| part.id);
                self.rank_again(&mut parts[changed], right);
                if parts[changed].rank != NONE {
                    heap.push(Reverse((parts[changed].rank, changed)));
                }
            }
        }
    }
    // ANCHOR_END: merge_long

    /// What `part` and its new right neighbour would become.
    fn rank_again(&self, part: &mut Part, right: Option<u32>) {
        (part.rank, part.merged) = right.map_or((NONE, NONE), |right| self.pair(part.id, right));
    }
}

fn from_key(pair: u64, rank: u32, id: u32) -> Merge {
    Merge { left: (pair >> 32) as u32, right: pair as u32, id, rank }
}

/// Bytes → id.
fn index(tokens: &[Box<[u8]>]) -> Result<ByBytes, String> {
    let mut whole = ByBytes::default();
    for (bytes, id) in tokens.iter().zip(0..) {
        if !bytes.is_empty()
            && let Some(other) = whole.insert(bytes, id)
        {
            let text = String::from_utf8_lossy(bytes);
            return Err(format!("ids {other} and {id} are the same bytes {text:?}, expected each token once"));
        }
    }
    Ok(whole)
}

/// The merges by pair, each checked to make the bytes of its two parts.
fn merge_table(tokens: &[Box<[u8]>], merges: &[Merge]) -> Result<FastMap<u64, (u32, u32)>, String> {
    let bytes = |id: u32| tokens.get(id as usize).map_or(&[][..], |token| token);
    let mut table = FastMap::default();
    for (line, &Merge { left, right, id, rank }) in merges.iter().enumerate() {
        let parts = (bytes(left), bytes(right));
        if parts.0.is_empty() || parts.1.is_empty() || bytes(id) != [parts.0, parts.1].concat() {
            return Err(format!("merge {line} of ids {left} and {right} does not make id {id}: check the vocabulary"));
        }
        if table.insert(key(left, right), (rank, id)).is_some() {
            return Err(format!("merge {line} of ids {left} and {right} is listed twice, expected each pair once"));
        }
    }
    Ok(table)
}
