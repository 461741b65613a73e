use ossia::train::adamw::Hyperparameters;

pub fn step(
    settings: &Hyperparameters,
    t: i32,
    lr: f64,
    gradient: &[f32],
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    let Hyperparameters { beta1, beta2, epsilon, weight_decay, .. } = *settings;
    for (((g, w), m), v) in gradient.iter().map(|&g| f64::from(g)).zip(w).zip(m).zip(v) {
        *m = (beta1 * f64::from(*m) + (1.0 - beta1) * g) as f32;
        *v = (beta2 * f64::from(*v) + (1.0 - beta2) * g * g) as f32;
        // Both start at zero, so their first values are too small by a known factor.
        let (mean, square) = (f64::from(*m) / (1.0 - beta1.powi(t)), f64::from(*v) / (1.0 - beta2.powi(t)));
        // The decay is not a part of the gradient. Otherwise it would be divided by √v as well.
        *w = (f64::from(*w) * (1.0 - lr * weight_decay) - lr * mean / (square.sqrt() + epsilon)) as f32;
    }
}
