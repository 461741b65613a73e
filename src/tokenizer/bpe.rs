//! Byte-pair encoding of one piece.
//!
//! A piece starts as its bytes, one token each. Then the adjacent pair with the lowest rank is merged into one token,
//! the leftmost first if several have this rank. This repeats until no adjacent pair is in the merge table. Ranks are
//! learned ([`train`](mod@super::train)): the most frequent pair of the training text has rank 0.
//! Sennrich, Haddow & Birch 2016, <https://arxiv.org/abs/1508.07909>; on bytes: Radford et al. 2019 (GPT-2).
//!
//! Three implementations give the same tokens. [`Bpe::encode_naive`] is the definition, in O(n²). Short pieces, which
//! are nearly all of them, are encoded by scanning an array of ranks. Long pieces keep the candidates in a heap over a
//! linked list, in O(n log n).
//!
//! There are two formats of a merge table. `tokenizer.json` lists pairs, and the rank is the position in the list.
//! tiktoken ranks the merged bytes, so that any two adjacent tokens merge if their bytes together are a token. The
//! second format is converted to the first by listing every way to cut a token into two tokens, with the rank of that
//! token.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, Ordering};

use super::hash::{ByBytes, FastMap};
use super::vocabulary_error::{MAX_VOCAB, VocabularyError};

/// The longest piece, in bytes, that is encoded by scanning. Measured on runs of English letters with 4,096 ids: at 64
/// bytes the scan is 1.25 times as fast as the heap, at 128 bytes 0.7 times.
const SHORT: usize = 64;

/// Marks a pair that does not merge: greater than every rank.
const NONE: u32 = u32::MAX;

/// One entry of the merge table: adjacent tokens `left` and `right` become `id`. Merges with a lower rank are applied
/// first.
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
    /// The bytes of every id; empty if the vocabulary has a gap there.
    tokens: Vec<Box<[u8]>>,
    /// The token of each single byte.
    byte_ids: [u32; 256],
    /// Maps (left, right), packed into one number, to (rank, id).
    merges: FastMap<u64, (u32, u32)>,
    /// The pieces that are encoded as one token: all tokens if merges are ignored, and otherwise the tokens that their
    /// own merges lead to.
    whole: ByBytes,
    /// Whether a piece that is a token is encoded as that token, whatever its merges lead to. It is true for tiktoken
    /// and for the file of o200k.
    ignore_merges: bool,
    /// A number from 1 that no other vocabulary of this process has.
    identity: u32,
}

/// Buffers that are reused from piece to piece.
#[derive(Default)]
pub(super) struct Scratch {
    parts: Vec<PieceToken>,
    heap: BinaryHeap<Reverse<(u32, usize)>>,
}

/// A token of the piece that is being encoded, with the merge of it and its right neighbour.
#[derive(Clone, Copy)]
struct PieceToken {
    id: u32,
    rank: u32, // NONE if the pair does not merge
    merged: u32,
    previous: usize, // for merge_long only; usize::MAX at the start of the piece
    next: usize,     // for merge_long only; the length of the piece at its end
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

impl Bpe {
    /// Makes a vocabulary from the bytes of each id (empty if there is no such id) and the merges.
    pub fn new(tokens: Vec<Box<[u8]>>, merges: &[Merge], ignore_merges: bool) -> Result<Self, VocabularyError> {
        if tokens.len() > MAX_VOCAB {
            return Err(VocabularyError::TooManyIds(tokens.len()));
        }
        let whole = index(&tokens)?;
        let mut byte_ids = [0; 256];
        for (byte, id) in (0u8..=255).zip(&mut byte_ids) {
            *id = whole.get(&[byte]).ok_or(VocabularyError::MissingByte(byte))?;
        }
        let table = merge_table(&tokens, merges)?;
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let identity = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut bpe = Self { tokens, byte_ids, merges: table, whole, ignore_merges, identity };
        if !ignore_merges {
            bpe.keep_reachable_wholes();
        }
        Ok(bpe)
    }

    /// Makes a vocabulary in tiktoken's format, in which the rank of a merge is the id of the bytes that it makes.
    pub fn from_ranks(tokens: Vec<Box<[u8]>>) -> Result<Self, VocabularyError> {
        let lengths: Vec<usize> = tokens.iter().map(|bytes| bytes.len()).collect();
        Self::from_cuts(tokens, |id| 1..lengths[id])
    }

    /// Like [`from_ranks`](Self::from_ranks), if the places are known where each token can be cut into two tokens. Other places
    /// do no harm.
    pub fn from_cuts<I: IntoIterator<Item = usize>>(
        tokens: Vec<Box<[u8]>>,
        cuts: impl Fn(usize) -> I,
    ) -> Result<Self, VocabularyError> {
        let mut bpe = Self::new(tokens, &[], true)?;
        bpe.merges.reserve(2 * bpe.tokens.len());
        for (bytes, id) in bpe.tokens.iter().zip(0..) {
            for cut in cuts(id as usize) {
                if let (Some(left), Some(right)) = (bpe.whole.get(&bytes[..cut]), bpe.whole.get(&bytes[cut..])) {
                    bpe.merges.insert(key(left, right), (id, id));
                }
            }
        }
        Ok(bpe)
    }

    /// Drops the tokens that the merges do not lead to from `whole`, so that a look-up returns the same as the merges
    /// would.
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

    /// Returns the bytes of every id; empty if there is no token.
    pub fn tokens(&self) -> &[Box<[u8]>] {
        &self.tokens
    }

    /// Returns the number of this vocabulary. Its clones have the same number, and other vocabularies have other numbers.
    pub fn identity(&self) -> u32 {
        self.identity
    }

    /// Returns whether a piece that is a token is encoded as that token.
    pub fn ignore_merges(&self) -> bool {
        self.ignore_merges
    }

    /// Returns the merges, lowest rank first, and merges of the same rank in order of (left, right).
    pub fn merges(&self) -> Vec<Merge> {
        let mut merges: Vec<_> = self.merges.iter().map(|(&pair, &(rank, id))| from_key(pair, rank, id)).collect();
        merges.sort_unstable_by_key(|m| (m.rank, m.left, m.right));
        merges
    }

    fn pair(&self, left: u32, right: u32) -> (u32, u32) {
        self.merges.get(&key(left, right)).copied().unwrap_or((NONE, NONE))
    }

    // ANCHOR: naive
    /// Returns the tokens of a piece, in the plainest way. It takes O(n²) and is the reference that
    /// [`encode`](Self::encode) is tested against.
    pub fn encode_naive(&self, piece: &[u8]) -> Vec<u32> {
        if self.ignore_merges
            && let Some(id) = self.tokens.iter().position(|token| !token.is_empty() && **token == *piece)
        {
            return vec![id as u32];
        }
        let mut ids = self.of_bytes(piece);
        while let Some((_, at, id)) = self.next_merge(&ids) {
            ids.splice(at..at + 2, [id]);
        }
        ids
    }

    /// Returns the rank, the position and the result of the merge that comes next.
    pub fn next_merge(&self, ids: &[u32]) -> Option<(u32, usize, u32)> {
        let candidates = ids.windows(2).enumerate().filter_map(|(at, pair)| {
            let &(rank, id) = self.merges.get(&key(pair[0], pair[1]))?;
            Some((rank, at, id))
        });
        candidates.min()
    }
    // ANCHOR_END: naive

    /// Returns the token of each byte.
    pub fn of_bytes(&self, piece: &[u8]) -> Vec<u32> {
        piece.iter().map(|&byte| self.byte_ids[usize::from(byte)]).collect()
    }

    /// Appends the tokens of `piece` to `ids`.
    #[inline]
    pub fn encode(&self, piece: &[u8], scratch: &mut Scratch, ids: &mut Vec<u32>) {
        match self.whole.get(piece) {
            Some(id) => ids.push(id),
            None => self.merge(piece, scratch, ids),
        }
    }

    /// Appends the tokens that the merges make of `piece` to `ids`, even if the piece itself is a token.
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

    /// Fills `parts` with one token per byte.
    fn fill(&self, piece: &[u8], parts: &mut Vec<PieceToken>) {
        parts.clear();
        let mut right = None; // right to left, so that the right neighbour is known
        parts.extend(piece.iter().enumerate().rev().map(|(at, &byte)| {
            let id = self.byte_ids[usize::from(byte)];
            let (rank, merged) = right.map_or((NONE, NONE), |right| self.pair(id, right));
            right = Some(id);
            PieceToken { id, rank, merged, previous: at.wrapping_sub(1), next: at + 1 }
        }));
        parts.reverse();
    }

    // ANCHOR: merge_short
    /// Merges by searching for the lowest rank each time.
    fn merge_short(&self, parts: &mut Vec<PieceToken>) {
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
            self.update_rank(&mut parts[at], right);
            if let Some(before) = at.checked_sub(1) {
                let right = Some(parts[at].id);
                self.update_rank(&mut parts[before], right);
            }
        }
    }
    // ANCHOR_END: merge_short

    // ANCHOR: merge_long
    /// Merges by popping the lowest (rank, position) from a heap. If a token has since got another right neighbour, or
    /// has been merged into its left one, the entry has no longer the token's rank and is skipped.
    fn merge_long(&self, Scratch { parts, heap }: &mut Scratch) {
        let end = parts.len();
        let candidates = parts.iter().enumerate().filter(|(_, part)| part.rank != NONE);
        heap.clear();
        heap.extend(candidates.map(|(at, part)| Reverse((part.rank, at))));
        while let Some(Reverse((rank, at))) = heap.pop() {
            if parts[at].rank != rank {
                continue;
            }
            let removed = parts[at].next;
            let after = parts[removed].next;
            parts[removed].rank = NONE;
            parts[at].id = parts[at].merged;
            parts[at].next = after;
            if after != end {
                parts[after].previous = at;
            }
            for changed in [parts[at].previous, at] {
                let Some(&PieceToken { next, .. }) = parts.get(changed) else { continue };
                let right = parts.get(next).map(|part| part.id);
                self.update_rank(&mut parts[changed], right);
                if parts[changed].rank != NONE {
                    heap.push(Reverse((parts[changed].rank, changed)));
                }
            }
        }
    }
    // ANCHOR_END: merge_long

    /// Looks up the merge of `part` and its new right neighbour.
    fn update_rank(&self, part: &mut PieceToken, right: Option<u32>) {
        (part.rank, part.merged) = right.map_or((NONE, NONE), |right| self.pair(part.id, right));
    }
}

fn from_key(pair: u64, rank: u32, id: u32) -> Merge {
    Merge { left: (pair >> 32) as u32, right: pair as u32, id, rank }
}

/// Maps the bytes of each token to its id.
fn index(tokens: &[Box<[u8]>]) -> Result<ByBytes, VocabularyError> {
    let mut whole = ByBytes::with_capacity(tokens.len());
    for (bytes, id) in tokens.iter().zip(0..) {
        if !bytes.is_empty()
            && let Some(first) = whole.insert(bytes, id)
        {
            let text = String::from_utf8_lossy(bytes).into_owned();
            return Err(VocabularyError::DuplicateBytes { first, second: id, text });
        }
    }
    Ok(whole)
}

/// Returns the merges by pair, after checking that each makes the bytes of its two parts.
fn merge_table(tokens: &[Box<[u8]>], merges: &[Merge]) -> Result<FastMap<u64, (u32, u32)>, VocabularyError> {
    let bytes = |id: u32| tokens.get(id as usize).map_or(&[][..], |token| token);
    let mut table = FastMap::default();
    for (line, &Merge { left, right, id, rank }) in merges.iter().enumerate() {
        let parts = (bytes(left), bytes(right));
        if parts.0.is_empty() || parts.1.is_empty() || bytes(id) != [parts.0, parts.1].concat() {
            return Err(VocabularyError::WrongMerge { line, left, right, id });
        }
        if table.insert(key(left, right), (rank, id)).is_some() {
            return Err(VocabularyError::DuplicateMerge { line, left, right });
        }
    }
    Ok(table)
}
