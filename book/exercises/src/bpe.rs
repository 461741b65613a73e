//! Byte-pair encoding: training and encoding. The chapter: tokens.md.

/// Finds `wanted` merges, or fewer if no pair is left. Each piece starts as its bytes, and occurs as often as its count says.
/// In each round, merges the pair of neighbours that occurs most often. If several pairs are equally frequent, merges the
/// smallest one, in the order of Rust's tuples. Merge i (counted from 0) makes the id 256 + i, and replaces the pair in all
/// pieces, from the left. Returns the merges as pairs of ids.
pub fn train(pieces: &[(Vec<u8>, u64)], wanted: usize) -> Vec<(u32, u32)> {
    todo!("{wanted} merges from {} pieces", pieces.len())
}

/// Encodes a piece with merges as [`train`] returns them. The *rank* of a pair is its index in `merges`. Starts with the bytes.
/// In each round, merges the pair with the lowest rank. If this pair occurs several times, merges its leftmost occurrence. Ends
/// when no pair of neighbours is in `merges`.
pub fn encode(piece: &[u8], merges: &[(u32, u32)]) -> Vec<u32> {
    todo!("the ids of {} bytes with {} merges", piece.len(), merges.len())
}
