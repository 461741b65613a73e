//! The keys and values that a query attends to: as f32, or in a narrower format of a KV cache.
//!
//! Keys and values are rounded to the format once, before any query attends to them, and widened to f32 where they are used:
//! a tile or a block at a time. So the pieces in which a text runs through the model change its results only by rounding.
//!
//! Book: [kv_cache](../../../../../book/kv_cache.html)

use super::Shape;
use crate::kernels::{self, Bf16, Int8Block};
use ndarray::{Array2, ArrayView2, ArrayView3, Axis, CowArray, Ix2, Slice};
use std::borrow::Cow;
use std::ops::Range;

/// The format of the numbers in a KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvFormat {
    /// 4 bytes per number.
    #[default]
    F32,
    /// 2 bytes per number.
    Bf16,
    /// Blocks of 32 numbers with a common scale, in 34 bytes.
    Int8,
}

impl KvFormat {
    /// Returns how many numbers one unit of the format holds. A head must consist of whole units.
    pub fn numbers_per_unit(self) -> usize {
        if self == KvFormat::Int8 { 32 } else { 1 }
    }
}

/// Keys or values in their format, in units: numbers, or blocks of 32.
#[derive(Debug, Clone)]
pub enum KvNumbers<'a> {
    /// See [`KvFormat::F32`].
    F32(Cow<'a, [f32]>),
    /// See [`KvFormat::Bf16`].
    Bf16(Cow<'a, [Bf16]>),
    /// See [`KvFormat::Int8`].
    Int8(Cow<'a, [Int8Block]>),
}

impl<'a> KvNumbers<'a> {
    // ANCHOR: encode
    /// Rounds numbers to a format.
    pub fn encode(x: &'a [f32], format: KvFormat) -> Self {
        match format {
            KvFormat::F32 => KvNumbers::F32(x.into()),
            KvFormat::Bf16 => KvNumbers::Bf16(x.iter().map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect()),
            KvFormat::Int8 => {
                let mut blocks = vec![Int8Block::ZERO; x.len() / 32];
                kernels::quantize_int8(x, &mut blocks);
                KvNumbers::Int8(blocks.into())
            }
        }
    }
    // ANCHOR_END: encode

    /// Returns all numbers as f32.
    pub fn decode(&self) -> Vec<f32> {
        match self {
            KvNumbers::F32(x) => x.to_vec(),
            KvNumbers::Bf16(x) => expanded(x, 1, kernels::expand_bf16),
            KvNumbers::Int8(x) => expanded(x, 32, kernels::expand_int8),
        }
    }

    /// Returns sequence `i` of `sequences` of equal length, whose rows have K·D numbers.
    pub fn sequence(&self, i: usize, sequences: usize, shape: Shape) -> KvView<'_> {
        match self {
            KvNumbers::F32(x) => KvView::F32(rows(x, i, sequences, shape, 1)),
            KvNumbers::Bf16(x) => KvView::Bf16(rows(x, i, sequences, shape, 1)),
            KvNumbers::Int8(x) => KvView::Int8(rows(x, i, sequences, shape, 32)),
        }
    }
}

/// Returns the numbers of units, each of which has `size` numbers.
fn expanded<T>(units: &[T], size: usize, expand: impl Fn(&[T], &mut [f32])) -> Vec<f32> {
    let mut numbers = vec![0.0; size * units.len()];
    expand(units, &mut numbers);
    numbers
}

/// The operations of a cache on its numbers, whose layout is (K, slots, D).
impl KvNumbers<'_> {
    /// Returns the numbers of `slots` slots, the slots first.
    pub fn by_heads(&self, heads: usize, slots: usize, dim: usize) -> KvView<'_> {
        fn slots_first<T>(x: &[T], dim: (usize, usize, usize)) -> ArrayView3<'_, T> {
            view(x, dim).permuted_axes([1, 0, 2])
        }
        match self {
            KvNumbers::F32(x) => KvView::F32(slots_first(x, (heads, slots, dim))),
            KvNumbers::Bf16(x) => KvView::Bf16(slots_first(x, (heads, slots, dim))),
            KvNumbers::Int8(x) => KvView::Int8(slots_first(x, (heads, slots, dim / 32))),
        }
    }

    /// Copies new positions to the slots `place(0)`, `place(1)`, …, after it has made room for `slots` slots per head.
    ///
    /// # Panics
    /// If the new numbers have another format.
    pub fn insert(&mut self, new: KvView, slots: usize, place: impl Fn(usize) -> usize) {
        match (self, new) {
            (KvNumbers::F32(x), KvView::F32(new)) => insert(x.to_mut(), 0.0, new, slots, place),
            (KvNumbers::Bf16(x), KvView::Bf16(new)) => insert(x.to_mut(), [0; 2], new, slots, place),
            (KvNumbers::Int8(x), KvView::Int8(new)) => insert(x.to_mut(), Int8Block::ZERO, new, slots, place),
            _ => panic!("a KV cache has one format"),
        }
    }
}

fn insert<T: Copy>(x: &mut Vec<T>, zero: T, new: ArrayView3<T>, slots: usize, place: impl Fn(usize) -> usize) {
    let (_, heads, row) = new.dim();
    if x.len() < heads * slots * row {
        let mut larger = vec![zero; heads * slots * row];
        let old = x.len() / heads;
        if old > 0 {
            let heads = x.chunks_exact(old).zip(larger.chunks_exact_mut(slots * row));
            heads.for_each(|(old, new)| new[..old.len()].copy_from_slice(old));
        }
        *x = larger;
    }
    for (t, new) in new.outer_iter().enumerate() {
        for (head, new) in x.chunks_exact_mut(slots * row).zip(new.outer_iter()) {
            head[place(t) * row..][..row].copy_from_slice(new.to_slice().expect("a head is contiguous"));
        }
    }
}

fn rows<T>(x: &[T], i: usize, sequences: usize, shape: Shape, unit: usize) -> ArrayView3<'_, T> {
    let units = x.len() / sequences;
    let dim = (unit * units / shape.kv_width(), shape.kv_heads, shape.head_dim / unit);
    view(&x[i * units..][..units], dim)
}

fn view<T>(x: &[T], dim: (usize, usize, usize)) -> ArrayView3<'_, T> {
    assert_eq!(x.len(), dim.0 * dim.1 * dim.2, "keys and values of {} heads in whole rows", dim.1);
    ArrayView3::from_shape(dim, x).expect("the length was checked")
}

/// A view of keys or values, (S, K, D/unit). The units of a head are contiguous; the strides of the other dimensions are free.
#[derive(Debug, Clone, Copy)]
pub enum KvView<'a> {
    /// KvNumbers.
    F32(ArrayView3<'a, f32>),
    /// KvNumbers in bf16.
    Bf16(ArrayView3<'a, Bf16>),
    /// Blocks of 32 numbers.
    Int8(ArrayView3<'a, Int8Block>),
}

impl<'a> KvView<'a> {
    /// Returns S, the number of positions.
    pub fn len(&self) -> usize {
        match self {
            KvView::F32(x) => x.dim().0,
            KvView::Bf16(x) => x.dim().0,
            KvView::Int8(x) => x.dim().0,
        }
    }

    /// Returns whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of all positions.
    pub fn bytes(&self) -> usize {
        match self {
            KvView::F32(x) => 4 * x.len(),
            KvView::Bf16(x) => 2 * x.len(),
            KvView::Int8(x) => size_of::<Int8Block>() * x.len(),
        }
    }

    /// Returns no numbers, in this format.
    pub fn none(&self) -> KvNumbers<'static> {
        match self {
            KvView::F32(_) => KvNumbers::F32(Cow::Borrowed(&[])),
            KvView::Bf16(_) => KvNumbers::Bf16(Cow::Borrowed(&[])),
            KvView::Int8(_) => KvNumbers::Int8(Cow::Borrowed(&[])),
        }
    }

    /// Returns the positions `rows`.
    #[must_use]
    pub fn slice(self, rows: Range<usize>) -> Self {
        let rows = Slice::from(rows);
        match self {
            KvView::F32(x) => KvView::F32(x.slice_axis_move(Axis(0), rows)),
            KvView::Bf16(x) => KvView::Bf16(x.slice_axis_move(Axis(0), rows)),
            KvView::Int8(x) => KvView::Int8(x.slice_axis_move(Axis(0), rows)),
        }
    }

    /// Returns how many positions are worth widening to f32 at a time, so that they stay in a cache of the processor.
    pub fn chunk(&self) -> usize {
        if let KvView::F32(_) = self { self.len().max(1) } else { 128 }
    }

    /// Returns the numbers of one head at the positions `rows` as f32, (T·D,). KvNumbers in another format, or with gaps between
    /// the rows, are written to `buffer`.
    pub fn rows_of_head<'b>(self, kv: usize, rows: Range<usize>, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        match self.slice(rows) {
            KvView::F32(x) => match x.index_axis_move(Axis(1), kv) {
                x if x.is_standard_layout() => x.to_slice().expect("standard"),
                x => widen(x, 1, |row, y| y.copy_from_slice(row), buffer),
            },
            KvView::Bf16(x) => widen(x.index_axis(Axis(1), kv), 1, kernels::expand_bf16, buffer),
            KvView::Int8(x) => widen(x.index_axis(Axis(1), kv), 32, kernels::expand_int8, buffer),
        }
    }

    /// Returns the numbers of one head as f32, (S, D). Only numbers in another format are copied.
    pub fn head(self, kv: usize) -> CowArray<'a, f32, Ix2> {
        if let KvView::F32(x) = self {
            return x.index_axis_move(Axis(1), kv).into();
        }
        let mut numbers = Vec::new();
        let positions = self.len();
        self.rows_of_head(kv, 0..positions, &mut numbers);
        let dim = (positions, numbers.len() / positions.max(1));
        Array2::from_shape_vec(dim, numbers).expect("D numbers per position").into()
    }
}

/// Writes rows of units to `buffer` as f32; a unit has `size` numbers.
fn widen<'b, T>(
    rows: ArrayView2<T>,
    size: usize,
    expand: impl Fn(&[T], &mut [f32]),
    buffer: &'b mut Vec<f32>,
) -> &'b [f32] {
    buffer.resize(size * rows.len(), 0.0);
    match rows.as_slice() {
        Some(units) => expand(units, buffer),
        None => {
            let width = size * rows.ncols();
            let rows = rows.rows().into_iter().zip(buffer.chunks_exact_mut(width));
            rows.for_each(|(row, numbers)| expand(row.to_slice().expect("a head is contiguous"), numbers));
        }
    }
    buffer
}

/// A run of keys and values: positions `start ..`.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The position of the first key.
    pub start: usize,
    /// (S, K, D)
    pub k: KvView<'a>,
    /// (S, K, D)
    pub v: KvView<'a>,
}

impl<'a> Keys<'a> {
    /// Creates a run from keys and values in rows of K·D, as a projection writes them.
    pub fn rows(start: usize, k: &'a [f32], v: &'a [f32], shape: Shape) -> Self {
        let dim = |x: &[f32]| (x.len() / shape.kv_width(), shape.kv_heads, shape.head_dim);
        Self { start, k: KvView::F32(view(k, dim(k))), v: KvView::F32(view(v, dim(v))) }
    }

    /// Creates the run of sequence `i` of `sequences` from the keys and values of all of them, one after the other.
    pub fn of_sequence(
        start: usize,
        (k, v): (&'a KvNumbers, &'a KvNumbers),
        i: usize,
        sequences: usize,
        shape: Shape,
    ) -> Self {
        Self { start, k: k.sequence(i, sequences, shape), v: v.sequence(i, sequences, shape) }
    }

    /// Returns the position after the last key.
    pub fn end(&self) -> usize {
        self.start + self.k.len()
    }

    /// Returns the keys and values at `positions`.
    #[must_use]
    pub fn slice(self, positions: Range<usize>) -> Self {
        let rows = positions.start - self.start..positions.end - self.start;
        Self { start: positions.start, k: self.k.slice(rows.clone()), v: self.v.slice(rows) }
    }
}
