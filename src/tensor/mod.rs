//! Arrays that record how they were computed, and reverse-mode differentiation.
//!
//! A [`Tensor`] is an `f32` array. If it was computed from something trainable, it also has a node: the inputs of the
//! operation, and a closure that turns the gradient of the result into the gradients of those inputs. Each node
//! carries its own backward function, so there is no central table of operations.
//! [`Tensor::backward`] visits the nodes from the last to the first.
//!
//! Four rules keep it small:
//! - Values never change. An optimizer replaces the value of a parameter between two passes.
//! - An operation is recorded exactly if one of its inputs needs a gradient. There is no global or per-thread switch:
//!   to run a model without recording, run it on detached parameters (see [`Tensor::detach`]).
//! - A closure keeps the arrays that it needs, never tensors, so that links between nodes are in one place.
//! - Ids only grow. A node has a higher id than its inputs, so descending ids are a valid order for the backward pass.
//!
//! Book: [tensor](../../../book/tensor.html)

mod backward;
mod grad_check;
mod recompute;

pub use backward::Gradients;
pub use grad_check::{GradCheck, grad_check};
pub use recompute::recompute;

use ndarray::{ArcArray, ArrayView2, IxDyn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A shared `f32` array of any number of dimensions, in row-major order. Cloning it copies no numbers.
pub type Array = ArcArray<f32, IxDyn>;

/// Turns the gradient with respect to a node's result into the gradients with respect to its inputs, in their order.
/// An entry is `None` if that input needs no gradient.
pub type Backward = Box<dyn FnOnce(Array) -> Vec<Option<Array>> + Send>;

// ANCHOR: tensor
/// An array, and how it was computed.
#[derive(Clone)]
pub struct Tensor {
    value: Array,
    origin: Origin,
}

/// A record of how a value was computed.
#[derive(Clone)]
enum Origin {
    /// From nothing trainable: it needs no gradient.
    Constant,
    /// It is a parameter with this id: backpropagation ends here and keeps the gradient.
    Parameter(u64),
    /// By an operation with at least one input that needs a gradient.
    Node(Arc<Node>),
}

/// A recorded operation. The backward pass takes the record out, which frees the arrays that the closure kept.
struct Node {
    id: u64,
    record: Mutex<Option<Record>>,
}

struct Record {
    inputs: Vec<Origin>,
    step: BackwardStep,
}

/// The step that the backward pass takes at a node once the gradient with respect to its result is complete.
enum BackwardStep {
    /// Computes the gradients with respect to the inputs.
    Gradients(Backward),
    /// Repeats a part of the forward pass that was not recorded, this time recording it, and returns its results, each
    /// with the gradient that has arrived for it. See [`recompute`].
    Recompute(Box<Recompute>),
}

type Recompute = dyn FnOnce(&[Origin]) -> Vec<(Tensor, Array)> + Send;
// ANCHOR_END: tensor

impl Origin {
    fn node(inputs: Vec<Origin>, step: BackwardStep) -> Self {
        let record = Mutex::new(Some(Record { inputs, step }));
        Origin::Node(Arc::new(Node { id: next_id(), record }))
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Tensor {
    /// Creates a tensor that needs no gradient: data, a mask, a table.
    pub fn constant(value: impl Into<Array>) -> Self {
        Self { value: row_major(value.into()), origin: Origin::Constant }
    }

    /// Creates a trainable tensor: [`Tensor::backward`] computes a gradient with respect to it.
    pub fn parameter(value: impl Into<Array>) -> Self {
        Self { value: row_major(value.into()), origin: Origin::Parameter(next_id()) }
    }

    /// Creates the result of an operation on `inputs`. `backward` is called only if one of them needs a gradient; it
    /// returns the closure that the backward pass runs.
    pub fn from_op(value: impl Into<Array>, inputs: &[&Tensor], backward: impl FnOnce() -> Backward) -> Self {
        let value = row_major(value.into());
        if !inputs.iter().any(|input| input.needs_grad()) {
            return Self { value, origin: Origin::Constant };
        }
        let inputs = inputs.iter().map(|input| input.origin.clone()).collect();
        Self { value, origin: Origin::node(inputs, BackwardStep::Gradients(backward())) }
    }

    /// Returns whether the backward pass needs a gradient with respect to this tensor: it is a parameter, or was
    /// computed from one.
    pub fn needs_grad(&self) -> bool {
        !matches!(self.origin, Origin::Constant)
    }

    /// Returns the array.
    pub fn value(&self) -> &Array {
        &self.value
    }

    /// Returns the numbers in row-major order.
    pub fn data(&self) -> &[f32] {
        slice(&self.value)
    }

    /// Returns the length of each dimension.
    pub fn shape(&self) -> &[usize] {
        self.value.shape()
    }

    /// Returns the numbers as a matrix: all dimensions except the last count as rows.
    pub fn matrix(&self) -> ArrayView2<'_, f32> {
        matrix(&self.value)
    }

    /// Returns the number of a tensor that has one element. Panics if it has more.
    pub fn item(&self) -> f32 {
        assert_eq!(self.value.len(), 1, "item() of a tensor of shape {:?}", self.shape());
        self.data()[0]
    }

    /// Returns the same numbers as a constant. No gradient flows through the result, and operations on it are not
    /// recorded on its account. Copies no numbers.
    pub fn detach(&self) -> Self {
        Self { value: self.value.clone(), origin: Origin::Constant }
    }

    /// Returns the numbers of a parameter to be changed in place, as an optimizer does between two passes. If anything
    /// else still shares them, such as a graph that has not been freed, they are copied first.
    pub fn data_mut(&mut self) -> &mut [f32] {
        self.value.as_slice_mut().expect("tensors are row-major")
    }

    /// Returns an id that all copies of a parameter share; `None` for a constant.
    fn id(&self) -> Option<u64> {
        match &self.origin {
            Origin::Constant => None,
            Origin::Parameter(id) => Some(*id),
            Origin::Node(node) => Some(node.id),
        }
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let origin = match self.origin {
            Origin::Constant => "constant",
            Origin::Parameter(_) => "parameter",
            Origin::Node(_) => "computed",
        };
        write!(f, "Tensor({origin}, {:?}, {})", self.shape(), self.value)
    }
}

/// Frees a long chain in a loop. Dropping the inputs recursively would need one stack frame per node.
impl Drop for Node {
    fn drop(&mut self) {
        let take = |record: &mut Mutex<Option<Record>>| record.get_mut().ok().and_then(Option::take);
        let mut pending: Vec<Origin> = take(&mut self.record).map(|record| record.inputs).unwrap_or_default();
        while let Some(origin) = pending.pop() {
            let Origin::Node(node) = origin else { continue };
            if let Some(mut node) = Arc::into_inner(node) {
                pending.extend(take(&mut node.record).map(|record| record.inputs).unwrap_or_default());
            }
        }
    }
}

fn row_major(value: Array) -> Array {
    if value.is_standard_layout() { value } else { value.as_standard_layout().to_shared() }
}

/// Returns the numbers of an array in row-major order.
pub fn slice(array: &Array) -> &[f32] {
    array.as_slice().expect("arrays of tensors are row-major")
}

/// Returns an array as a matrix: all dimensions except the last count as rows.
pub fn matrix(array: &Array) -> ArrayView2<'_, f32> {
    let columns = array.shape().last().copied().unwrap_or(1);
    let rows = array.shape().iter().rev().skip(1).product();
    ArrayView2::from_shape((rows, columns), slice(array)).expect("rows times columns is the length")
}

/// Creates an array of the given shape from a vector of numbers. Panics if the lengths differ.
pub fn array(shape: &[usize], numbers: Vec<f32>) -> Array {
    let length = numbers.len();
    Array::from_shape_vec(IxDyn(shape), numbers)
        .unwrap_or_else(|_| panic!("{length} numbers do not make an array of shape {shape:?}"))
}
