//! Gradient checkpointing: forget intermediate results in the forward pass, and compute them again in the backward pass.
//!
//! A graph keeps the arrays that its backward functions need. For a block of a Transformer these are some thirty times
//! the size of its input. If memory is short, [`recompute`] keeps only the input and repeats the forward pass of the
//! block when its gradient is due. That costs about a third more time in the forward pass, and the graph of one block
//! is in memory at a time instead of the graphs of all.
//! Chen et al. 2016, <https://arxiv.org/abs/1604.06174>
//!
//! The repeated pass is recorded as usual, on the same input and the same parameters. Its nodes are younger than all
//! that still wait, so the backward pass visits them next, in the order in which it would have visited the original
//! ones. Every gradient therefore has the same bits as without recomputation.

use super::{Array, BackwardStep, Origin, Tensor, array};
use std::sync::{Arc, Mutex};

// ANCHOR: recompute
/// Computes a function of `x` and keeps only `x` for the backward pass.
///
/// `first` computes the results now, without recording: it uses detached parameters. `again` computes the same numbers
/// from the trainable parameters during the backward pass. `results` names the tensors in `R` through which gradients
/// flow; the other tensors in it are constants. If `x` needs no gradient, `again` runs at once and is recorded as usual.
pub fn recompute<R: 'static>(
    x: &Tensor,
    first: impl FnOnce(&Tensor) -> R,
    again: impl FnOnce(&Tensor) -> R + Send + 'static,
    results: fn(&mut R) -> Vec<&mut Tensor>,
) -> R {
    if !x.needs_grad() {
        return again(x);
    }
    let mut first = first(&x.detach());
    let arrived: Arc<Mutex<Vec<Option<Array>>>> = Arc::new(Mutex::new(vec![None; results(&mut first).len()]));
    let gradients = arrived.clone();
    let value = x.value.clone();
    let again = move |inputs: &[Origin]| {
        let x = Tensor { value, origin: inputs[0].clone() };
        let mut second = again(&x);
        let gradients = gradients.lock().expect("no backward function has panicked").split_off(0);
        let pairs = results(&mut second).into_iter().zip(gradients);
        pairs.filter_map(|(result, dy)| Some((result.clone(), dy?))).collect()
    };
    let all = Origin::node(vec![x.origin.clone()], BackwardStep::Recompute(Box::new(again)));
    for (i, result) in results(&mut first).into_iter().enumerate() {
        let arrived = arrived.clone();
        let arrive = move |dy| {
            arrived.lock().expect("no backward function has panicked")[i] = Some(dy);
            vec![Some(array(&[0], Vec::new()))] // an empty array: it only signals that a gradient has arrived
        };
        result.origin = Origin::node(vec![all.clone()], BackwardStep::Gradients(Box::new(arrive)));
    }
    first
}
// ANCHOR_END: recompute
