
/// Updates one parameter with your function.
fn yours_step(
    settings: &Hyperparameters,
    step: &crate::kernels::AdamWStep,
    role: Role,
    t: i32,
    lr: f64,
    gradient: &[f32],
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    let weight_decay = if decays(role) { settings.weight_decay } else { 0.0 };
    let settings = Hyperparameters { weight_decay, ..settings.clone() };
    let clipped: Vec<f32> = gradient.iter().map(|g| g * step.gradient_scale).collect();
    yours::step(&settings, t, lr, &clipped, w, m, v);
}
