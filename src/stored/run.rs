//! The numbers of a row in their format, and what is done with them one row at a time.

use super::Numbers;
use crate::kernels::{self, Bf16, Int8Block, Int8Input, memory};
use crate::mxfp4::{BLOCK, Codes};
use std::ops::Range;

/// The numbers of a row, or of a part of it.
pub(super) enum Run<'a> {
    F32(&'a [f32]),
    Bf16(&'a [Bf16]),
    Mxfp4(&'a [Codes], &'a [u8]),
    Int8(&'a [Int8Block]),
}

impl Run<'_> {
    /// yᵢ ← wᵢ
    pub fn expand(&self, y: &mut [f32]) {
        match self {
            Run::F32(w) => y.copy_from_slice(w),
            Run::Bf16(w) => kernels::expand_bf16(w, y),
            Run::Mxfp4(codes, scales) => kernels::expand_mxfp4(codes, scales, y),
            Run::Int8(w) => kernels::expand_int8(w, y),
        }
    }
}

impl<'a> Run<'a> {
    /// Returns the numbers as f32, in the buffer if they are stored otherwise.
    pub fn widened(self, buffer: &'a mut [f32]) -> &'a [f32] {
        match self {
            Run::F32(w) => w,
            other => {
                other.expand(buffer);
                buffer
            }
        }
    }
}

impl Numbers {
    /// Returns the numbers in `range`; of MXFP4 and int8, these must be whole blocks.
    pub(super) fn run(&self, range: Range<usize>) -> Run<'_> {
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

    /// Returns the largest byte in a panel of such weights, see [`kernels::largest_byte`].
    pub(super) fn largest_byte(&self) -> u8 {
        match self {
            Numbers::Mxfp4 { .. } => 24,
            _ => 255,
        }
    }

    /// Returns how a block of x is arranged for a panel of such weights.
    pub(super) fn arrangement(&self) -> fn(&Int8Block) -> Int8Input {
        match self {
            Numbers::Mxfp4 { .. } => Int8Input::for_mxfp4,
            _ => Int8Input::for_int8,
        }
    }
}

/// Returns x as blocks of int8.
pub(super) fn to_int8(x: &[f32]) -> Vec<Int8Block> {
    let mut blocks = vec![Int8Block::ZERO; x.len() / BLOCK];
    kernels::quantize_int8(x, &mut blocks);
    blocks
}
