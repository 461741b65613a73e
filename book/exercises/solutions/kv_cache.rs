pub fn push(ring: &mut Vec<f32>, row: &[f32], position: usize, window: usize) {
    if position < window {
        ring.extend_from_slice(row);
    } else {
        ring[position % window * row.len()..][..row.len()].copy_from_slice(row);
    }
}

pub fn rows(ring: &[f32], width: usize, length: usize, window: usize) -> Vec<f32> {
    let positions = length.saturating_sub(window)..length;
    positions.flat_map(|position| ring[position % window * width..][..width].to_vec()).collect()
}

pub fn attend(q: &[f32], keys: &[f32], values: &[f32]) -> Vec<f32> {
    let scale = 1.0 / (q.len() as f32).sqrt();
    let scores: Vec<f32> =
        keys.chunks_exact(q.len()).map(|k| q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>() * scale).collect();
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
    let total: f32 = exps.iter().sum();
    let mut o = vec![0.0; q.len()];
    for (v, e) in values.chunks_exact(q.len()).zip(exps) {
        o.iter_mut().zip(v).for_each(|(o, v)| *o += e / total * v);
    }
    o
}
