//! The parts of a training loop. The chapter: training.md.

/// A part of a batch. A *target* is a token that the model has to predict. A micro-batch has the sum of the losses of its
/// targets, the gradient of this sum, and the number of targets.
#[derive(Debug, Clone, PartialEq)]
pub struct MicroBatch {
    pub loss_sum: f32,
    pub gradient: Vec<f32>,
    pub targets: usize,
}

/// Returns the learning rate of a step. Steps are counted from 1. The rate rises along a straight line to `peak` over the first
/// `warmup` steps, and then falls along half a cosine to a tenth of the peak at step `steps`.
pub fn learning_rate(step: usize, steps: usize, warmup: usize, peak: f64) -> f64 {
    todo!("step {step} of {steps}, {warmup} of warm-up, peak {peak}")
}

/// Returns the mean loss over all targets of some micro-batches, and its gradient, as if they were one batch. Micro-batches can
/// have different numbers of targets.
pub fn accumulate(batches: &[MicroBatch]) -> (f32, Vec<f32>) {
    todo!("the mean loss and the gradient of {} micro-batches", batches.len())
}

/// Scales a gradient down if its norm √(Σ g²) is more than `most`, so that its norm becomes `most`. Returns the norm before
/// scaling.
pub fn clip(gradient: &mut [f32], most: f32) -> f32 {
    todo!("{} numbers with a norm of at most {most}", gradient.len())
}

/// Runs `steps` training steps, counted from 1. In each step, calls `batches` with the step and the parameters to get
/// micro-batches and their gradients, accumulates them, clips the gradient to the norm `most`, and calls `update` with the
/// learning rate, the gradient and the parameters. `warmup` and `peak` are arguments of [`learning_rate`]. Returns the loss of
/// each step, measured before its update.
///
/// # Errors
/// Returns an error if a loss or a gradient is not finite. The parameters keep the values from before this step.
pub fn train(
    parameters: &mut [f32],
    (steps, warmup, peak, most): (usize, usize, f64, f32),
    batches: &mut dyn FnMut(usize, &[f32]) -> Vec<MicroBatch>,
    update: &mut dyn FnMut(f64, &[f32], &mut [f32]),
) -> Result<Vec<f32>, String> {
    _ = (batches, update);
    todo!("{steps} steps, {warmup} {peak} {most}, {} parameters", parameters.len())
}
