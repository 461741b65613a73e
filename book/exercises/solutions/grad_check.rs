pub fn slope(f: &dyn Fn(&[f32]) -> f32, x: &[f32], index: usize, h: f32) -> f32 {
    let at = |step: f32| {
        let mut moved = x.to_vec();
        moved[index] += step;
        f64::from(f(&moved))
    };
    ((at(h) - at(-h)) / (2.0 * f64::from(h))) as f32
}

pub fn worst(derived: &[f32], measured: &[f32]) -> (usize, f32) {
    let largest = derived.iter().chain(measured).fold(1e-3_f32, |largest, x| largest.max(x.abs()));
    let mut worst = (0, 0.0);
    for (index, (derived, measured)) in derived.iter().zip(measured).enumerate() {
        let error = (derived - measured).abs() / largest;
        if error.is_nan() || error > worst.1 {
            worst = (index, error);
        }
    }
    worst
}

pub fn check(layer: &dyn Fn(&[f32]) -> Vec<f32>, x: &[f32], dy: &[f32], derived: &[f32], h: f32) -> (usize, f32) {
    let loss = |x: &[f32]| layer(x).iter().zip(dy).map(|(y, dy)| y * dy).sum();
    let measured: Vec<f32> = (0..x.len()).map(|index| slope(&loss, x, index, h)).collect();
    worst(derived, &measured)
}
