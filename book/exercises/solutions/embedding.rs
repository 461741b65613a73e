pub fn forward(ids: &[u32], w: &[f32], hidden: usize) -> Vec<f32> {
    ids.iter().flat_map(|&id| &w[id as usize * hidden..][..hidden]).copied().collect()
}

pub fn backward(dy: &[f32], ids: &[u32], vocabulary: usize, hidden: usize) -> Vec<f32> {
    let mut dw = vec![0.0; vocabulary * hidden];
    for (&id, dy) in ids.iter().zip(dy.chunks_exact(hidden)) {
        // A token that occurs twice in the text gets both gradients.
        dw[id as usize * hidden..][..hidden].iter_mut().zip(dy).for_each(|(dw, dy)| *dw += dy);
    }
    dw
}
