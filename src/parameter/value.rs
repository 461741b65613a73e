//! The value of a parameter, and the products with it.

use super::Parameter;
use crate::kernels::{memory, par_gemm, par_grouped_product, par_product, parallel};
use crate::stored::{Bytes, Numbers, Rows, StoredWeight};
use crate::tensor::{Array, Tensor, slice};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice, s};
use std::ops::Range;
use std::sync::Arc;

/// The numbers of a parameter. This is the only type that distinguishes where they are.
#[derive(Clone)]
pub enum Value {
    /// In memory, as f32: a trainable or constant tensor. Stacked experts are (E, in, out), as in the Hugging Face
    /// checkpoint; every other matrix is (out, in).
    Dense(Tensor),
    /// In a file, in the format of the file, or in memory that a frozen model shares with another one. A stored value is
    /// frozen.
    Stored(Arc<StoredWeight>),
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Value::Dense(tensor)
    }
}

impl From<&Tensor> for Value {
    fn from(tensor: &Tensor) -> Self {
        Value::Dense(tensor.clone())
    }
}

impl From<StoredWeight> for Value {
    fn from(weight: StoredWeight) -> Self {
        Value::Stored(Arc::new(weight))
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

impl From<&Parameter> for Value {
    fn from(parameter: &Parameter) -> Self {
        parameter.value().clone()
    }
}

impl Value {
    /// Returns the tensor if the numbers are in memory.
    pub fn tensor(&self) -> Option<&Tensor> {
        match self {
            Value::Dense(tensor) => Some(tensor),
            Value::Stored(_) => None,
        }
    }

    /// Returns the shape in which the numbers are laid out.
    pub fn shape(&self) -> &[usize] {
        match self {
            Value::Dense(tensor) => tensor.shape(),
            Value::Stored(weight) => weight.shape(),
        }
    }

    /// Returns what a row of a matrix belongs to: an output or an input of the layer.
    pub fn rows(&self) -> Rows {
        match self {
            Value::Dense(tensor) if tensor.shape().len() == 3 => Rows::Inputs,
            Value::Dense(_) => Rows::Outputs,
            Value::Stored(weight) => weight.row(),
        }
    }

    /// Returns the number of inputs of a layer with this matrix, or with one of these.
    pub fn inputs(&self) -> usize {
        let shape = self.shape();
        shape[shape.len() - if self.rows() == Rows::Outputs { 1 } else { 2 }]
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        let shape = self.shape();
        shape[shape.len() - if self.rows() == Rows::Outputs { 2 } else { 1 }]
    }

    /// Returns how many numbers the value has.
    pub fn count(&self) -> usize {
        self.shape().iter().product()
    }

    /// Returns how many bytes the numbers take where they are.
    pub fn bytes(&self) -> usize {
        match self {
            Value::Dense(tensor) => 4 * tensor.data().len(),
            Value::Stored(weight) => weight.numbers().bytes(),
        }
    }

    /// Returns the number format of a stored value; an empty text for one in memory.
    pub fn format(&self) -> &'static str {
        match self {
            Value::Dense(_) => "",
            Value::Stored(weight) => weight.numbers().format(),
        }
    }

    /// Returns the stored weight if the numbers are in a file.
    pub fn stored(&self) -> Option<&StoredWeight> {
        match self {
            Value::Dense(_) => None,
            Value::Stored(weight) => Some(weight),
        }
    }

    /// Returns the numbers of a tensor as a stored value, without copying them. A big-endian machine has no stored values in
    /// f32, so there the tensor stays a tensor.
    pub(super) fn stored_in_memory(&self) -> Value {
        let Value::Dense(tensor) = self else { return self.clone() };
        let numbers = Numbers::F32(Bytes::new(Arc::new(InMemory(tensor.value().clone()))));
        match StoredWeight::fits(self.shape(), &numbers) {
            true => StoredWeight::new(self.shape(), self.rows(), numbers).into(),
            false => self.clone(),
        }
    }

    /// Returns the numbers of some experts, of all that are stacked.
    pub(super) fn part(&self, experts: Range<usize>) -> Value {
        match self {
            Value::Stored(weight) => weight.part(experts).into(),
            Value::Dense(tensor) => {
                let part = tensor.value().slice_axis(Axis(0), Slice::from(experts)).to_shared();
                if tensor.needs_grad() { Tensor::parameter(part) } else { Tensor::constant(part) }.into()
            }
        }
    }

    /// Returns the codes and scales of a value in MXFP4.
    pub fn mxfp4(&self) -> Option<(&Bytes, &Bytes)> {
        match self.stored()?.numbers() {
            Numbers::Mxfp4 { codes, scales } => Some((codes, scales)),
            _ => None,
        }
    }

    /// Returns all numbers as f32, in the order in which they are laid out.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Value::Dense(tensor) => tensor.data().to_vec(),
            Value::Stored(weight) => weight.to_f32(),
        }
    }

    /// Returns matrix `i` of stacked experts as f32, in the order in which its numbers are laid out.
    pub fn expand_matrix(&self, i: usize) -> Vec<f32> {
        let numbers: usize = self.shape()[1..].iter().product();
        match self {
            Value::Dense(tensor) => tensor.data()[i * numbers..][..numbers].to_vec(),
            Value::Stored(weight) => {
                let mut y = vec![0.0; numbers];
                weight.matrix(i).expand(&mut y);
                y
            }
        }
    }

    /// Writes row `i`, as f32, of the matrix that has all rows one below the other.
    pub fn expand_row(&self, i: usize, y: &mut [f32]) {
        match self {
            Value::Dense(tensor) => y.copy_from_slice(&tensor.data()[i * y.len()..][..y.len()]),
            Value::Stored(weight) => weight.all().expand_row(i, y),
        }
    }

    /// Y ← X·Wᵀ: the product of a linear layer, written to a given matrix.  X (T, in), W (out, in), Y (T, out).
    pub fn multiply(&self, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        match self {
            Value::Dense(w) => par_gemm(1.0, x, w.matrix().t(), 0.0, y),
            Value::Stored(w) => {
                y.fill(0.0);
                w.all().multiply(x, y);
            }
        }
    }

    /// Returns Y = X·Wᵀ + bias, the product of a linear layer.  X (T, in), W (out, in), bias (out,), Y (T, out).
    pub fn product(&self, x: ArrayView2<f32>, bias: Option<&[f32]>) -> Array2<f32> {
        match self {
            Value::Dense(w) => par_product(x, w.matrix().t(), bias),
            Value::Stored(w) => {
                let mut y = biases(bias, self.outputs(), &[0, x.nrows()]);
                w.all().multiply(x, y.view_mut());
                y
            }
        }
    }

    /// dX ← dY·W: the gradient with respect to the input of a linear layer, written to a given matrix.  dY (T, out), W (out, in), dX (T, in).
    pub fn backpropagate(&self, dy: ArrayView2<f32>, mut dx: ArrayViewMut2<f32>) {
        match self {
            Value::Dense(w) => par_gemm(1.0, dy, w.matrix(), 0.0, dx),
            Value::Stored(w) => {
                dx.fill(0.0);
                w.all().backpropagate(dy, dx);
            }
        }
    }

    /// Returns dX = dY·W; see [`Value::backpropagate`].
    pub fn input_gradient(&self, dy: ArrayView2<f32>) -> Array2<f32> {
        match self {
            Value::Dense(w) => par_product(dy, w.matrix(), None),
            Value::Stored(w) => {
                let mut dx = Array2::zeros((dy.nrows(), self.inputs()));
                w.all().backpropagate(dy, dx.view_mut());
                dx
            }
        }
    }

    // ANCHOR: experts
    /// Returns Y = X·Wₑ + bₑ for the rows of each expert e.  X (R, in) sorted by expert, Wₑ (in, out), b (E·out,), Y (R, out).
    /// `offsets` (E + 1,) says where the rows of each expert begin.
    pub fn product_of_experts(&self, x: ArrayView2<f32>, b: &[f32], offsets: &[usize]) -> Array2<f32> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        match self {
            Value::Dense(w) => par_grouped_product(x, offsets, (inputs, outputs), |e| matrix(w, e), Some(b)),
            Value::Stored(w) => {
                let mut y = biases(Some(b), outputs, offsets);
                for (expert, rows) in experts(offsets) {
                    w.matrix(expert).multiply(x.slice_axis(Axis(0), rows), y.slice_axis_mut(Axis(0), rows));
                }
                y
            }
        }
    }
    // ANCHOR_END: experts

    /// Returns dX = dY·Wₑᵀ for the rows of each expert e.  dY (R, out) sorted by expert, Wₑ (in, out), dX (R, in).
    pub fn input_gradient_of_experts(&self, dy: ArrayView2<f32>, offsets: &[usize]) -> Array2<f32> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        match self {
            Value::Dense(w) => {
                par_grouped_product(dy, offsets, (outputs, inputs), |e| matrix(w, e).reversed_axes(), None)
            }
            Value::Stored(w) => {
                let mut dx = Array2::zeros((dy.nrows(), inputs));
                for (expert, rows) in experts(offsets) {
                    w.matrix(expert).backpropagate(dy.slice_axis(Axis(0), rows), dx.slice_axis_mut(Axis(0), rows));
                }
                dx
            }
        }
    }
}

/// Rows that one thread fills with biases at a time.
const ROWS: usize = 64;

/// A matrix with a row for each row of the groups, which is the bias of its group, or 0.
fn biases(bias: Option<&[f32]>, outputs: usize, offsets: &[usize]) -> Array2<f32> {
    let rows = offsets[offsets.len() - 1];
    let Some(bias) = bias else { return Array2::zeros((rows, outputs)) };
    assert_eq!(bias.len(), (offsets.len() - 1) * outputs, "biases for {outputs} outputs");
    let numbers = parallel::build(rows * outputs, ROWS * outputs, |piece, y| {
        for (row, y) in (piece * ROWS..).zip(y.chunks_exact_mut(outputs)) {
            let group = offsets.partition_point(|&first| first <= row) - 1;
            y.copy_from_slice(&bias[group * outputs..][..outputs]);
        }
    });
    Array2::from_shape_vec((rows, outputs), numbers).expect("a bias per output and group")
}

/// The numbers of a tensor, as bytes of a "file" that is in memory.
pub(super) struct InMemory(pub Array);

impl AsRef<[u8]> for InMemory {
    fn as_ref(&self) -> &[u8] {
        memory::as_bytes(slice(&self.0)).unwrap_or(&[])
    }
}

/// Matrix `i` of a stack (E, in, out).
fn matrix(stack: &Tensor, i: usize) -> ArrayView2<'_, f32> {
    let rows = stack.shape()[1];
    stack.matrix().slice_move(s![i * rows..(i + 1) * rows, ..])
}

/// The experts that have rows, each with its rows.
fn experts(offsets: &[usize]) -> impl Iterator<Item = (usize, Slice)> {
    let rows = offsets.windows(2).map(|range| range[0]..range[1]).enumerate();
    rows.filter(|(_, rows)| !rows.is_empty()).map(|(expert, rows)| (expert, Slice::from(rows)))
}
