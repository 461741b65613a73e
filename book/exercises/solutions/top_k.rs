pub fn forward(logits: &[f32], experts: usize, active: usize) -> (Vec<u32>, Vec<f32>) {
    let (mut indices, mut weights) = (Vec::new(), Vec::new());
    for row in logits.chunks_exact(experts) {
        let mut order: Vec<usize> = (0..experts).collect();
        // A stable sort leaves equal logits in the order of their indices. Adding 0 makes −0 and 0 equal.
        order.sort_by(|&a, &b| (row[b] + 0.0).total_cmp(&(row[a] + 0.0)));
        let chosen = &order[..active];
        let exps: Vec<f32> = chosen.iter().map(|&i| (row[i] - row[chosen[0]]).exp()).collect();
        let total: f32 = exps.iter().sum();
        indices.extend(chosen.iter().map(|&i| i as u32));
        weights.extend(exps.iter().map(|e| e / total));
    }
    (indices, weights)
}

pub fn backward(dw: &[f32], indices: &[u32], weights: &[f32], experts: usize, active: usize) -> Vec<f32> {
    let mut dlogits = vec![0.0; dw.len() / active * experts];
    for (t, row) in dlogits.chunks_exact_mut(experts).enumerate() {
        let of_token = t * active..(t + 1) * active;
        let mean: f32 = of_token.clone().map(|a| weights[a] * dw[a]).sum();
        of_token.for_each(|a| row[indices[a] as usize] = weights[a] * (dw[a] - mean));
    }
    dlogits
}
