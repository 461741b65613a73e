//! Fake quantization: a weight takes the values that it would have in MXFP4, and stays f32.   Q(W) = decode(encode(W))
//!
//! The derivative of a step function is 0 almost everywhere, so nothing could be learned through it. The backward pass uses the
//! *straight-through estimator* instead, which treats Q as the identity: dW = dQ.
//!
//! w (E, in, out) → (E, in, out). Blocks of 32 numbers that share a scale lie along the inputs, as in a file.
//!
//! Bengio, Léonard and Courville 2013, Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation,
//! <https://arxiv.org/abs/1308.3432>
//!
//! Book: [qat](../../../../book/qat.html)

use crate::kernels::parallel;
use crate::mxfp4::{BLOCK, round};
use crate::profile;
use crate::tensor::{Tensor, array};

const ROUND: profile::Op = profile::Op::per_number("round to mxfp4", 1, 8);

// ANCHOR: forward
/// Returns Q(W) of stacked experts (E, in, out), row by row. Panics if `inputs` is not a multiple of 32.
pub fn forward(w: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    assert!(inputs.is_multiple_of(BLOCK), "{inputs} inputs are not whole blocks of {BLOCK}");
    // 32 rows have one block per column.
    parallel::build(w.len(), BLOCK * outputs, |i, y| {
        let rows = &w[i * BLOCK * outputs..][..BLOCK * outputs];
        for column in 0..outputs {
            let block: [f32; BLOCK] = std::array::from_fn(|row| rows[row * outputs + column]);
            round(&block).iter().zip(y[column..].iter_mut().step_by(outputs)).for_each(|(&q, y)| *y = q);
        }
    })
}
// ANCHOR_END: forward

// ANCHOR: tensor
/// Fake quantization of a tensor, with the straight-through estimator: w (E, in, out) → (E, in, out).
pub fn fake_quantize(w: &Tensor) -> Tensor {
    let &[_, inputs, outputs] = w.shape() else { panic!("stacked experts have three dimensions, not {:?}", w.shape()) };
    let _timer = ROUND.start(w.data().len());
    let y = array(w.shape(), forward(w.data(), inputs, outputs));
    Tensor::from_op(y, &[w], || Box::new(|dy| vec![Some(dy)]))
}
// ANCHOR_END: tensor
