//! The parts of the exercise `block`.

/// A part of a block: numbers in, as many numbers out.
pub trait Part {
    /// Returns the name, for messages.
    fn name(&self) -> &'static str;
    /// Returns the output.
    fn forward(&self, x: &[f32]) -> Vec<f32>;
    /// Returns dx, the gradient with respect to the input x, from x and from dy, the gradient with respect to the output.
    fn backward(&self, x: &[f32], dy: &[f32]) -> Vec<f32>;
}
