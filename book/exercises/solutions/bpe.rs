use std::cmp::Reverse;
use std::collections::BTreeMap;

pub fn train(pieces: &[(Vec<u8>, u64)], wanted: usize) -> Vec<(u32, u32)> {
    let mut words: Vec<(Vec<u32>, u64)> =
        pieces.iter().map(|(bytes, count)| (bytes.iter().map(|&byte| byte.into()).collect(), *count)).collect();
    let mut merges = Vec::new();
    while merges.len() < wanted {
        let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for (ids, count) in &words {
            ids.windows(2).for_each(|pair| *counts.entry((pair[0], pair[1])).or_default() += count);
        }
        let Some((&best, _)) = counts.iter().max_by_key(|&(&pair, &count)| (count, Reverse(pair))) else { break };
        words.iter_mut().for_each(|(ids, _)| merge(ids, best, 256 + merges.len() as u32));
        merges.push(best);
    }
    merges
}

/// Replaces a pair by an id, from the left.
fn merge(ids: &mut Vec<u32>, pair: (u32, u32), id: u32) {
    let mut i = 0;
    while i + 1 < ids.len() {
        if (ids[i], ids[i + 1]) == pair {
            ids.splice(i..i + 2, [id]);
        }
        i += 1;
    }
}

pub fn encode(piece: &[u8], merges: &[(u32, u32)]) -> Vec<u32> {
    let mut ids: Vec<u32> = piece.iter().map(|&byte| byte.into()).collect();
    let rank = |pair: &[u32]| merges.iter().position(|&merge| merge == (pair[0], pair[1]));
    while let Some((rank, i)) = ids.windows(2).enumerate().filter_map(|(i, pair)| Some((rank(pair)?, i))).min() {
        ids.splice(i..i + 2, [256 + rank as u32]);
    }
    ids
}
