//! Forget now, compute again on the way back.
//!
//! A graph keeps what its ways back need: of a block of a Transformer that is some thirty times its input. Where
//! memory is short, [`recompute`] keeps the input alone. What is between is computed a second time when its gradient is
//! due: a third more time for the forward pass, and memory for one block at a time in place of all of them.
//! Chen et al. 2016, <https://arxiv.org/abs/1604.06174>
//!
//! The second time is recorded as usual, on the same input and the same parameters. Its nodes are younger than all
//! that still wait, so the walk goes through them next, in the order in which it would have gone through the first
//! ones: every gradient has the same bits as without.

use super::{Array, Origin, RECORDING, Tensor, WayBack, array, with_recording};
use std::sync::{Arc, Mutex};

// ANCHOR: recompute
/// `f(x)`, of which nothing is kept but x. `results` names the tensors in it through which a gradient may flow; the
/// others are constants.
///
/// `f` must give the same numbers each time.
pub fn recompute<R: 'static>(
    x: &Tensor,
    f: impl Fn(&Tensor) -> R + Send + 'static,
    results: fn(&mut R) -> Vec<&mut Tensor>,
) -> R {
    let mut first = with_recording(false, || f(x));
    if !RECORDING.get() {
        return first;
    }
    let arrived: Arc<Mutex<Vec<Option<Array>>>> = Arc::new(Mutex::new(vec![None; results(&mut first).len()]));
    let gradients = arrived.clone();
    let value = x.value.clone();
    let again = move |inputs: &[Origin]| {
        let x = Tensor { value, origin: inputs[0].clone() };
        let mut second = with_recording(true, || f(&x));
        let gradients = gradients.lock().expect("no way back has panicked").split_off(0);
        let pairs = results(&mut second).into_iter().zip(gradients);
        pairs.filter_map(|(result, dy)| Some((result.clone(), dy?))).collect()
    };
    let all = Origin::node(vec![x.origin.clone()], WayBack::Again(Box::new(again)));
    for (i, result) in results(&mut first).into_iter().enumerate() {
        let arrived = arrived.clone();
        let arrive = move |dy| {
            arrived.lock().expect("no way back has panicked")[i] = Some(dy);
            vec![Some(array(&[0], Vec::new()))] // no number: only the sign that something has come
        };
        result.origin = Origin::node(vec![all.clone()], WayBack::Gradients(Box::new(arrive)));
    }
    first
}
// ANCHOR_END: recompute
