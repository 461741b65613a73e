//! Looking inside a model.

use super::{Activation, Transformer};
use ndarray::ArrayView2;

impl Transformer {
    /// Returns the attention of every head of layer `layer` on one sequence of tokens (T,): (N, T, T + 1). Row t of a head has
    /// a probability for each token and, in the last column, one for the sink.
    ///
    /// Panics if there is no such layer, and as [`forward`](Self::forward) does.
    pub fn attention_probabilities(&self, tokens: &[u32], layer: usize) -> Vec<f32> {
        let input = layer.checked_sub(1).map_or(Activation::Embedding, Activation::Output);
        let row = ArrayView2::from_shape((1, tokens.len()), tokens).expect("one row");
        let mut found = None;
        self.forward_observed(row, &mut [], &mut |activation, tensor| {
            if activation == input {
                found = Some(tensor.detach());
            }
        });
        let x = found.expect("every layer has an input");
        self.blocks[layer].attention_probabilities(&x, &self.rotary.angles(0..tokens.len()))
    }
}
