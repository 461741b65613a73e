//! A trie of all tokens, so that tokens with a common prefix are checked together.

use crate::tokenizer::Tokenizer;

/// A node of the trie: one byte. The nodes are stored in the order of a depth-first walk, so the descendants of a node
/// follow it directly, and `skip` is the index after the last of them.
#[derive(Debug, Clone, Copy)]
struct TrieNode {
    byte: u8,
    depth: u8,
    texts_only: bool, // all tokens from here on are texts
    token: u32,       // NONE if no token ends here
    first: u32,       // the index in `ids` of the first token from here on
    skip: u32,
}

/// Marks a node or a byte without a token.
const NONE: u32 = u32::MAX;

/// The tokens of a tokenizer, without the special ones, which are not text.
#[derive(Debug)]
pub struct Vocabulary {
    nodes: Vec<TrieNode>,
    size: usize,
    longest: usize,
    bytes: [u32; 256],
    ids: Vec<u32>, // in the order of the walk
}

/// Returns whether a token consists of whole characters that need no escape in JSON.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(|c: char| c < ' ' || c == '"' || c == '\\'))
}

impl Vocabulary {
    /// Builds the trie of a tokenizer's tokens.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let is_special = |id: u32| tokenizer.specials().iter().any(|(_, special)| *special == id);
        let first_special = tokenizer.specials().iter().map(|(_, id)| *id).min().unwrap_or(u32::MAX);
        let ids = (0..tokenizer.vocab_size() as u32).filter(|&id| id < first_special || !is_special(id));
        // Tokens of more than 255 bytes are left out. They are never needed, because all bytes are tokens.
        let tokens = ids.filter_map(|id| Some((tokenizer.token_bytes(id)?, id)));
        let mut tokens: Vec<(&[u8], u32)> = tokens.filter(|(bytes, _)| bytes.len() < 256).collect();
        tokens.sort_unstable();
        tokens.dedup_by_key(|(bytes, _)| *bytes);
        let (size, ids) = (tokenizer.vocab_size(), tokens.iter().map(|(_, id)| *id).collect());
        let mut tree = Self { nodes: Vec::new(), size, longest: 0, bytes: [NONE; 256], ids };
        let mut open: Vec<usize> = Vec::new(); // the path to the last node
        for ((bytes, id), first) in tokens.into_iter().zip(0..) {
            let close = |open: &mut Vec<usize>, nodes: &mut Vec<TrieNode>, depth: usize| {
                for node in open.drain(depth.min(open.len())..) {
                    nodes[node].skip = nodes.len() as u32;
                }
            };
            let common = open.iter().zip(bytes).take_while(|(node, byte)| tree.nodes[**node].byte == **byte).count();
            close(&mut open, &mut tree.nodes, common);
            for (depth, &byte) in bytes.iter().enumerate().skip(common) {
                open.push(tree.nodes.len());
                let token = if depth + 1 == bytes.len() { id } else { NONE };
                tree.nodes.push(TrieNode { byte, depth: depth as u8, texts_only: true, token, first, skip: NONE });
            }
            if !is_text(bytes) {
                open.iter().for_each(|&node| tree.nodes[node].texts_only = false);
            }
            if let &[byte] = bytes {
                tree.bytes[byte as usize] = id;
            }
            tree.longest = tree.longest.max(bytes.len());
        }
        let end = tree.nodes.len() as u32;
        tree.nodes.iter_mut().filter(|node| node.skip == NONE).for_each(|node| node.skip = end);
        tree
    }

    /// Returns the number of ids.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the number of bytes of the longest token.
    pub fn longest(&self) -> usize {
        self.longest
    }

    // ANCHOR: walk
    /// Walks through the trie from the state `start` and calls `found` with every token whose bytes all have a next
    /// state. `step` returns the state after one more byte; if it returns `None`, the walk skips all tokens with this
    /// prefix. If `is_free`, the state is within a string that may go on freely, so all tokens with this prefix that are
    /// plain text are found at once.
    pub fn walk<S: Copy>(
        &self,
        start: S,
        mut step: impl FnMut(S, u8) -> Option<(S, bool)>,
        mut found: impl FnMut(u32),
    ) {
        let mut states = vec![start; self.longest + 1]; // states[d] is the state after the d bytes above a node of depth d
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            let depth = usize::from(node.depth);
            at += 1;
            match step(states[depth], node.byte) {
                None => at = node.skip as usize,
                Some((_, is_free)) if is_free && node.texts_only => {
                    at = node.skip as usize;
                    let end = self.nodes.get(at).map_or(self.ids.len(), |next| next.first as usize);
                    self.ids[node.first as usize..end].iter().for_each(|&id| found(id));
                }
                Some((next, _)) => {
                    states[depth + 1] = next;
                    if node.token != NONE {
                        found(node.token);
                    }
                }
            }
        }
    }
    // ANCHOR_END: walk

    /// Splits bytes into tokens, each the longest that matches. Returns `None` if some byte is not a token.
    pub fn tokens(&self, mut bytes: &[u8]) -> Option<Vec<u32>> {
        let mut tokens = Vec::new();
        while !bytes.is_empty() {
            let (length, token) = self.longest_prefix(bytes)?;
            tokens.push(token);
            bytes = &bytes[length..];
        }
        Some(tokens)
    }

    fn longest_prefix(&self, bytes: &[u8]) -> Option<(usize, u32)> {
        let (mut at, mut end, mut best) = (0, self.nodes.len(), None);
        for (depth, &byte) in bytes.iter().enumerate() {
            // Searches among the children. The next child starts where the subtree of this one ends.
            while at < end && self.nodes[at].byte != byte {
                at = self.nodes[at].skip as usize;
            }
            if at >= end {
                break;
            }
            let node = self.nodes[at];
            if node.token != NONE {
                best = Some((depth + 1, node.token));
            }
            (at, end) = (at + 1, node.skip as usize);
        }
        best
    }

    /// Returns whether every byte is a token, so that any text can be written.
    pub fn has_all_bytes(&self) -> bool {
        self.bytes.iter().all(|&id| id != NONE)
    }
}
