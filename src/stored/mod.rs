//! Weights as they lie in a file.       Book: mxfp4.md
//!
//! A checkpoint of 13 GB is not read, it is mapped: the system brings in the pages that are touched, when they are
//! touched. A [`StoredWeight`] is a matrix, or a stack of them, somewhere in such a file, in f32, bf16 or MXFP4; or in memory,
//! as int8. Its rows are multiplied as they are; a number is widened to f32 in a register at most, or in a small tile
//! that is used at once.
//!
//! With [`Precision::Fast`] it is the other way round where the weights are MXFP4 or int8: the layer's input is rounded
//! to int8, and products are those of whole numbers.

mod matrix;

pub use matrix::Matrix;

use crate::error::{Error, Result};
use crate::kernels::{self, Int8Block, memory, parallel};
use crate::mxfp4::{BLOCK, NAN_SCALE};
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::Arc;

/// A run of bytes of a file, which stays open, or in memory, as long as one of its runs is in use.
#[derive(Clone)]
pub struct Bytes {
    file: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl Bytes {
    /// All of a file.
    pub fn new(file: Arc<dyn AsRef<[u8]> + Send + Sync>) -> Self {
        let range = 0..(*file).as_ref().len();
        Self { file, range }
    }

    /// A part of this run. Panics if it is not inside.
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
/// How the numbers are written.
#[derive(Clone)]
pub enum Numbers {
    /// Four bytes each, little-endian, at an address that is a multiple of four.
    F32(Bytes),
    /// Two bytes each, little-endian, anywhere.
    Bf16(Bytes),
    /// Blocks of 32 along a row: 16 bytes of codes each in one place, a scale each in another.
    Mxfp4 {
        /// 16 bytes a block.
        codes: Bytes,
        /// One byte a block.
        scales: Bytes,
    },
    /// Blocks of 32 along a row. No file has them; see [`StoredWeight::to_int8`].
    Int8(Arc<[Int8Block]>),
}
// ANCHOR_END: numbers

impl Numbers {
    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        match self {
            Numbers::F32(bytes) | Numbers::Bf16(bytes) => bytes.len(),
            Numbers::Mxfp4 { codes, scales } => codes.len() + scales.len(),
            Numbers::Int8(blocks) => size_of_val(&**blocks),
        }
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        match self {
            Numbers::F32(bytes) => bytes.len() / 4,
            Numbers::Bf16(bytes) => bytes.len() / 2,
            Numbers::Mxfp4 { scales, .. } => scales.len() * BLOCK,
            Numbers::Int8(blocks) => blocks.len() * BLOCK,
        }
    }

    /// `f32`, `bf16`, `mxfp4`, `int8`
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

/// What a row of a weight belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// An output: the layer computes x·Wᵀ. PyTorch's linear layers, and everything in MXFP4.
    Outputs,
    /// An input: the layer computes x·W. Hugging Face's experts that are not quantized.
    Inputs,
}

/// What a layer's input becomes before it is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// It stays f32, and a weight counts as exactly the number that is written.
    #[default]
    Exact,
    /// Int8, in blocks of 32 with a scale each, where the weights are MXFP4 or int8. What that changes, `ossia eval` says.
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
    /// Panics if the numbers are not as many as the shape says, or cannot be used where they lie: whoever reads a file
    /// checks that first, see [`StoredWeight::fits`].
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

    /// The same numbers, multiplied with another precision.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same weight in int8, in memory. Panics if its rows are not whole blocks of 32.
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

    /// Whether numbers can be multiplied in this shape, where they lie: as many as there should be, rows of whole
    /// blocks for MXFP4, an aligned address for f32.
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

    /// (…, rows, columns)
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// What a row belongs to.
    pub fn row(&self) -> Rows {
        self.row
    }

    /// How many outputs a layer with one of these matrices has.
    pub fn outputs(&self) -> usize {
        self.shape[self.shape.len() - if self.row == Rows::Outputs { 2 } else { 1 }]
    }

    /// How many inputs.
    pub fn inputs(&self) -> usize {
        self.shape[self.shape.len() - if self.row == Rows::Outputs { 1 } else { 2 }]
    }

    /// How they are written.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Numbers in a row.
    pub fn columns(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }

    /// All rows, of all matrices.
    pub fn rows(&self) -> usize {
        self.shape[..self.shape.len() - 1].iter().product()
    }

    /// Everything as one matrix.
    pub fn all(&self) -> Matrix<'_> {
        Matrix { stored: self, rows: 0..self.rows() }
    }

    /// Matrix `i` of the stack.
    pub fn matrix(&self, i: usize) -> Matrix<'_> {
        let rows = self.shape[self.shape.len() - 2];
        Matrix { stored: self, rows: i * rows..(i + 1) * rows }
    }

    /// Every number, as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut numbers = vec![0.0; self.numbers.count()];
        self.all().expand(&mut numbers);
        numbers
    }
}
