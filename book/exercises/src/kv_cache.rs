//! The cache of a sliding layer: a ring of rows. The chapter: kv_cache.md.

/// Stores the row of a position (from 0) in a ring. The ring begins empty. It grows by a row until it holds `window` rows. From
/// then on, each new row overwrites the oldest one. Rows come in the order of their positions.
pub fn push(ring: &mut Vec<f32>, row: &[f32], position: usize, window: usize) {
    todo!("row of {} numbers at {position} into a ring of {} numbers, at most {window} rows", row.len(), ring.len())
}

/// Returns the rows that the ring holds after `length` positions were pushed, the oldest first.
pub fn rows(ring: &[f32], width: usize, length: usize, window: usize) -> Vec<f32> {
    todo!("the last {window} of {length} rows of {width} in {} numbers", ring.len())
}

/// Returns the attention output o (D) of one query q (D) over S keys and values (S, D), without a sink. The scores are divided
/// by √D.
pub fn attend(q: &[f32], keys: &[f32], values: &[f32]) -> Vec<f32> {
    todo!("o from {} numbers of q, {} of keys and {} of values", q.len(), keys.len(), values.len())
}
