//! Rows of a stored weight, and their products with the input of a layer.

use super::{Numbers, Precision, Rows, StoredWeight};
use crate::kernels::{self, Bf16, Int8Block, Int8Pair, memory, parallel};
use crate::mxfp4::{BLOCK, Codes};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use std::borrow::Cow;
use std::ops::Range;

/// The numbers of a row, or of a part of it.
enum Run<'a> {
    F32(&'a [f32]),
    Bf16(&'a [Bf16]),
    Mxfp4(&'a [Codes], &'a [u8]),
    Int8(&'a [Int8Block]),
}

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

    /// yᵢ ← yᵢ + α·wᵢ
    fn axpy(&self, alpha: f32, y: &mut [f32]) {
        match self {
            Run::F32(w) => kernels::axpy(alpha, w, y),
            Run::Bf16(w) => kernels::axpy_bf16(alpha, w, y),
            Run::Mxfp4(codes, scales) => kernels::axpy_mxfp4(alpha, codes, scales, y),
            Run::Int8(w) => kernels::axpy_int8(alpha, w, y),
        }
    }

    /// yᵢ ← wᵢ
    fn expand(&self, y: &mut [f32]) {
        match self {
            Run::F32(w) => y.copy_from_slice(w),
            Run::Bf16(w) => kernels::expand_bf16(w, y),
            Run::Mxfp4(codes, scales) => kernels::expand_mxfp4(codes, scales, y),
            Run::Int8(w) => kernels::expand_int8(w, y),
        }
    }
}

impl Numbers {
    /// Returns the numbers in `range`; of MXFP4 and int8, these must be whole blocks.
    fn run(&self, range: Range<usize>) -> Run<'_> {
        let blocks = range.start / BLOCK..range.end / BLOCK;
        match self {
            Numbers::F32(bytes) => {
                let bytes = &bytes[4 * range.start..4 * range.end];
                Run::F32(memory::as_f32(bytes).expect("StoredWeight::new checked the address"))
            }
            Numbers::Bf16(bytes) => Run::Bf16(bytes[2 * range.start..2 * range.end].as_chunks().0),
            Numbers::Mxfp4 { codes, scales } => {
                Run::Mxfp4(codes[16 * blocks.start..16 * blocks.end].as_chunks().0, &scales[blocks])
            }
            Numbers::Int8(all) => Run::Int8(&all[blocks]),
        }
    }
}

/// Returns x as blocks of int8.
fn to_int8(x: &[f32]) -> Vec<Int8Block> {
    let mut blocks = vec![Int8Block::ZERO; x.len() / BLOCK];
    kernels::quantize_int8(x, &mut blocks);
    blocks
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

/// Xᵀ as panels of a matrix product: each holds some rows of x.
struct Panels {
    numbers: Vec<f32>,
    columns: usize,
}

impl Panels {
    fn new(x: ArrayView2<f32>) -> Self {
        let width = kernels::panel_columns();
        let panel = width * x.ncols();
        let mut numbers = vec![0.0; x.nrows().div_ceil(width) * panel];
        parallel::for_chunks(&mut numbers, panel, |i, panel| {
            let rows = i * width..x.nrows().min((i + 1) * width);
            kernels::pack_panel(x.slice(s![rows, ..]).t(), panel);
        });
        Self { numbers, columns: x.ncols() }
    }

    /// Returns the numbers of panel i for some columns of x.
    fn panel(&self, i: usize, columns: Range<usize>) -> &[f32] {
        let width = kernels::panel_columns();
        &self.numbers[i * width * self.columns..][columns.start * width..columns.end * width]
    }
}

/// For up to this many rows of x, each row widens the weights again, in registers. For more rows, a block of weights is widened
/// once for all of them.
const FEW: usize = 4;

/// Rows and columns of the block of weights that one thread widens at a time: 48 kB of f32, which fit in the second cache. A
/// panel of 256 columns of x fits in the first one.
const BLOCK_ROWS: usize = 48;
const DEPTH: usize = 256;

/// Numbers of a tile: 1 MB of f32, which fit in the caches.
const TILE: usize = 1 << 18;

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

    /// The product of the layer: Y ← Y + X·Wᵀ, or X·W if a row is an input.  x (T, inputs), y (T, outputs).
    pub fn multiply(&self, x: ArrayView2<f32>, y: ArrayViewMut2<f32>) {
        match self.stored.row {
            Rows::Outputs => self.times_transposed(x, y),
            Rows::Inputs => self.times(x, y),
        }
    }

    /// The gradient with respect to the input: dX ← dX + dY·W, or dY·Wᵀ if a row is an input.
    pub fn backpropagate(&self, dy: ArrayView2<f32>, dx: ArrayViewMut2<f32>) {
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
        let mut x = x.as_standard_layout();
        if x.nrows() > FEW && self.stored.rounds() {
            // The product is computed in f32, but on inputs rounded to int8, so that a token has the same result alone
            // and in a batch.
            let mut rounded = x.into_owned();
            let all = rounded.as_slice_mut().expect("row-major");
            parallel::for_chunks(all, columns, |_, row| kernels::expand_int8(&to_int8(row), row));
            x = rounded.into();
        }
        if x.nrows() > FEW {
            let panels = Panels::new(x.view());
            let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), BLOCK_ROWS).enumerate().collect();
            return parallel::for_each(pieces, |(i, y)| self.times_panels(i * BLOCK_ROWS, &panels, y));
        }
        let x_rows = x.rows();
        let operands: Vec<Operand> =
            x_rows.into_iter().map(|row| self.stored.operand(row.to_slice().expect("row-major"))).collect();
        let piece = (rows / 16).clamp(16, 256);
        let pieces: Vec<_> = y.axis_chunks_iter_mut(Axis(1), piece).enumerate().collect();
        parallel::for_each(pieces, |(i, mut y)| {
            for (j, mut y) in y.columns_mut().into_iter().enumerate() {
                let w = self.run(i * piece + j, 0..columns);
                operands.iter().zip(&mut y).for_each(|(x, y)| *y += w.dot(x));
            }
        });
    }

    /// Computes the columns of Y that belong to the rows of W from `first` on, as Yᵀ = W·Xᵀ: the weights are widened once for
    /// all rows of x, and not packed.
    fn times_panels(&self, first: usize, x: &Panels, mut y: ArrayViewMut2<f32>) {
        let columns = self.dim().1;
        let mut widened = Array2::zeros((y.ncols(), DEPTH.min(columns)));
        let mut sums = Array2::zeros((y.ncols(), y.nrows()));
        for (block, start) in (0..columns).step_by(DEPTH).enumerate() {
            let run = start..columns.min(start + DEPTH);
            let mut w = widened.slice_mut(s![.., ..run.len()]);
            for (row, mut w) in w.rows_mut().into_iter().enumerate() {
                self.run(first + row, run.clone()).expand(w.as_slice_mut().expect("row-major"));
            }
            for (i, sums) in sums.axis_chunks_iter_mut(Axis(1), kernels::panel_columns()).enumerate() {
                kernels::multiply_panel(1.0, w.view(), x.panel(i, run.clone()), block > 0, sums);
            }
        }
        y += &sums.t();
    }

    /// Y ← Y + X·W:  x (T, rows), y (T, columns).  The gradient of a linear layer with respect to its input; also the
    /// product of a layer whose weights have a row per input.
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

    /// Widens a few rows at a time and calls `f` with their range and their numbers.
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
