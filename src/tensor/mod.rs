//! A value that remembers how it was made.
//!
//! A [`Tensor`] is an `f32` array and, if it was computed from something that is being trained, a node: which
//! tensors went in, and a closure that turns the gradient of the result into the gradients of those inputs. Each
//! node carries its own way back; there is no central list of operations.
//! [`Tensor::backward`] walks the nodes from last to first.
//!
//! Four rules keep it small:
//! - Values never change. An optimizer replaces the value of a parameter between two passes.
//! - Nothing is recorded where no input needs a gradient, or inside [`no_grad`].
//! - A closure keeps the arrays that it needs, never tensors: links between nodes stand in one place.
//! - Numbers only grow: a node is younger than its inputs, so descending ids are a valid order of the way back.

mod backward;
mod grad_check;
mod recompute;

pub use backward::Gradients;
pub use grad_check::{GradCheck, grad_check};
pub use recompute::recompute;

use ndarray::{ArcArray, ArrayView2, IxDyn};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A shared `f32` array of any number of dimensions, in row-major order. Cloning it copies no numbers.
pub type Array = ArcArray<f32, IxDyn>;

/// Turns the gradient of a node's result into the gradients of its inputs, in their order; `None` where an input
/// needs none.
pub type Backward = Box<dyn FnOnce(Array) -> Vec<Option<Array>> + Send>;

// ANCHOR: tensor
/// An array and where it came from.
#[derive(Clone)]
pub struct Tensor {
    value: Array,
    origin: Origin,
}

/// Where a value came from.
#[derive(Clone)]
enum Origin {
    /// Nothing that is being trained.
    Constant,
    /// A parameter: gradients end here.
    Parameter(u64),
    /// An operation on at least one tensor that needs a gradient.
    Node(Arc<Node>),
}

/// One recorded operation. The way back is taken out when it is used, which frees the arrays that it kept.
struct Node {
    id: u64,
    record: Mutex<Option<Record>>,
}

struct Record {
    inputs: Vec<Origin>,
    way_back: WayBack,
}

/// What happens when a node's gradient is complete.
enum WayBack {
    /// It becomes the gradients of the inputs.
    Gradients(Backward),
    /// The node stands for several that were not recorded. They are now, which gives their results, each with the
    /// gradient that has come for it. See [`recompute`].
    Again(Box<Again>),
}

type Again = dyn FnOnce(&[Origin]) -> Vec<(Tensor, Array)> + Send;
// ANCHOR_END: tensor

impl Origin {
    fn node(inputs: Vec<Origin>, way_back: WayBack) -> Self {
        let record = Mutex::new(Some(Record { inputs, way_back }));
        Origin::Node(Arc::new(Node { id: next_id(), record }))
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Tensor {
    /// A value that is not trained: data, a mask, a table.
    pub fn constant(value: impl Into<Array>) -> Self {
        Self { value: row_major(value.into()), origin: Origin::Constant }
    }

    /// A value that is trained: [`Tensor::backward`] gives it a gradient.
    pub fn parameter(value: impl Into<Array>) -> Self {
        Self { value: row_major(value.into()), origin: Origin::Parameter(next_id()) }
    }

    /// The result of an operation on `inputs`. `backward` is made only if one of them needs a gradient.
    pub fn from_op(value: impl Into<Array>, inputs: &[&Tensor], backward: impl FnOnce() -> Backward) -> Self {
        let value = row_major(value.into());
        if !inputs.iter().any(|input| input.needs_grad()) {
            return Self { value, origin: Origin::Constant };
        }
        let inputs = inputs.iter().map(|input| input.origin.clone()).collect();
        Self { value, origin: Origin::node(inputs, WayBack::Gradients(backward())) }
    }

    /// Whether a gradient would flow through this tensor, here and now (see [`no_grad`]).
    pub fn needs_grad(&self) -> bool {
        !matches!(self.origin, Origin::Constant) && RECORDING.get()
    }

    /// The numbers.
    pub fn value(&self) -> &Array {
        &self.value
    }

    /// The numbers, in row-major order.
    pub fn data(&self) -> &[f32] {
        slice(&self.value)
    }

    /// The length of each dimension.
    pub fn shape(&self) -> &[usize] {
        self.value.shape()
    }

    /// The numbers as a matrix: all dimensions but the last are rows.
    pub fn matrix(&self) -> ArrayView2<'_, f32> {
        matrix(&self.value)
    }

    /// The only number of a tensor of one element.
    pub fn item(&self) -> f32 {
        assert_eq!(self.value.len(), 1, "item() of a tensor of shape {:?}", self.shape());
        self.data()[0]
    }

    /// The same numbers, with no memory of how they were made.
    pub fn detach(&self) -> Self {
        Self { value: self.value.clone(), origin: Origin::Constant }
    }

    /// The numbers of a parameter, to be changed in place: what an optimizer does between two passes.
    /// They are copied first if anything else still shares them, such as a graph that was not yet freed.
    pub fn data_mut(&mut self) -> &mut [f32] {
        self.value.as_slice_mut().expect("tensors are row-major")
    }

    /// A number that is the same for all copies of a parameter, for an optimizer's state.
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

/// A long chain must not be freed by recursion, one stack frame a node: the inputs are taken out one after another.
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

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(true) };
}

/// Runs `f` without recording: for evaluation and generation. Ends with `f`, also by panic.
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    with_recording(false, f)
}

fn with_recording<R>(recording: bool, f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            RECORDING.set(self.0);
        }
    }
    let _restore = Restore(RECORDING.replace(recording));
    f()
}

fn row_major(value: Array) -> Array {
    if value.is_standard_layout() { value } else { value.as_standard_layout().to_shared() }
}

/// The numbers of an array in row-major order.
pub fn slice(array: &Array) -> &[f32] {
    array.as_slice().expect("arrays of tensors are row-major")
}

/// An array as a matrix: all dimensions but the last are rows.
pub fn matrix(array: &Array) -> ArrayView2<'_, f32> {
    let columns = array.shape().last().copied().unwrap_or(1);
    let rows = array.shape().iter().rev().skip(1).product();
    ArrayView2::from_shape((rows, columns), slice(array)).expect("rows times columns is the length")
}

/// An array of the given shape over a vector of numbers.
pub fn array(shape: &[usize], numbers: Vec<f32>) -> Array {
    let length = numbers.len();
    Array::from_shape_vec(IxDyn(shape), numbers)
        .unwrap_or_else(|_| panic!("{length} numbers do not make an array of shape {shape:?}"))
}
