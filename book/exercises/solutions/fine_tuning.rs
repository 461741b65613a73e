use crate::fine_tuning::IGNORE;
use std::ops::Range;

pub fn examples_targets(ids: &[u32], written: &[Range<usize>], ends: &[(usize, u32)]) -> (Vec<u32>, Vec<u32>) {
    let target = |position: usize| {
        if !written.iter().any(|range| range.contains(&position)) {
            return IGNORE;
        }
        let end = ends.iter().find(|(place, _)| *place == position);
        end.map_or(ids[position], |(_, token)| *token)
    };
    (ids[..ids.len() - 1].to_vec(), (1..ids.len()).map(target).collect())
}

pub fn pack(lengths: &[usize], context: usize) -> Vec<Vec<usize>> {
    let (mut windows, mut rooms) = (Vec::new(), Vec::new()); // `rooms`: the room that each window has left
    for (i, &length) in lengths.iter().enumerate() {
        let with_room = (0..rooms.len()).filter(|&window| rooms[window] >= length);
        let fullest = with_room.min_by_key(|&window| rooms[window]); // of several minima, min_by_key returns the first one
        let window = fullest.unwrap_or(rooms.len());
        if fullest.is_none() {
            windows.push(Vec::new());
            rooms.push(context);
        }
        windows[window].push(i);
        rooms[window] -= length;
    }
    windows
}

pub fn sees(lengths: &[usize], query: usize, key: usize) -> bool {
    let mut start = 0;
    for length in lengths {
        let end = start + length;
        if query < end {
            return start <= key && key <= query;
        }
        start = end;
    }
    false
}

pub fn mean_loss(micro_batches: &[Vec<Option<f32>>]) -> f32 {
    let losses: Vec<f32> = micro_batches.iter().flatten().flatten().copied().collect();
    losses.iter().sum::<f32>() / losses.len() as f32
}
