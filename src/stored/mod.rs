//! Stored weights: matrices that stay in their file.
//!
//! A checkpoint of 13 GB is mapped instead of read: the operating system loads the pages that are touched when they are
//! touched. A [`StoredWeight`] is a matrix, or a stack of matrices, in such a file, in f32, bf16 or MXFP4; or in
//! memory, in int8. Its rows are multiplied in their format. A number is widened to f32 in a register, or in a small
//! tile that is used at once.
//!
//! With [`Precision::Fast`], layers with weights in MXFP4 or int8 round their input to int8 instead, and multiply
//! integers.
//!
//! Book: [mxfp4](../../../book/mxfp4.html)

mod run;
mod panels;
mod matrix;

pub use matrix::Matrix;

use crate::error::{Error, Result};
use crate::kernels::{self, Int8Block, memory, parallel};
use crate::mxfp4::{BLOCK, NAN_SCALE};
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::Arc;

/// A range of the bytes of a file, or of memory, which stays open as long as one of its ranges is in use.
#[derive(Clone)]
pub struct Bytes {
    file: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl Bytes {
    /// Returns all bytes of a file.
    pub fn new(file: Arc<dyn AsRef<[u8]> + Send + Sync>) -> Self {
        let range = 0..(*file).as_ref().len();
        Self { file, range }
    }

    /// Returns a part of this range. Panics if it is not inside.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} of {} bytes", self.len());
        Self { file: self.file.clone(), range: self.range.start + range.start..self.range.start + range.end }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &(*self.file).as_ref()[self.range.clone()]
    }
}

// ANCHOR: numbers
/// The format of the numbers.
#[derive(Clone)]
pub enum Numbers {
    /// f32: four bytes per number, little-endian, at an address that is a multiple of four.
    F32(Bytes),
    /// bf16: two bytes per number, little-endian, at any address.
    Bf16(Bytes),
    /// MXFP4: blocks of 32 numbers along a row, with 16 bytes of codes and one scale per block, in two places.
    Mxfp4 {
        /// The codes: 16 bytes per block.
        codes: Bytes,
        /// The scales: one byte per block.
        scales: Bytes,
    },
    /// Int8: blocks of 32 numbers along a row, in memory; see [`StoredWeight::to_int8`].
    Int8(Arc<[Int8Block]>),
}
// ANCHOR_END: numbers

impl Numbers {
    /// Returns how many bytes the numbers take.
    pub fn bytes(&self) -> usize {
        match self {
            Numbers::F32(bytes) | Numbers::Bf16(bytes) => bytes.len(),
            Numbers::Mxfp4 { codes, scales } => codes.len() + scales.len(),
            Numbers::Int8(blocks) => size_of_val(&**blocks),
        }
    }

    /// Returns how many numbers there are.
    pub fn count(&self) -> usize {
        match self {
            Numbers::F32(bytes) => bytes.len() / 4,
            Numbers::Bf16(bytes) => bytes.len() / 2,
            Numbers::Mxfp4 { scales, .. } => scales.len() * BLOCK,
            Numbers::Int8(blocks) => blocks.len() * BLOCK,
        }
    }

    /// Returns the name of the format: `f32`, `bf16`, `mxfp4` or `int8`.
    pub fn format(&self) -> &'static str {
        match self {
            Numbers::F32(_) => "f32",
            Numbers::Bf16(_) => "bf16",
            Numbers::Mxfp4 { .. } => "mxfp4",
            Numbers::Int8(_) => "int8",
        }
    }
}

/// Returns the index of the first scale that is not a number.
fn find_nan(scales: &[u8]) -> Option<usize> {
    const PIECE: usize = 1 << 20;
    let found = parallel::map(scales.len().div_ceil(PIECE), |i| {
        let piece = &scales[i * PIECE..scales.len().min((i + 1) * PIECE)];
        // A maximum is a loop without a branch, which a search is not.
        (piece.iter().fold(0, |a, &b| a.max(b)) == NAN_SCALE).then_some(i)
    });
    let piece = found.into_iter().flatten().next()?;
    scales[piece * PIECE..].iter().position(|&scale| scale == NAN_SCALE).map(|at| piece * PIECE + at)
}

/// The meaning of a row of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// A row belongs to an output, and the layer computes x·Wᵀ: PyTorch's linear layers, and everything in MXFP4.
    Outputs,
    /// A row belongs to an input, and the layer computes x·W: Hugging Face's experts that are not quantized.
    Inputs,
}

/// The precision of a layer's input in products with stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// The input is f32, and a weight has exactly its stored value.
    #[default]
    Exact,
    /// The input is rounded to int8, in blocks of 32 with a scale each, if the weights are MXFP4 or int8. `ossia eval`
    /// measures the effect.
    Fast,
}

/// A matrix, or a stack of matrices, in a file: (…, rows, columns).
#[derive(Clone)]
pub struct StoredWeight {
    shape: Vec<usize>,
    row: Rows,
    numbers: Numbers,
    precision: Precision,
    source: Option<Arc<(PathBuf, String)>>, // the file, and the tensor of the scales
}

impl StoredWeight {
    /// Creates a weight. Panics if the numbers do not fit the shape or cannot be used at their address; code that reads
    /// a file checks that first, see [`StoredWeight::fits`].
    pub fn new(shape: &[usize], row: Rows, numbers: Numbers) -> Self {
        assert!(Self::fits(shape, &numbers), "{} {} numbers for {shape:?}", numbers.count(), numbers.format());
        Self { shape: shape.to_vec(), row, numbers, precision: Precision::Exact, source: None }
    }

    /// Names the file and the tensor in the messages of [`check`](Self::check).
    pub fn with_source(self, path: PathBuf, tensor: String) -> Self {
        Self { source: Some(Arc::new((path, tensor))), ..self }
    }

    /// Checks that every scale of a weight in MXFP4 is a number. This reads one byte in 17 of the weight.
    ///
    /// # Errors
    /// One line with the file, the tensor, and the first scale that is not a number.
    pub fn check(&self) -> Result<()> {
        let Numbers::Mxfp4 { scales, .. } = &self.numbers else { return Ok(()) };
        let Some(at) = find_nan(scales) else { return Ok(()) };
        let message = format!("scale {at} is 255, which is not a number");
        Err(match self.source.as_deref() {
            Some((path, tensor)) => Error::file(path, format!("tensor {tensor}: {message}")),
            None => Error::argument(message),
        })
    }

    /// Returns the same weight, multiplied with another precision.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Returns the same weight in int8, in memory. Panics if its rows are not whole blocks of 32.
    pub fn to_int8(&self) -> Self {
        let columns = self.columns();
        assert!(columns.is_multiple_of(BLOCK), "rows of {columns} are not whole blocks of {BLOCK}");
        let mut blocks = vec![Int8Block::ZERO; self.numbers.count() / BLOCK];
        parallel::for_chunks(&mut blocks, columns / BLOCK, |row, blocks| {
            let mut numbers = vec![0.0; columns];
            self.all().expand_row(row, &mut numbers);
            kernels::quantize_int8(&numbers, blocks);
        });
        Self { numbers: Numbers::Int8(blocks.into()), ..self.clone() }
    }

    /// Returns whether numbers can be multiplied in this shape and at their address: there are as many as the shape
    /// has, rows of MXFP4 are whole blocks, and the address of f32 is aligned.
    pub fn fits(shape: &[usize], numbers: &Numbers) -> bool {
        let placed = match numbers {
            Numbers::F32(bytes) => memory::as_f32(bytes).is_some(),
            Numbers::Bf16(bytes) => bytes.len().is_multiple_of(2),
            Numbers::Mxfp4 { codes, scales } => {
                codes.len() == 16 * scales.len() && shape.last().is_some_and(|columns| columns.is_multiple_of(BLOCK))
            }
            Numbers::Int8(_) => shape.last().is_some_and(|columns| columns.is_multiple_of(BLOCK)),
        };
        shape.len() >= 2 && placed && numbers.count() == shape.iter().product::<usize>()
    }

    /// Returns the shape (…, rows, columns).
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the meaning of a row.
    pub fn row(&self) -> Rows {
        self.row
    }

    /// Returns the numbers.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Returns how many numbers a row has.
    pub fn columns(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }

    /// Returns how many rows all matrices have together.
    pub fn rows(&self) -> usize {
        self.shape[..self.shape.len() - 1].iter().product()
    }

    /// Returns all rows as one matrix.
    pub fn all(&self) -> Matrix<'_> {
        Matrix { stored: self, rows: 0..self.rows() }
    }

    /// Returns matrix `i` of the stack.
    pub fn matrix(&self, i: usize) -> Matrix<'_> {
        let rows = self.shape[self.shape.len() - 2];
        Matrix { stored: self, rows: i * rows..(i + 1) * rows }
    }

    /// Returns some matrices of the stack. Their numbers are not copied, except for int8.
    pub fn part(&self, matrices: Range<usize>) -> Self {
        let all = self.shape[0];
        let range = |length: usize| length / all * matrices.start..length / all * matrices.end;
        let cut = |bytes: &Bytes| bytes.slice(range(bytes.len()));
        let numbers = match &self.numbers {
            Numbers::F32(bytes) => Numbers::F32(cut(bytes)),
            Numbers::Bf16(bytes) => Numbers::Bf16(cut(bytes)),
            Numbers::Mxfp4 { codes, scales } => Numbers::Mxfp4 { codes: cut(codes), scales: cut(scales) },
            Numbers::Int8(blocks) => Numbers::Int8(blocks[range(blocks.len())].into()),
        };
        let shape = [&[matrices.len()], &self.shape[1..]].concat();
        Self { shape, numbers, ..self.clone() }
    }

    /// Returns all numbers as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut numbers = vec![0.0; self.numbers.count()];
        self.all().expand(&mut numbers);
        numbers
    }
}
