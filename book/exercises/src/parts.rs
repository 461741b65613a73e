//! The parts from which the exercise `block` is made.

/// A part of a block: numbers in, as many numbers out.
pub trait Part {
    /// The name, for messages.
    fn name(&self) -> &'static str;
    /// Returns the output.
    fn forward(&self, x: &[f32]) -> Vec<f32>;
    /// Returns dx from the input x and the gradient of the output.
    fn backward(&self, x: &[f32], dy: &[f32]) -> Vec<f32>;
}
