//! The operands of a product with many rows of x, in the order in which its tiles read them.

use super::run::{Run, to_int8};
use crate::kernels::{self, Int8Block, Int8Input, parallel};
use crate::mxfp4::{self, BLOCK};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use std::ops::Range;

/// Xᵀ as panels of a matrix product: each holds some rows of x.
pub(super) struct Panels {
    numbers: Vec<f32>,
    columns: usize,
}

impl Panels {
    pub fn new(x: ArrayView2<f32>) -> Self {
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
    pub fn panel(&self, i: usize, columns: Range<usize>) -> &[f32] {
        let width = kernels::panel_columns();
        &self.numbers[i * width * self.columns..][columns.start * width..columns.end * width]
    }
}

/// A few rows of weights as a panel of bytes.
pub(super) struct BytePanel {
    bytes: Vec<[u8; 4]>,
    scales: Vec<f32>,
}

impl BytePanel {
    /// Arranges `rows` whole rows of MXFP4 or int8, at most [`kernels::panel_columns`].
    pub fn new(w: Run, rows: usize, columns: usize) -> Self {
        let (width, blocks) = (kernels::panel_columns(), columns / BLOCK);
        let (mut bytes, mut scales) = (vec![[0; 4]; 8 * blocks * width], vec![0.0; blocks * width]);
        let scale: Box<dyn Fn(usize) -> f32> = match w {
            Run::Mxfp4(codes, scales) => {
                kernels::pack_mxfp4(codes, blocks, &mut bytes);
                Box::new(|block| mxfp4::SCALES[usize::from(scales[block])])
            }
            Run::Int8(w) => {
                kernels::pack_int8(w, blocks, &mut bytes);
                Box::new(|block| w[block].scale())
            }
            _ => unreachable!("the input is not rounded for other numbers, see StoredWeight::rounds"),
        };
        for (block, scales) in scales.chunks_exact_mut(width).enumerate() {
            scales.iter_mut().take(rows).enumerate().for_each(|(row, s)| *s = scale(row * blocks + block));
        }
        Self { bytes, scales }
    }

    /// Y ← Y + X·Wᵀ:  x (T, blocks), y (T, rows).
    pub fn multiply(&self, x: ArrayView2<Int8Input>, y: ArrayViewMut2<f32>) {
        kernels::multiply_bytes(x, &self.bytes, &self.scales, y);
    }
}

/// Rounds x (T, columns) to int8, and arranges its blocks:  (T, columns / 32).
pub(super) fn int8_inputs(x: ArrayView2<f32>, arrange: fn(&Int8Block) -> Int8Input) -> Array2<Int8Input> {
    let blocks = x.ncols() / BLOCK;
    let zero = arrange(&Int8Block::ZERO);
    let mut inputs = Array2::from_elem((x.nrows(), blocks), zero);
    parallel::for_chunks(inputs.as_slice_mut().expect("row-major"), blocks, |t, inputs| {
        let blocks = to_int8(x.row(t).to_slice().expect("row-major"));
        inputs.iter_mut().zip(&blocks).for_each(|(input, block)| *input = arrange(block));
    });
    inputs
}
