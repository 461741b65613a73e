//! Rows of a stored weight, and their products with the input of a layer.

use super::panels::{BytePanel, Panels, int8_inputs};
use super::run::{Run, to_int8};
use super::{Numbers, Precision, Rows, StoredWeight};
use crate::kernels::{self, Int8Block, Int8Pair, parallel};
use crate::mxfp4::BLOCK;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};
use std::borrow::Cow;
use std::ops::Range;

/// A row of a layer's input, prepared for products with whole rows of a weight.
enum Operand<'x> {
    F32(Cow<'x, [f32]>),
    Int8(Vec<Int8Block>),
    Int8Pairs(Vec<Int8Pair>),
}

impl Run<'_> {
    /// Σ xᵢ·wᵢ, where x is the [`Operand`] for these numbers.
    fn dot(&self, x: &Operand) -> f32 {
        match (self, x) {
            (Run::F32(w), Operand::F32(x)) => kernels::dot(x, w),
            (Run::Bf16(w), Operand::F32(x)) => kernels::dot_bf16(x, w),
            (Run::Mxfp4(codes, scales), Operand::F32(x)) => kernels::dot_mxfp4(x, codes, scales),
            (Run::Mxfp4(codes, scales), Operand::Int8Pairs(x)) => kernels::dot_int8_mxfp4(x, codes, scales),
            (Run::Int8(w), Operand::F32(x)) => kernels::dot_int8(x, w),
            (Run::Int8(w), Operand::Int8(x)) => kernels::dot_int8_int8(x, w),
            _ => unreachable!("StoredWeight::operand made it for other numbers"),
        }
    }
}

impl StoredWeight {
    /// Returns whether the input of a layer is rounded to int8.
    fn rounds(&self) -> bool {
        self.precision == Precision::Fast && matches!(self.numbers, Numbers::Mxfp4 { .. } | Numbers::Int8(_))
    }

    /// Prepares x for [`Run::dot`] with whole rows.
    fn operand<'x>(&self, x: &'x [f32]) -> Operand<'x> {
        match self.numbers {
            Numbers::Mxfp4 { .. } if self.rounds() => Operand::Int8Pairs(Int8Pair::of_row(&to_int8(x))),
            Numbers::Int8(_) if self.rounds() => Operand::Int8(to_int8(x)),
            Numbers::Mxfp4 { .. } => {
                let mut arranged = vec![0.0; x.len().next_multiple_of(2 * BLOCK)];
                kernels::arrange_mxfp4(x, &mut arranged);
                Operand::F32(Cow::Owned(arranged))
            }
            _ => Operand::F32(Cow::Borrowed(x)),
        }
    }
}

/// One matrix W (rows, columns) of a [`StoredWeight`].
#[derive(Clone)]
pub struct Matrix<'a> {
    pub(super) stored: &'a StoredWeight,
    pub(super) rows: Range<usize>,
}

/// For up to this many rows of x, each row widens the weights again, in registers.
const FEW: usize = 2;

/// For up to this many rows of x, three rows of weights are widened and multiplied by all of them. For more rows, the rows of x
/// are packed, and a block of weights is widened.
const SEVERAL: usize = 8;

/// The length of the piece of a row that is widened for [`SEVERAL`] rows of x: with three rows of weights and four of x, 28 KiB
/// of f32, which fit in the first cache.
const PART: usize = 1024;

/// Rows and columns of a weight with a row per input that one thread multiplies at a time. Narrower pieces read memory at half
/// the speed, because their rows are short runs of bytes far apart. 16 KiB of f32 fit in the first cache.
const WIDENED_ROWS: usize = 16;
const COLUMNS: usize = 256;

/// With at least this many rows of x, panels of bytes save more time than their packing takes.
const BYTES: usize = 5;

/// Rows and columns of the block of weights that one thread widens at a time: 96 KiB of f32, which fit in the second cache. A
/// panel of 256 columns of x fits in the first one.
const BLOCK_ROWS: usize = 96;
const DEPTH: usize = 256;

/// Numbers of a tile: 1 MiB of f32, which fit in the caches.
const TILE: usize = 1 << 18;

/// Returns how many of `rows` rows of weights a thread multiplies at a time, if each takes this many multiply-adds.
fn piece_of(rows: usize, multiply_adds: usize) -> usize {
    (rows / 16).clamp(16, 256).max(parallel::WORTH / multiply_adds.max(1))
}

fn contiguous(row: ArrayView1<'_, f32>) -> &[f32] {
    row.to_slice().expect("row-major")
}

impl Matrix<'_> {
    fn run(&self, row: usize, columns: Range<usize>) -> Run<'_> {
        let first = (self.rows.start + row) * self.stored.columns();
        self.stored.numbers.run(first + columns.start..first + columns.end)
    }

    /// Returns the numbers of rows and columns.
    pub fn dim(&self) -> (usize, usize) {
        (self.rows.len(), self.stored.columns())
    }

    /// Writes one row as f32.
    pub fn expand_row(&self, row: usize, y: &mut [f32]) {
        self.run(row, 0..self.stored.columns()).expand(y);
    }

    /// Writes all rows as f32.
    pub fn expand(&self, y: &mut [f32]) {
        parallel::for_chunks(y, self.stored.columns(), |row, y| self.expand_row(row, y));
    }

    /// The product of the layer: Y ← Y + X·Wᵀ, or X·W if W has a row per input.  x (T, inputs), y (T, outputs).
    pub fn multiply(&self, x: ArrayView2<f32>, y: ArrayViewMut2<f32>) {
        match self.stored.row {
            Rows::Outputs => self.times_transposed(x, y),
            Rows::Inputs => self.times(x, y),
        }
    }

    /// The gradient with respect to the input: dX ← dX + dY·W, or dY·Wᵀ if W has a row per input.
    pub fn backpropagate(&self, dy: ArrayView2<f32>, dx: ArrayViewMut2<f32>) {
        match self.stored.row {
            Rows::Outputs => self.times(dy, dx),
            Rows::Inputs => self.times_transposed(dy, dx),
        }
    }

    /// Y ← Y + X·Wᵀ:  x (T, columns), y (T, rows).  What a linear layer does.
    pub fn times_transposed(&self, x: ArrayView2<f32>, y: ArrayViewMut2<f32>) {
        let (rows, columns) = self.dim();
        assert_eq!((x.ncols(), y.dim()), (columns, (x.nrows(), rows)), "x·Wᵀ with W {:?}", self.dim());
        let mut x = x.as_standard_layout();
        if x.nrows() > FEW && self.stored.rounds() {
            if x.nrows() >= BYTES && self.stored.numbers.largest_byte() <= kernels::largest_byte() {
                return self.times_bytes(x.view(), y);
            }
            // The product is computed in f32, but on inputs rounded to int8, so that a token has nearly the same result
            // alone and in a batch.
            let rounded = x.as_slice_memory_order_mut().expect("row-major");
            parallel::for_chunks(rounded, columns, |_, row| kernels::expand_int8(&to_int8(row), row));
        }
        match x.nrows() {
            0..=FEW => self.times_few(x.view(), y),
            _ if x.nrows() <= SEVERAL => self.times_several(x.view(), y),
            _ => self.times_many(x.view(), y),
        }
    }

    /// Multiplies each row of x by each row of W, which is widened in registers.
    fn times_few(&self, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        let (rows, columns) = self.dim();
        let operands: Vec<Operand> = x.rows().into_iter().map(|x| self.stored.operand(contiguous(x))).collect();
        let piece = piece_of(rows, columns * x.nrows());
        let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), piece).enumerate().collect();
        parallel::for_each(pieces, |(i, mut y)| {
            for (j, mut y) in y.columns_mut().into_iter().enumerate() {
                let w = self.run(i * piece + j, 0..columns);
                operands.iter().zip(&mut y).for_each(|(x, y)| *y += w.dot(x));
            }
        });
    }

    /// Widens three rows of W, a part at a time, and multiplies four rows of x by them at once. If fewer rows are left, the last
    /// one fills the empty places.
    fn times_several(&self, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        let (rows, columns) = self.dim();
        let x: Vec<&[f32]> = x.rows().into_iter().map(contiguous).collect();
        let piece = piece_of(rows, columns * x.len()).next_multiple_of(3);
        let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), piece).enumerate().collect();
        parallel::for_each(pieces, |(i, mut y)| {
            let mut widened = [[0.0; PART]; 3];
            for (j, mut y) in y.axis_chunks_iter_mut(Axis(1), 3).enumerate() {
                for start in (0..columns).step_by(PART) {
                    let (part, last) = (start..columns.min(start + PART), y.ncols() - 1);
                    let [a, b, c] = &mut widened;
                    let w = [(0, a), (1.min(last), b), (2.min(last), c)].map(|(k, buffer)| {
                        self.run(i * piece + 3 * j + k, part.clone()).widened(&mut buffer[..part.len()])
                    });
                    for (x, mut y) in x.chunks(4).zip(y.axis_chunks_iter_mut(Axis(0), 4)) {
                        let x = std::array::from_fn(|t| &x[t.min(x.len() - 1)][part.clone()]);
                        let sums = kernels::dots(x, w);
                        y.indexed_iter_mut().for_each(|((t, k), y)| *y += sums[t][k]);
                    }
                }
            }
        });
    }

    /// Packs the rows of x as panels, and widens a block of weights for all of them: Yᵀ = W·Xᵀ.
    fn times_many(&self, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        let (columns, x) = (self.dim().1, Panels::new(x));
        let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), BLOCK_ROWS).enumerate().collect();
        parallel::for_each(pieces, |(i, mut y)| {
            let mut widened = Array2::zeros((y.ncols(), DEPTH.min(columns)));
            let mut sums = Array2::zeros((y.ncols(), y.nrows()));
            for (block, start) in (0..columns).step_by(DEPTH).enumerate() {
                let run = start..columns.min(start + DEPTH);
                let mut w = widened.slice_mut(s![.., ..run.len()]);
                for (row, mut w) in w.rows_mut().into_iter().enumerate() {
                    self.run(i * BLOCK_ROWS + row, run.clone()).expand(w.as_slice_mut().expect("row-major"));
                }
                for (j, sums) in sums.axis_chunks_iter_mut(Axis(1), kernels::panel_columns()).enumerate() {
                    kernels::multiply_panel(1.0, w.view(), x.panel(j, run.clone()), block > 0, sums);
                }
            }
            y += &sums.t();
        });
    }

    /// Rounds x to int8 and computes with integers: panels of bytes, each packed once for all rows of x.
    fn times_bytes(&self, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        let (columns, width) = (self.dim().1, kernels::panel_columns());
        let x = int8_inputs(x, self.stored.numbers.arrangement());
        let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), width).enumerate().collect();
        parallel::for_each(pieces, |(i, y)| {
            let first = self.rows.start + i * width;
            let w = self.stored.numbers.run(first * columns..(first + y.ncols()) * columns);
            BytePanel::new(w, y.ncols(), columns).multiply(x.view(), y);
        });
    }

    /// Y ← Y + X·W:  x (T, rows), y (T, columns).  The gradient of a linear layer with respect to its input; also the
    /// product of a layer whose weights have a row per input.
    pub fn times(&self, x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>) {
        let (rows, columns) = self.dim();
        assert_eq!((x.ncols(), y.dim()), (rows, (x.nrows(), columns)), "x·W with W {:?}", self.dim());
        if x.nrows() > SEVERAL {
            return self.for_tiles(|rows, tile| kernels::par_gemm(1.0, x.slice(s![.., rows]), tile, 1.0, y.view_mut()));
        }
        let x = x.as_standard_layout();
        let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), COLUMNS).enumerate().collect();
        parallel::for_each(pieces, |(i, mut y)| {
            let first = i * COLUMNS;
            let run = first..first + y.ncols();
            let mut widened = Vec::new();
            for start in (0..rows).step_by(WIDENED_ROWS) {
                let part = start..rows.min(start + WIDENED_ROWS);
                let (w, stride) = self.block(part.clone(), run.clone(), &mut widened);
                for (x, mut y) in x.rows().into_iter().zip(y.rows_mut()) {
                    kernels::add_rows(&contiguous(x)[part.clone()], w, stride, y.as_slice_mut().expect("row-major"));
                }
            }
        });
    }

    /// Returns a block of the matrix as f32, and how many numbers its rows are apart: in place, or widened in the buffer.
    fn block<'b>(&'b self, rows: Range<usize>, columns: Range<usize>, buffer: &'b mut Vec<f32>) -> (&'b [f32], usize) {
        let all = self.stored.columns();
        let first = (self.rows.start + rows.start) * all;
        let end = first + (rows.len() - 1) * all + columns.end;
        if let Run::F32(w) = self.stored.numbers.run(first + columns.start..end) {
            return (w, all);
        }
        buffer.resize(rows.len() * columns.len(), 0.0);
        for (row, y) in rows.zip(buffer.chunks_exact_mut(columns.len())) {
            self.run(row, columns.clone()).expand(y);
        }
        (buffer, columns.len())
    }

    /// Widens a few rows at a time and calls `f` with their range and their numbers; with all rows if they are f32 already.
    fn for_tiles(&self, mut f: impl FnMut(Range<usize>, ArrayView2<f32>)) {
        let (rows, columns) = self.dim();
        let first = self.rows.start * columns;
        if let Run::F32(w) = self.stored.numbers.run(first..first + rows * columns) {
            return f(0..rows, ArrayView2::from_shape((rows, columns), w).expect("whole rows"));
        }
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
