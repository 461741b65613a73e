use ossia::train::muon::{COEFFICIENTS, ITERATIONS};

/// a (m, k) · b (k, n)
fn product(a: &[f32], b: &[f32], k: usize) -> Vec<f32> {
    let n = b.len() / k;
    let mut c = vec![0.0; a.len() / k * n];
    for (a, c) in a.chunks(k).zip(c.chunks_mut(n)) {
        for (a, b) in a.iter().zip(b.chunks(n)) {
            c.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
        }
    }
    c
}

fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|j| x.iter().skip(j).step_by(columns).copied()).collect()
}

pub fn orthogonalize(g: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let norm = g.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-7);
    unnormed(&g.iter().map(|x| x / norm).collect::<Vec<_>>(), rows, columns)
}

/// The iteration, for a matrix whose norm is at most 1.
pub fn unnormed(g: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let ([a, b, c], mut x) = (COEFFICIENTS, g.to_vec());
    for _ in 0..ITERATIONS {
        let gram = product(&x, &transposed(&x, columns), columns); // (rows, rows)
        let square = product(&gram, &gram, rows);
        let polynomial: Vec<f32> = gram.iter().zip(square).map(|(gram, square)| b * gram + c * square).collect();
        let more = product(&polynomial, &x, rows);
        x = x.iter().zip(more).map(|(x, more)| a * x + more).collect();
    }
    x
}

pub fn step(lr: f32, g: &[f32], (rows, columns): (usize, usize), w: &mut [f32], m: &mut [f32]) {
    m.iter_mut().zip(g).for_each(|(m, g)| *m = 0.95 * *m + 0.05 * g);
    let mean: Vec<f32> = m.iter().zip(g).map(|(m, g)| 0.95 * m + 0.05 * g).collect();
    let length = lr * 0.2 * (rows.max(columns) as f32).sqrt();
    for (w, direction) in w.iter_mut().zip(orthogonalize(&mean, rows, columns)) {
        *w -= length * direction;
    }
}
