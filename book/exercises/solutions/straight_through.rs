use ossia::mxfp4::VALUES;

pub fn round_block(block: &[f32; 32]) -> [f32; 32] {
    let largest = block.iter().fold(0.0, |largest: f64, &x| largest.max(f64::from(x).abs()));
    if largest == 0.0 {
        return *block;
    }
    round_with((largest.log2().floor() - 2.0).max(-127.0).exp2(), block)
}

/// Rounds a block with this scale.
pub fn round_with(scale: f64, block: &[f32; 32]) -> [f32; 32] {
    block.map(|x| {
        let size = f64::from(x).abs() / scale;
        let distance = |code: &usize| (size - f64::from(VALUES[*code])).abs();
        // The nearest value; of two equally near ones, that with the even code.
        let nearest = (0..8).min_by(|a, b| distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2))));
        (f64::from(VALUES[nearest.unwrap_or(0)]) * scale).copysign(f64::from(x)) as f32
    })
}

pub fn fake_quantize(w: &[f32], outputs: usize) -> Vec<f32> {
    let mut q = vec![0.0; w.len()];
    for rows in 0..w.len() / (32 * outputs) {
        for output in 0..outputs {
            let at = |i: usize| (32 * rows + i) * outputs + output;
            let rounded = round_block(&std::array::from_fn(|i| w[at(i)]));
            rounded.into_iter().enumerate().for_each(|(i, value)| q[at(i)] = value);
        }
    }
    q
}

pub fn forward(x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    linear(x, &fake_quantize(w, b.len()), b)
}

/// Returns x·W + b.
pub fn linear(x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    let mut y = Vec::new();
    for x in x.chunks_exact(w.len() / b.len()) {
        let mut row = b.to_vec();
        for (x, w) in x.iter().zip(w.chunks_exact(b.len())) {
            row.iter_mut().zip(w).for_each(|(y, w)| *y += x * w);
        }
        y.extend(row);
    }
    y
}

pub fn backward(dy: &[f32], x: &[f32], w: &[f32], outputs: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    // dQ, which the straight-through estimator takes for dW.
    linear_gradients(dy, x, &fake_quantize(w, outputs), outputs)
}

/// Returns the gradients of x·W + b with respect to x, W and b.
pub fn linear_gradients(dy: &[f32], x: &[f32], w: &[f32], outputs: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (mut dx, mut dw, mut db) = (Vec::new(), vec![0.0; w.len()], vec![0.0; outputs]);
    for (dy, x) in dy.chunks_exact(outputs).zip(x.chunks_exact(w.len() / outputs)) {
        dx.extend(w.chunks_exact(outputs).map(|w| w.iter().zip(dy).map(|(w, dy)| w * dy).sum::<f32>()));
        for (x, dw) in x.iter().zip(dw.chunks_exact_mut(outputs)) {
            dw.iter_mut().zip(dy).for_each(|(dw, dy)| *dw += x * dy);
        }
        db.iter_mut().zip(dy).for_each(|(db, dy)| *db += dy);
    }
    (dx, dw, db)
}

pub fn step(dy: &[f32], x: &[f32], w: &[f32], outputs: usize, rate: f32) -> Vec<f32> {
    let (_, dw, _) = backward(dy, x, w, outputs);
    w.iter().zip(dw).map(|(w, dw)| w - rate * dw).collect()
}

pub fn validation_loss(x: &[f32], w: &[f32], b: &[f32], targets: &[f32]) -> f32 {
    let y = forward(x, w, b);
    y.iter().zip(targets).map(|(y, target)| (y - target).powi(2)).sum::<f32>() / y.len() as f32
}
