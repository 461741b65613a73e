//! Quantization-aware training: experts compute with the values that they will have in MXFP4.   y = x·Q(W) + b
//!
//! The optimizer updates W, which stays f32; [`fake_quantize`](crate::ops::fake_quantize) has the gradient.
//!
//! Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
//! <https://arxiv.org/abs/1712.05877>
//!
//! Book: [qat](../../../../book/qat.html)

use super::{Layer, Weight};
use serde::{Deserialize, Serialize};

/// The format whose values a model computes with while it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuantizedFormat {
    /// Experts in MXFP4. The rest computes in f32, and is rounded to bf16 at the end.
    Mxfp4,
}

// ANCHOR: qat
/// Lets the experts of a model compute with their values in MXFP4 from now on. Experts in a file keep their format.
pub fn attach(model: &mut impl Layer) {
    model.visit_weights(&mut Weight::fake_quantize);
}

/// Returns a frozen copy with the numbers that `ossia quantize` writes: experts in MXFP4, the rest in bf16. It computes the same
/// bits as the model that is read from the file.
pub fn quantized<M: Layer + Clone>(model: &M) -> M {
    let mut copy = model.clone();
    copy.parameters_mut().into_iter().for_each(|parameter| parameter.quantize());
    copy
}
// ANCHOR_END: qat
