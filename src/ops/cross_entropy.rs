//! Cross-entropy, fused with the output projection.   loss = mean over t of  ln Σᵥ e^zₜᵥ − zₜ,target       Book: loss.md
//!
//! h (T, H), W (V, H), targets (T,) → one number, with the logits z = h·Wᵀ.  With V = 201,088 the logits of one
//! batch would be gigabytes, so they exist for one block of tokens at a time. The gradient of a block needs nothing
//! but its own logits, so it is computed while they are there, for dloss = 1, and only scaled on the way back:
//! dz = (softmax(z) − onehot)/count,  dh = dz·W,  dW = dzᵀ·h.

use crate::kernels::{self, par_gemm, parallel};
use crate::profile;
use crate::stored::Stored;
use crate::tensor::{Tensor, array, slice};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use std::sync::Arc;

/// A target that does not count: padding, or a token that another window has with more context.
pub const IGNORE: u32 = u32::MAX;

/// Logits that exist at one time: about a million (4 MB, which the caches hold), at least 64 tokens' worth.
fn block_of_tokens(vocabulary: usize) -> usize {
    ((1 << 20) / vocabulary).max(64)
}

/// dh and dW for dloss = 1.
pub struct Projected {
    /// (T, H)
    pub dh: Array2<f32>,
    /// (V, H); `None` of a frozen projection.
    pub dw: Option<Array2<f32>>,
}

/// The output projection W (V, H): numbers in memory, or a frozen weight in a file.
#[derive(Clone, Copy)]
pub enum Projection<'a> {
    /// (V, H)
    Dense(ArrayView2<'a, f32>),
    /// (V, H), which gets no gradient.
    Frozen(&'a Stored),
}

impl Projection<'_> {
    fn vocabulary(&self) -> usize {
        match self {
            Projection::Dense(w) => w.nrows(),
            Projection::Frozen(w) => w.outputs(),
        }
    }

    /// z ← h·Wᵀ
    fn logits(&self, h: ArrayView2<f32>, mut z: ArrayViewMut2<f32>) {
        match self {
            Projection::Dense(w) => par_gemm(1.0, h, w.t(), 0.0, z),
            Projection::Frozen(w) => {
                z.fill(0.0);
                w.all().apply(h, z);
            }
        }
    }

    /// dh ← dz·W, where dh comes as zeros.
    fn back(&self, dz: ArrayView2<f32>, dh: ArrayViewMut2<f32>) {
        match self {
            Projection::Dense(w) => par_gemm(1.0, dz, *w, 0.0, dh),
            Projection::Frozen(w) => w.all().apply_back(dz, dh),
        }
    }
}

/// So many products of every row of h with every row of W.
fn timer(name: &'static str, h: ArrayView2<f32>, w: Projection, products: usize) -> profile::Timer {
    let weights = match w {
        Projection::Dense(w) => 4 * w.len(),
        Projection::Frozen(w) => w.numbers().bytes(),
    };
    profile::op(name, 2 * products * h.len() * w.vocabulary(), products * weights + 8 * h.len())
}

/// The loss of each token in nats, 0 where the target is [`IGNORE`].
pub fn forward(h: ArrayView2<f32>, w: Projection, targets: &[u32]) -> Vec<f32> {
    let _timer = timer("cross-entropy", h, w, 1);
    let mut losses = vec![0.0; targets.len()];
    for_blocks(h, w, targets, |z, first, targets| {
        row_losses(z, targets, &mut losses[first..][..targets.len()], None);
    });
    losses
}

// ANCHOR: fused
/// [`forward`], and the gradient of the mean over the targets that count.
pub fn forward_backward(h: ArrayView2<f32>, w: Projection, targets: &[u32]) -> (Vec<f32>, Projected) {
    let _timer = timer("cross-entropy + ′", h, w, if matches!(w, Projection::Dense(_)) { 3 } else { 2 });
    let share = 1.0 / count(targets).max(1) as f32;
    let mut losses = vec![0.0; targets.len()];
    let mut dh = Array2::zeros(h.dim());
    let mut dw = matches!(w, Projection::Dense(_)).then(|| Array2::zeros((w.vocabulary(), h.ncols())));
    for_blocks(h, w, targets, |z, first, targets| {
        row_losses(z, targets, &mut losses[first..][..targets.len()], Some(share));
        let dz = ArrayView2::from_shape((targets.len(), w.vocabulary()), z).expect("a row per target");
        let rows = ndarray::Slice::from(first..first + targets.len());
        w.back(dz, dh.slice_axis_mut(Axis(0), rows));
        if let Some(dw) = &mut dw {
            par_gemm(1.0, dz.t(), h.slice_axis(Axis(0), rows), 1.0, dw.view_mut());
        }
    });
    (losses, Projected { dh, dw })
}
// ANCHOR_END: fused

/// How many targets count.
pub fn count(targets: &[u32]) -> usize {
    targets.iter().filter(|&&target| target != IGNORE).count()
}

// ANCHOR: block
/// Computes the logits of one block after another and hands them out with the index of the block's first token.
fn for_blocks(h: ArrayView2<f32>, w: Projection, targets: &[u32], mut f: impl FnMut(&mut [f32], usize, &[u32])) {
    assert_eq!(h.nrows(), targets.len(), "cross_entropy: {} hidden states, {} targets", h.nrows(), targets.len());
    let vocabulary = w.vocabulary();
    let block = block_of_tokens(vocabulary).min(targets.len().max(1));
    let mut logits = vec![0.0; block * vocabulary];
    for (i, targets) in targets.chunks(block).enumerate() {
        let z = &mut logits[..targets.len() * vocabulary];
        let rows = ndarray::Slice::from(i * block..i * block + targets.len());
        let z_matrix = ArrayViewMut2::from_shape((targets.len(), vocabulary), &mut *z).expect("a row per target");
        w.logits(h.slice_axis(Axis(0), rows), z_matrix);
        f(z, i * block, targets);
    }
}
// ANCHOR_END: block

// ANCHOR: row
/// The loss of each row of logits. With `share`, the logits are overwritten by dz = share·(softmax − onehot).
fn row_losses(z: &mut [f32], targets: &[u32], losses: &mut [f32], share: Option<f32>) {
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
        if let Some(share) = share {
            kernels::scale(share / total, z);
            z[target] -= share;
        }
    });
}
// ANCHOR_END: row

/// Σ of per-token losses / how many count; the sum in f64.
pub fn mean(losses: &[f32], targets: &[u32]) -> f32 {
    let total: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    (total / count(targets).max(1) as f64) as f32
}

/// The mean cross-entropy in nats of `targets` (T,) under the logits `h`·`w`ᵀ, over the targets that count.
pub fn cross_entropy(h: &Tensor, w: &Tensor, targets: &[u32]) -> Tensor {
    let needed = h.needs_grad() || w.needs_grad();
    mean_loss(h, Projection::Dense(w.matrix()), targets, needed, &[h, w])
}

/// [`cross_entropy`] under a frozen projection.
pub fn cross_entropy_frozen(h: &Tensor, w: &Arc<Stored>, targets: &[u32]) -> Tensor {
    mean_loss(h, Projection::Frozen(w), targets, h.needs_grad(), &[h])
}

fn mean_loss(h: &Tensor, w: Projection, targets: &[u32], needed: bool, inputs: &[&Tensor]) -> Tensor {
    if !needed {
        return Tensor::constant(array(&[1], vec![mean(&forward(h.matrix(), w, targets), targets)]));
    }
    let (losses, Projected { dh, dw }) = forward_backward(h.matrix(), w, targets);
    let h_shape = h.shape().to_vec();
    Tensor::from_op(array(&[1], vec![mean(&losses, targets)]), inputs, || {
        Box::new(move |dy| {
            let scaled = |gradient: Array2<f32>, shape: &[usize]| {
                let mut numbers = gradient.into_raw_vec_and_offset().0;
                let dy = slice(&dy)[0];
                if dy != 1.0 {
                    parallel::for_chunks(&mut numbers, 1 << 16, |_, piece| kernels::scale(dy, piece));
                }
                Some(array(shape, numbers))
            };
            let dw = dw.and_then(|dw| {
                let shape = [dw.nrows(), dw.ncols()];
                scaled(dw, &shape)
            });
            vec![scaled(dh, &h_shape), dw]
        })
    })
}
