pub fn sort(indices: &[u32], experts: usize) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..indices.len()).collect();
    order.sort_by_key(|&visit| indices[visit]); // a stable sort keeps the order of the text
    let mut counts = vec![0; experts];
    indices.iter().for_each(|&expert| counts[expert as usize] += 1);
    (order, counts)
}

pub fn gather(x: &[f32], hidden: usize, active: usize, order: &[usize]) -> Vec<f32> {
    order.iter().flat_map(|&visit| x[visit / active * hidden..][..hidden].to_vec()).collect()
}

pub fn combine(rows: &[f32], hidden: usize, active: usize, order: &[usize], weights: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; weights.len() / active * hidden];
    for (row, &visit) in rows.chunks_exact(hidden).zip(order) {
        let y = &mut y[visit / active * hidden..][..hidden];
        y.iter_mut().zip(row).for_each(|(y, x)| *y += weights[visit] * x);
    }
    y
}

pub fn combine_backward(
    dy: &[f32],
    rows: &[f32],
    hidden: usize,
    active: usize,
    order: &[usize],
    weights: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let (mut drows, mut dweights) = (Vec::new(), vec![0.0; weights.len()]);
    for (row, &visit) in rows.chunks_exact(hidden).zip(order) {
        let dy = &dy[visit / active * hidden..][..hidden];
        drows.extend(dy.iter().map(|dy| weights[visit] * dy));
        dweights[visit] = row.iter().zip(dy).map(|(x, dy)| x * dy).sum();
    }
    (drows, dweights)
}
