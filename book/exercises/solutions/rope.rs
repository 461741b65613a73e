pub fn forward(x: &[f32], width: usize, cos: &[f32], sin: &[f32], half: usize, direction: f32) -> Vec<f32> {
    let positions = cos.len() / half;
    let mut y = x.to_vec();
    for (t, row) in y.chunks_exact_mut(width).enumerate() {
        let angles = t % positions * half..;
        for head in row.chunks_exact_mut(2 * half) {
            for i in 0..half {
                let (a, b) = (head[i], head[half + i]);
                let (cos, sin) = (cos[angles.start + i], direction * sin[angles.start + i]);
                (head[i], head[half + i]) = (a * cos - b * sin, b * cos + a * sin);
            }
        }
    }
    y
}

pub fn backward(dy: &[f32], width: usize, cos: &[f32], sin: &[f32], half: usize) -> Vec<f32> {
    forward(dy, width, cos, sin, half, -1.0)
}
