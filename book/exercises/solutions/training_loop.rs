use crate::training_loop::MicroBatch;

pub fn learning_rate(step: usize, steps: usize, warmup: usize, peak: f64) -> f64 {
    if step <= warmup {
        return peak * step as f64 / warmup as f64;
    }
    let progress = (step - warmup) as f64 / (steps - warmup) as f64;
    let height = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    peak * (0.1 + 0.9 * height)
}

pub fn accumulate(batches: &[MicroBatch]) -> (f32, Vec<f32>) {
    let targets: usize = batches.iter().map(|batch| batch.targets).sum();
    let mut gradient = vec![0.0; batches[0].gradient.len()];
    for batch in batches {
        gradient.iter_mut().zip(&batch.gradient).for_each(|(sum, g)| *sum += g / targets as f32);
    }
    (batches.iter().map(|batch| batch.loss_sum).sum::<f32>() / targets as f32, gradient)
}

pub fn clip(gradient: &mut [f32], most: f32) -> f32 {
    let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
    if norm > most {
        gradient.iter_mut().for_each(|g| *g *= most / norm);
    }
    norm
}

pub fn train(
    parameters: &mut [f32],
    (steps, warmup, peak, most): (usize, usize, f64, f32),
    batches: &mut dyn FnMut(usize, &[f32]) -> Vec<MicroBatch>,
    update: &mut dyn FnMut(f64, &[f32], &mut [f32]),
) -> Result<Vec<f32>, String> {
    let mut losses = Vec::new();
    for step in 1..=steps {
        let (loss, mut gradient) = accumulate(&batches(step, parameters));
        let norm = clip(&mut gradient, most);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(format!("step {step}: the loss is {loss}, the norm of the gradient {norm}"));
        }
        losses.push(loss);
        update(learning_rate(step, steps, warmup, peak), &gradient, parameters);
    }
    Ok(losses)
}
