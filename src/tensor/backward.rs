//! The backward pass: from a result to the gradient with respect to every parameter.

use super::{Array, BackwardStep, Node, Origin, Tensor, array, slice};
use crate::kernels;
use crate::profile;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

/// Reads two arrays and writes one.
const SUM: profile::Op = profile::Op::per_number("gradient sums", 1, 12);

/// The gradients with respect to the parameters, from one or more backward passes.
#[derive(Default)]
pub struct Gradients {
    by_id: HashMap<u64, Array>,
    open: HashMap<u64, usize>, // how many uses of each parameter the backward pass has not visited yet
}

impl Gradients {
    /// Returns the gradient with respect to a parameter, in its shape; `None` if the result does not depend on it.
    pub fn get(&self, parameter: &Tensor) -> Option<&Array> {
        self.by_id.get(&parameter.id()?)
    }

    /// Returns whether a backward pass that is still going on has computed the whole gradient with respect to a parameter. This is
    /// never the case for a parameter that is only used where [`recompute`](super::recompute) repeats the forward pass.
    pub fn is_complete(&self, parameter: &Tensor) -> bool {
        parameter.id().is_some_and(|id| self.open.get(&id) == Some(&0))
    }

    /// Like [`get`](Self::get), to be changed in place.
    pub fn get_mut(&mut self, parameter: &Tensor) -> Option<&mut [f32]> {
        self.by_id.get_mut(&parameter.id()?)?.as_slice_mut()
    }

    /// Adds the gradients of another backward pass to these: gradient accumulation over micro-batches.
    pub fn accumulate(&mut self, other: Gradients) {
        for (id, gradient) in other.by_id {
            self.add(id, gradient);
        }
    }

    /// Notes that the backward pass has visited a use of a parameter.
    fn visited(&mut self, input: &Origin) {
        if let Origin::Parameter(id) = input
            && let Some(uses) = self.open.get_mut(id)
        {
            *uses -= 1;
        }
    }

    /// Adds a gradient to the sum for `id`. Returns true if it is the first one.
    fn add(&mut self, id: u64, gradient: Array) -> bool {
        match self.by_id.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(gradient);
                true
            }
            Entry::Occupied(mut entry) => {
                let total = entry.get_mut();
                let _timer = SUM.start(total.len());
                assert_eq!(total.shape(), gradient.shape(), "two gradients of one tensor differ in shape");
                let piece = 1 << 16;
                let addend = slice(&gradient);
                let total = total.as_slice_mut().expect("gradients are row-major");
                kernels::parallel::for_chunks(total, piece, |i, total| {
                    kernels::axpy(1.0, &addend[i * piece..][..total.len()], total);
                });
                false
            }
        }
    }
}

/// Counts how often each parameter is used in a graph, except where a part of it is computed again.
fn uses(result: &Origin) -> HashMap<u64, usize> {
    let (mut uses, mut seen, mut pending) = (HashMap::new(), HashSet::new(), vec![result.clone()]);
    while let Some(origin) = pending.pop() {
        match origin {
            Origin::Constant => {}
            Origin::Parameter(id) => *uses.entry(id).or_default() += 1,
            Origin::Node(node) if seen.insert(node.id) => {
                let record = node.record.lock().expect("no backward function has panicked");
                pending.extend(record.iter().flat_map(|record| record.inputs.iter().cloned()));
            }
            Origin::Node(_) => {}
        }
    }
    uses
}

/// Orders the heap of waiting nodes by id, so that the youngest node comes first.
struct Youngest(Arc<Node>);

impl Ord for Youngest {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.id.cmp(&other.0.id)
    }
}
impl PartialOrd for Youngest {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Youngest {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}
impl Eq for Youngest {}

impl Tensor {
    // ANCHOR: backward
    /// Computes the gradient of this number with respect to every parameter that it depends on.
    ///
    /// The next node to visit is always the youngest one that waits. Everything that was computed from it is younger
    /// and has been visited, so its gradient is complete. The pass frees the graph; a second call panics.
    pub fn backward(&self) -> Gradients {
        self.backward_observed(&mut |_| {})
    }

    /// Like [`backward`](Self::backward), and calls `observe` with the gradients so far after each node.
    pub fn backward_observed(&self, observe: &mut dyn FnMut(&Gradients)) -> Gradients {
        assert_eq!(self.value().len(), 1, "backward() starts at one number, not at shape {:?}", self.shape());
        let mut gradients = Gradients { open: uses(&self.origin), ..Gradients::default() };
        let mut waiting = BinaryHeap::new();
        let deliver = |gradients: &mut Gradients, waiting: &mut BinaryHeap<_>, to: Origin, gradient: Array| match to {
            Origin::Constant => {}
            Origin::Parameter(id) => _ = gradients.add(id, gradient),
            Origin::Node(node) => {
                if gradients.add(node.id, gradient) {
                    waiting.push(Youngest(node));
                }
            }
        };
        deliver(&mut gradients, &mut waiting, self.origin.clone(), array(self.shape(), vec![1.0]));
        while let Some(Youngest(node)) = waiting.pop() {
            let record = node.record.lock().expect("no backward function has panicked").take();
            let record = record.expect("backward() was already called on this graph, which freed it");
            let dy = gradients.by_id.remove(&node.id).expect("a waiting node has a gradient");
            match record.step {
                BackwardStep::Gradients(backward) => {
                    for (input, dx) in record.inputs.into_iter().zip(backward(dy)) {
                        gradients.visited(&input);
                        if let Some(dx) = dx {
                            deliver(&mut gradients, &mut waiting, input, dx);
                        }
                    }
                }
                BackwardStep::Recompute(compute) => {
                    for (result, dy) in compute(&record.inputs) {
                        deliver(&mut gradients, &mut waiting, result.origin, dy);
                    }
                }
            }
            observe(&gradients);
        }
        gradients
    }
    // ANCHOR_END: backward
}
