//! The walk from a result back to the parameters.

use super::{Array, Node, Origin, Tensor, WayBack, array, slice};
use crate::kernels;
use crate::profile;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// The gradients that one or more ways back have given to the parameters, by parameter.
#[derive(Default)]
pub struct Gradients {
    by_id: HashMap<u64, Array>,
}

impl Gradients {
    /// The gradient of a parameter, in its shape; `None` if it had no part in the result.
    pub fn get(&self, parameter: &Tensor) -> Option<&Array> {
        self.by_id.get(&parameter.id()?)
    }

    /// The same, in place.
    pub fn get_mut(&mut self, parameter: &Tensor) -> Option<&mut [f32]> {
        self.by_id.get_mut(&parameter.id()?)?.as_slice_mut()
    }

    /// Adds another way back's gradients to these: gradient accumulation over micro-batches.
    pub fn accumulate(&mut self, other: Gradients) {
        for (id, gradient) in other.by_id {
            self.add(id, gradient);
        }
    }

    /// Adds to the sum so far; true if this is the first.
    fn add(&mut self, id: u64, gradient: Array) -> bool {
        match self.by_id.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(gradient);
                true
            }
            Entry::Occupied(mut entry) => {
                let total = entry.get_mut();
                let _timer = profile::op("gradient sums", total.len(), 12 * total.len());
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

/// Younger nodes first.
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
    /// The gradient of this number with respect to every parameter that it was computed from.
    ///
    /// The youngest node that waits is the next one: everything that was computed from it is younger still and has
    /// therefore been visited, so its gradient is complete. The graph is freed on the way; a second call panics.
    pub fn backward(&self) -> Gradients {
        assert_eq!(self.value().len(), 1, "backward() starts at one number, not at shape {:?}", self.shape());
        let mut gradients = Gradients::default();
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
            let record = node.record.lock().expect("no way back has panicked").take();
            let record = record.expect("backward() was already called on this graph, which freed it");
            let dy = gradients.by_id.remove(&node.id).expect("a waiting node has a gradient");
            match record.way_back {
                WayBack::Gradients(backward) => {
                    for (input, dx) in record.inputs.into_iter().zip(backward(dy)) {
                        if let Some(dx) = dx {
                            deliver(&mut gradients, &mut waiting, input, dx);
                        }
                    }
                }
                WayBack::Again(compute) => {
                    for (result, dy) in compute(&record.inputs) {
                        deliver(&mut gradients, &mut waiting, result.origin, dy);
                    }
                }
            }
        }
        gradients
    }
    // ANCHOR_END: backward
}
