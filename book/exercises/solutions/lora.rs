/// Returns a·b (m, n), with a (m, k) and b (k, n).
fn product(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for l in 0..k {
            for j in 0..n {
                c[i * n + j] += a[i * k + l] * b[l * n + j];
            }
        }
    }
    c
}

/// Returns the transpose of a matrix with this number of columns.
pub fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|j| x.iter().skip(j).step_by(columns).copied()).collect()
}

/// Returns x + scale·y.
fn plus(x: &[f32], scale: f32, y: &[f32]) -> Vec<f32> {
    x.iter().zip(y).map(|(x, y)| x + scale * y).collect()
}

pub fn forward(x: &[f32], w: &[f32], a: &[f32], b: &[f32], rank: usize, scale: f32) -> Vec<f32> {
    let (inputs, outputs) = (a.len() / rank, b.len() / rank);
    let tokens = x.len() / inputs;
    let y = product(x, &transposed(w, inputs), [tokens, inputs, outputs]);
    let u = product(x, &transposed(a, inputs), [tokens, inputs, rank]);
    plus(&y, scale, &product(&u, &transposed(b, rank), [tokens, rank, outputs]))
}

pub fn new_factors(inputs: usize, outputs: usize, rank: usize, draw: &mut dyn FnMut() -> f32) -> (Vec<f32>, Vec<f32>) {
    let root = (inputs as f32).sqrt();
    ((0..rank * inputs).map(|_| draw() / root).collect(), vec![0.0; outputs * rank])
}

pub fn trained(inputs: usize, outputs: usize, rank: usize) -> usize {
    rank * (inputs + outputs)
}

pub fn backward(
    dy: &[f32],
    x: &[f32],
    w: &[f32],
    a: &[f32],
    b: &[f32],
    rank: usize,
    scale: f32,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (inputs, outputs) = (a.len() / rank, b.len() / rank);
    let tokens = x.len() / inputs;
    let dy_scaled: Vec<f32> = dy.iter().map(|dy| scale * dy).collect();
    let u = product(x, &transposed(a, inputs), [tokens, inputs, rank]);
    let db = product(&transposed(&dy_scaled, outputs), &u, [outputs, tokens, rank]);
    let du = product(&dy_scaled, b, [tokens, outputs, rank]);
    let da = product(&transposed(&du, rank), x, [rank, tokens, inputs]);
    let through_a = product(&du, a, [tokens, rank, inputs]);
    let dx = plus(&product(dy, w, [tokens, outputs, inputs]), 1.0, &through_a);
    (dx, da, db)
}

pub fn merge(w: &[f32], a: &[f32], b: &[f32], rank: usize, scale: f32) -> Vec<f32> {
    let (inputs, outputs) = (a.len() / rank, b.len() / rank);
    plus(w, scale, &product(b, a, [outputs, rank, inputs]))
}
