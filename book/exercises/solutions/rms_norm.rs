pub fn forward(x: &[f32], w: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    let (mut y, mut r) = (Vec::new(), Vec::new());
    for x in x.chunks_exact(w.len()) {
        let mean_square = x.iter().map(|x| x * x).sum::<f32>() / w.len() as f32;
        let r_of_row = 1.0 / (mean_square + eps).sqrt();
        y.extend(x.iter().zip(w).map(|(x, w)| x * r_of_row * w));
        r.push(r_of_row);
    }
    (y, r)
}

pub fn backward(dy: &[f32], x: &[f32], w: &[f32], r: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let hidden = w.len();
    let (mut dx, mut dw) = (Vec::new(), vec![0.0; hidden]);
    for ((dy, x), &r) in dy.chunks_exact(hidden).zip(x.chunks_exact(hidden)).zip(r) {
        let mean_gx = (0..hidden).map(|i| dy[i] * w[i] * x[i]).sum::<f32>() / hidden as f32;
        for i in 0..hidden {
            dx.push(r * dy[i] * w[i] - x[i] * r.powi(3) * mean_gx);
            dw[i] += dy[i] * x[i] * r;
        }
    }
    (dx, dw)
}
