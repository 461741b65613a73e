//! Weights as they lie in a file.       Book: chapter 14
//!
//! A checkpoint of 13 GB is not read, it is mapped: the system brings in the pages that are touched, when they are
//! touched. A [`Stored`] is a matrix, or a stack of them, somewhere in such a file, in f32, bf16 or MXFP4. Its rows are
//! multiplied as they are; a number is widened to f32 in a register at most, or in a small tile that is used at once.

use crate::kernels::{self, Bf16, memory, parallel};
use crate::mxfp4::{BLOCK, Codes};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use std::borrow::Cow;
use std::ops::{Deref, Range};
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
}

impl Numbers {
    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        match self {
            Numbers::F32(bytes) | Numbers::Bf16(bytes) => bytes.len(),
            Numbers::Mxfp4 { codes, scales } => codes.len() + scales.len(),
        }
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        match self {
            Numbers::F32(bytes) => bytes.len() / 4,
            Numbers::Bf16(bytes) => bytes.len() / 2,
            Numbers::Mxfp4 { scales, .. } => scales.len() * BLOCK,
        }
    }

    /// `f32`, `bf16`, `mxfp4`
    pub fn format(&self) -> &'static str {
        match self {
            Numbers::F32(_) => "f32",
            Numbers::Bf16(_) => "bf16",
            Numbers::Mxfp4 { .. } => "mxfp4",
        }
    }

    /// x in the order in which [`Run::dot`] of a whole row wants it.
    fn operand<'x>(&self, x: &'x [f32]) -> Cow<'x, [f32]> {
        match self {
            Numbers::F32(_) | Numbers::Bf16(_) => Cow::Borrowed(x),
            Numbers::Mxfp4 { .. } => {
                let mut arranged = vec![0.0; x.len().next_multiple_of(2 * BLOCK)];
                kernels::arrange_mxfp4(x, &mut arranged);
                Cow::Owned(arranged)
            }
        }
    }

    /// `range` of the numbers; whole blocks where they are MXFP4.
    fn run(&self, range: Range<usize>) -> Run<'_> {
        match self {
            Numbers::F32(bytes) => {
                let bytes = &bytes[4 * range.start..4 * range.end];
                Run::F32(memory::as_f32(bytes).expect("Stored::new checked the address"))
            }
            Numbers::Bf16(bytes) => Run::Bf16(bytes[2 * range.start..2 * range.end].as_chunks().0),
            Numbers::Mxfp4 { codes, scales } => {
                let blocks = range.start / BLOCK..range.end / BLOCK;
                Run::Mxfp4(codes[16 * blocks.start..16 * blocks.end].as_chunks().0, &scales[blocks])
            }
        }
    }
}

/// Numbers of a row, or of a part of it.
enum Run<'a> {
    F32(&'a [f32]),
    Bf16(&'a [Bf16]),
    Mxfp4(&'a [Codes], &'a [u8]),
}

impl Run<'_> {
    /// Σ xᵢ·wᵢ, where x is a [`Numbers::operand`].
    fn dot(&self, x: &[f32]) -> f32 {
        match self {
            Run::F32(w) => kernels::dot(x, w),
            Run::Bf16(w) => kernels::dot_bf16(x, w),
            Run::Mxfp4(codes, scales) => kernels::dot_mxfp4(x, codes, scales),
        }
    }

    /// yᵢ ← yᵢ + α·wᵢ
    fn axpy(&self, alpha: f32, y: &mut [f32]) {
        match self {
            Run::F32(w) => kernels::axpy(alpha, w, y),
            Run::Bf16(w) => kernels::axpy_bf16(alpha, w, y),
            Run::Mxfp4(codes, scales) => kernels::axpy_mxfp4(alpha, codes, scales, y),
        }
    }

    /// yᵢ ← wᵢ
    fn expand(&self, y: &mut [f32]) {
        match self {
            Run::F32(w) => y.copy_from_slice(w),
            Run::Bf16(w) => kernels::expand_bf16(w, y),
            Run::Mxfp4(codes, scales) => kernels::expand_mxfp4(codes, scales, y),
        }
    }
}

/// What a row of a weight belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// An output: the layer computes x·Wᵀ. PyTorch's linear layers, and everything in MXFP4.
    Outputs,
    /// An input: the layer computes x·W. Hugging Face's experts that are not quantized.
    Inputs,
}

/// A weight in a file, or a stack of them: (…, rows, columns).
#[derive(Clone)]
pub struct Stored {
    shape: Vec<usize>,
    row: Rows,
    numbers: Numbers,
}

impl Stored {
    /// Panics if the numbers are not as many as the shape says, or cannot be used where they lie: whoever reads a file
    /// checks that first, see [`Stored::fits`].
    pub fn new(shape: &[usize], row: Rows, numbers: Numbers) -> Self {
        assert!(Self::fits(shape, &numbers), "{} {} numbers for {shape:?}", numbers.count(), numbers.format());
        Self { shape: shape.to_vec(), row, numbers }
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

/// Rows of a [`Stored`]: one matrix W, (rows, columns).
#[derive(Clone)]
pub struct Matrix<'a> {
    stored: &'a Stored,
    rows: Range<usize>,
}

/// Up to so many rows of x, the weights are widened once for each of them, in registers; from there on once for all,
/// in a tile.
const FEW: usize = 2;

/// Rows and columns of the tile that one thread multiplies with all rows of x: 24 kB of f32, which its innermost cache
/// holds beside a few rows of x.
const TILE_ROWS: usize = 12;
const TILE_COLUMNS: usize = 512;

/// Numbers of a tile: 1 MB of f32, which the caches hold.
const TILE: usize = 1 << 18;

impl Matrix<'_> {
    fn run(&self, row: usize, columns: Range<usize>) -> Run<'_> {
        let first = (self.rows.start + row) * self.stored.columns();
        self.stored.numbers.run(first + columns.start..first + columns.end)
    }

    /// Rows, columns.
    pub fn dim(&self) -> (usize, usize) {
        (self.rows.len(), self.stored.columns())
    }

    /// One row, as f32.
    pub fn expand_row(&self, row: usize, y: &mut [f32]) {
        self.run(row, 0..self.stored.columns()).expand(y);
    }

    /// All rows, as f32.
    pub fn expand(&self, y: &mut [f32]) {
        parallel::for_chunks(y, self.stored.columns(), |row, y| self.expand_row(row, y));
    }

    /// What the layer computes: Y ← Y + X·Wᵀ, or X·W where a row is an input.  x (T, inputs), y (T, outputs).
    pub fn apply(&self, x: ArrayView2<f32>, y: ArrayViewMut2<f32>) {
        match self.stored.row {
            Rows::Outputs => self.times_transposed(x, y),
            Rows::Inputs => self.times(x, y),
        }
    }

    /// Its way back to the input: dX ← dX + dY·W, or dY·Wᵀ where a row is an input.
    pub fn apply_back(&self, dy: ArrayView2<f32>, dx: ArrayViewMut2<f32>) {
        match self.stored.row {
            Rows::Outputs => self.times(dy, dx),
            Rows::Inputs => self.times_transposed(dy, dx),
        }
    }

    // ANCHOR: products
    /// Y ← Y + X·Wᵀ:  x (T, columns), y (T, rows).  What a linear layer does.
    pub fn times_transposed(&self, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        let (rows, columns) = self.dim();
        assert_eq!((x.ncols(), y.dim()), (columns, (x.nrows(), rows)), "x·Wᵀ with W {:?}", self.dim());
        let x = x.as_standard_layout();
        if x.nrows() > FEW {
            let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), TILE_ROWS).enumerate().collect();
            return parallel::for_each(pieces, |(i, y)| self.tile_times_transposed(i * TILE_ROWS, x.view(), y));
        }
        let x_rows = x.rows();
        let operands: Vec<Cow<[f32]>> =
            x_rows.into_iter().map(|row| self.stored.numbers.operand(row.to_slice().expect("row-major"))).collect();
        let piece = (rows / 16).clamp(16, 256);
        let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), piece).enumerate().collect();
        parallel::for_each(pieces, |(i, mut y)| {
            for (j, mut y) in y.columns_mut().into_iter().enumerate() {
                let w = self.run(i * piece + j, 0..columns);
                operands.iter().zip(&mut y).for_each(|(x, y)| *y += w.dot(x));
            }
        });
    }

    /// The columns of Y that belong to at most [`TILE_ROWS`] rows of W from `first` on.
    fn tile_times_transposed(&self, first: usize, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        let (rows, columns) = (y.ncols(), self.dim().1);
        let mut tile = vec![0.0; rows * TILE_COLUMNS.min(columns)];
        let mut sums = vec![[[0.0_f32; 3]; 4]; x.nrows().div_ceil(4) * rows.div_ceil(3)];
        for start in (0..columns).step_by(TILE_COLUMNS) {
            let run = start..columns.min(start + TILE_COLUMNS);
            let tile = &mut tile[..rows * run.len()];
            for (row, tile) in tile.chunks_exact_mut(run.len()).enumerate() {
                self.run(first + row, run.clone()).expand(tile);
            }
            // At the borders the last row stands in for those that are not there.
            let row_of_x = |t: usize| &x.row(t.min(x.nrows() - 1)).to_slice().expect("row-major")[run.clone()];
            let row_of_w = |j: usize| &tile[j.min(rows - 1) * run.len()..][..run.len()];
            for (t, sums) in sums.chunks_exact_mut(rows.div_ceil(3)).enumerate() {
                let x = std::array::from_fn(|i| row_of_x(4 * t + i));
                for (j, sums) in sums.iter_mut().enumerate() {
                    let more = kernels::dots(x, std::array::from_fn(|i| row_of_w(3 * j + i)));
                    sums.iter_mut().flatten().zip(more.iter().flatten()).for_each(|(sum, more)| *sum += more);
                }
            }
        }
        for (t, mut y) in y.rows_mut().into_iter().enumerate() {
            let sums = sums[t / 4 * rows.div_ceil(3)..].iter().flat_map(|sums| sums[t % 4]);
            y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
        }
    }

    /// Y ← Y + X·W:  x (T, rows), y (T, columns).  The way back of a linear layer; also what a layer does whose weights
    /// have a row per input.
    pub fn times(&self, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        let (rows, columns) = self.dim();
        assert_eq!((x.ncols(), y.dim()), (rows, (x.nrows(), columns)), "x·W with W {:?}", self.dim());
        if x.nrows() > FEW {
            return self.for_tiles(|rows, tile| kernels::par_gemm(1.0, x.slice(s![.., rows]), tile, 1.0, y.view_mut()));
        }
        let piece = (columns / 16).clamp(32, 256).next_multiple_of(BLOCK);
        let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), piece).enumerate().collect();
        parallel::for_each(pieces, |(i, mut y)| {
            let run = i * piece..i * piece + y.ncols();
            for (x, mut y) in x.rows().into_iter().zip(y.rows_mut()) {
                let y = y.as_slice_mut().expect("row-major");
                x.iter().enumerate().for_each(|(row, &x)| self.run(row, run.clone()).axpy(x, y));
            }
        });
    }
    // ANCHOR_END: products

    /// Widens a few rows at a time and hands them out: which they are, and their numbers.
    fn for_tiles(&self, mut f: impl FnMut(Range<usize>, ArrayView2<f32>)) {
        let (rows, columns) = self.dim();
        let height = (TILE / columns.max(1)).clamp(1, rows.max(1));
        let mut tile = Array2::zeros((height, columns));
        for first in (0..rows).step_by(height) {
            let part = first..(first + height).min(rows);
            let mut tile = tile.slice_mut(s![..part.len(), ..]);
            let numbers = tile.as_slice_mut().expect("row-major");
            parallel::for_chunks(numbers, columns, |row, y| self.expand_row(first + row, y));
            f(part, tile.view());
        }
    }
}
