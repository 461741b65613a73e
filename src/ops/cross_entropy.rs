//! Cross-entropy, fused with the output projection.   loss = mean over t of  ln Σᵥ e^zₜᵥ − zₜ,target
//!
//! h (T, H), W (V, H), targets (T,) → one number, with the logits z = h·Wᵀ.  With V = 201,088 the logits of one
//! batch would be gigabytes, so they are computed for one block of tokens at a time. The gradient of a block needs only
//! the logits of that block, so it is computed in the forward pass, for dloss = 1, and the backward pass only scales it:
//! dz = (softmax(z) − onehot)/count,  dh = dz·W,  dW = dzᵀ·h.
//!
//! [`weighted_cross_entropy`] has a weight per token instead of 1/count: reinforcement learning makes some tokens more
//! probable, and others less.
//!
//! Book: [loss](../../../../book/loss.html)

use crate::kernels::{self, par_gemm, parallel};
use crate::parameter::Value;
use crate::profile;
use crate::tensor::{Tensor, array, slice};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

/// A target that does not count: padding, or a token that another window predicts with more context.
pub const IGNORE: u32 = u32::MAX;

/// Returns how many tokens make a block: about a million logits (4 MB, which the caches hold), and at least 64 tokens.
fn block_of_tokens(vocabulary: usize) -> usize {
    ((1 << 20) / vocabulary).max(64)
}

/// The gradients for dloss = 1.
pub struct Projected {
    /// (T, H)
    pub dh: Array2<f32>,
    /// (V, H); `None` for a frozen projection.
    pub dw: Option<Array2<f32>>,
    /// du (T, r) and db (V, r) of a correction u·bᵀ.
    pub correction: Option<[Array2<f32>; 2]>,
}

/// A correction of the logits, u·bᵀ: u (T, r), b (V, r).
type Correction<'c> = Option<[ArrayView2<'c, f32>; 2]>;

/// Starts the timer of `products` products of all rows of h with W; h is read and dh written once.
fn timer(name: &'static str, h: ArrayView2<f32>, w: &Value, products: usize) -> profile::Timer {
    profile::op(name, 2 * products * h.len() * w.outputs(), products * w.bytes() + 8 * h.len())
}

/// Returns the loss of each token in nats; 0 if the target is [`IGNORE`].
pub fn forward(h: ArrayView2<f32>, w: &Value, targets: &[u32]) -> Vec<f32> {
    losses_of(h, w, None, targets)
}

fn losses_of(h: ArrayView2<f32>, w: &Value, correction: Correction, targets: &[u32]) -> Vec<f32> {
    let _timer = timer("cross-entropy", h, w, 1);
    let mut losses = vec![0.0; targets.len()];
    for_blocks(h, w, correction, targets, |z, first, targets| {
        row_losses(z, targets, &mut losses[first..][..targets.len()], None);
    });
    losses
}

// ANCHOR: fused
/// Like [`forward`], and also computes the gradients of the mean over the targets that count. dW is computed only for a
/// trainable projection.
pub fn forward_backward(h: ArrayView2<f32>, w: &Value, targets: &[u32]) -> (Vec<f32>, Projected) {
    with_gradients(h, w, None, targets, Weights::Mean)
}

fn with_gradients(
    h: ArrayView2<f32>,
    w: &Value,
    correction: Correction,
    targets: &[u32],
    weights: Weights,
) -> (Vec<f32>, Projected) {
    let w_needs = w.tensor().is_some_and(Tensor::needs_grad);
    let _timer = timer("cross-entropy + ′", h, w, if w_needs { 3 } else { 2 });
    let share = 1.0 / count(targets).max(1) as f32;
    let weight = |t: usize| match weights {
        Weights::Mean => share,
        Weights::PerToken(weights) => weights[t],
    };
    let mut losses = vec![0.0; targets.len()];
    let mut dh = Array2::zeros(h.dim());
    let mut dw = w_needs.then(|| Array2::zeros((w.outputs(), h.ncols())));
    let mut corrected = correction.map(|factors| factors.map(|factor| Array2::zeros(factor.dim())));
    for_blocks(h, w, correction, targets, |z, first, targets| {
        row_losses(z, targets, &mut losses[first..][..targets.len()], Some(&|t| weight(first + t)));
        let dz = ArrayView2::from_shape((targets.len(), w.outputs()), z).expect("a row per target");
        let rows = ndarray::Slice::from(first..first + targets.len());
        w.backpropagate(dz, dh.slice_axis_mut(Axis(0), rows));
        if let Some(dw) = &mut dw {
            par_gemm(1.0, dz.t(), h.slice_axis(Axis(0), rows), 1.0, dw.view_mut());
        }
        if let Some(([u, b], [du, db])) = correction.zip(corrected.as_mut()) {
            par_gemm(1.0, dz, b, 0.0, du.slice_axis_mut(Axis(0), rows));
            par_gemm(1.0, dz.t(), u.slice_axis(Axis(0), rows), 1.0, db.view_mut());
        }
    });
    (losses, Projected { dh, dw, correction: corrected })
}
// ANCHOR_END: fused

/// Returns how many targets count.
pub fn count(targets: &[u32]) -> usize {
    targets.iter().filter(|&&target| target != IGNORE).count()
}

// ANCHOR: block
/// Computes the logits of one block of tokens after another and calls `f` with them, the index of the block's first
/// token, and the targets of the block.
fn for_blocks(
    h: ArrayView2<f32>,
    w: &Value,
    correction: Correction,
    targets: &[u32],
    mut f: impl FnMut(&mut [f32], usize, &[u32]),
) {
    assert_eq!(h.nrows(), targets.len(), "cross_entropy: {} hidden states, {} targets", h.nrows(), targets.len());
    let vocabulary = w.outputs();
    let block = block_of_tokens(vocabulary).min(targets.len().max(1));
    let mut logits = vec![0.0; block * vocabulary];
    for (i, targets) in targets.chunks(block).enumerate() {
        let z = &mut logits[..targets.len() * vocabulary];
        let rows = ndarray::Slice::from(i * block..i * block + targets.len());
        let mut z_matrix = ArrayViewMut2::from_shape((targets.len(), vocabulary), &mut *z).expect("a row per target");
        w.multiply(h.slice_axis(Axis(0), rows), z_matrix.view_mut());
        if let Some([u, b]) = correction {
            par_gemm(1.0, u.slice_axis(Axis(0), rows), b.t(), 1.0, z_matrix);
        }
        f(z, i * block, targets);
    }
}
// ANCHOR_END: block

// ANCHOR: row
/// Computes the loss of each row of logits. With `weight`, the weight of each row, overwrites the logits with their gradient:
/// dz = weight·p, minus the weight at the target.
fn row_losses(z: &mut [f32], targets: &[u32], losses: &mut [f32], weight: Option<&(dyn Fn(usize) -> f32 + Sync)>) {
    let vocabulary = z.len() / targets.len();
    parallel::for_chunks2(z, vocabulary, losses, 1, |t, z, loss| {
        if targets[t] == IGNORE {
            z.fill(0.0);
            return;
        }
        let target = targets[t] as usize;
        let (largest, z_target) = (kernels::max(z), z[target]);
        let total = kernels::exp_sum(z, largest);
        loss[0] = total.ln() + largest - z_target;
        if let Some(weight) = weight.map(|weight| weight(t)) {
            kernels::scale(weight / total, z);
            z[target] -= weight;
        }
    });
}
// ANCHOR_END: row

/// What the losses of tokens are multiplied by before they are added.
#[derive(Clone, Copy)]
enum Weights<'w> {
    /// 1/count, for the mean.
    Mean,
    /// A weight per token. (T,)
    PerToken(&'w [f32]),
}

impl Weights<'_> {
    /// Returns the weighted sum of the losses. The sum is taken in f64.
    fn sum(self, losses: &[f32], targets: &[u32]) -> f32 {
        let losses = losses.iter().map(|&loss| f64::from(loss));
        match self {
            Weights::Mean => (losses.sum::<f64>() / count(targets).max(1) as f64) as f32,
            Weights::PerToken(w) => losses.zip(w).map(|(loss, &w)| loss * f64::from(w)).sum::<f64>() as f32,
        }
    }
}

/// Returns Σ of the losses per token divided by how many targets count. The sum is taken in f64.
pub fn mean(losses: &[f32], targets: &[u32]) -> f32 {
    Weights::Mean.sum(losses, targets)
}

/// The mean cross-entropy in nats of `targets` (T,) given the logits `h`·`w`ᵀ, over the targets that count. `w` (V, H) is
/// a tensor, or a parameter that may be stored in a file.
pub fn cross_entropy(h: &Tensor, w: impl Into<Value>, targets: &[u32]) -> Tensor {
    corrected(h, &w.into(), None, targets, Weights::Mean)
}

/// Like [`cross_entropy`], with the logits `h`·`w`ᵀ + `u`·`b`ᵀ: u (T, r), b (V, r).
pub fn cross_entropy_corrected(
    h: &Tensor,
    w: impl Into<Value>,
    correction: (&Tensor, &Tensor),
    targets: &[u32],
) -> Tensor {
    corrected(h, &w.into(), Some(correction), targets, Weights::Mean)
}

/// Returns the loss of each token in nats, without a gradient; 0 if the target is [`IGNORE`].
pub fn token_losses(
    h: &Tensor,
    w: impl Into<Value>,
    correction: Option<(&Tensor, &Tensor)>,
    targets: &[u32],
) -> Vec<f32> {
    losses_of(h.matrix(), &w.into(), correction.map(|(u, b)| [u.matrix(), b.matrix()]), targets)
}

/// The sum Σ weightₜ·lossₜ over the targets that count, of the logits `h`·`w`ᵀ (+ `u`·`b`ᵀ with a correction). The weights (T,) are
/// constants.
pub fn weighted_cross_entropy(
    h: &Tensor,
    w: impl Into<Value>,
    correction: Option<(&Tensor, &Tensor)>,
    targets: &[u32],
    weights: &[f32],
) -> Tensor {
    assert_eq!(weights.len(), targets.len(), "a weight per target");
    corrected(h, &w.into(), correction, targets, Weights::PerToken(weights))
}

fn corrected(
    h: &Tensor,
    w: &Value,
    correction: Option<(&Tensor, &Tensor)>,
    targets: &[u32],
    weights: Weights,
) -> Tensor {
    let factors: Vec<&Tensor> = correction.into_iter().flat_map(|(u, b)| [u, b]).collect();
    let inputs: Vec<&Tensor> = [Some(h), w.tensor()].into_iter().flatten().chain(factors).collect();
    let views = correction.map(|(u, b)| [u.matrix(), b.matrix()]);
    if !inputs.iter().any(|input| input.needs_grad()) {
        return Tensor::constant(array(&[1], vec![weights.sum(&losses_of(h.matrix(), w, views, targets), targets)]));
    }
    let (losses, Projected { dh, dw, correction }) = with_gradients(h.matrix(), w, views, targets, weights);
    let (h_shape, has_w) = (h.shape().to_vec(), w.tensor().is_some());
    Tensor::from_op(array(&[1], vec![weights.sum(&losses, targets)]), &inputs, || {
        Box::new(move |dy| {
            let scaled = |gradient: Array2<f32>, shape: &[usize]| {
                let mut numbers = gradient.into_raw_vec_and_offset().0;
                let dy = slice(&dy)[0];
                if dy != 1.0 {
                    parallel::for_chunks(&mut numbers, 1 << 16, |_, piece| kernels::scale(dy, piece));
                }
                Some(array(shape, numbers))
            };
            let matrix = |gradient: Array2<f32>| {
                let shape = [gradient.nrows(), gradient.ncols()];
                scaled(gradient, &shape)
            };
            let of_w = has_w.then(|| dw.and_then(matrix));
            let of_factors = correction.into_iter().flatten().map(matrix);
            [Some(scaled(dh, &h_shape)), of_w].into_iter().flatten().chain(of_factors).collect()
        })
    })
}
