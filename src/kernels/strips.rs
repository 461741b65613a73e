//! Matrix products on all threads, with B packed once for all of them.
//!
//! The rows of the result are cut into strips, and a strip is computed by one thread. If B were packed for each strip anew,
//! packing would take a good part of the time of a small model. So all threads first pack B together.
//!
//! The strips do not change any bit of the result: see [`mod@super::gemm`].

use super::gemm::{COLUMNS, DEPTH, gemm, multiply_block};
use super::{Isa, gemm_in_pieces, isa, pack_panel, panel_columns, parallel};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};
use std::ops::Range;

/// Several matrices B (k, n) in panels. The rows of a panel follow one another.
struct Panels {
    numbers: Vec<f32>,
    /// k
    depth: usize,
    /// The panels of one matrix.
    per_matrix: usize,
}

impl Panels {
    /// Packs `count` matrices of the dimensions (k, n) on all threads. A matrix that is not used may be `None`.
    fn pack<'a>(
        count: usize,
        (k, n): (usize, usize),
        b: impl Fn(usize) -> Option<ArrayView2<'a, f32>> + Sync + Send,
    ) -> Self {
        let columns = panel_columns();
        let per_matrix = n.div_ceil(columns);
        let numbers = parallel::build(count * per_matrix * k * columns, k * columns, |i, panel| {
            let first = i % per_matrix * columns;
            if let Some(b) = b(i / per_matrix) {
                pack_panel(b.slice_axis_move(Axis(1), Slice::from(first..n.min(first + columns))), panel);
            }
        });
        Self { numbers, depth: k, per_matrix }
    }

    /// C ← α·A·B, or C ← C + α·A·B if `add`, with matrix `i`, on the calling thread.
    fn multiply(&self, i: usize, alpha: f32, a: ArrayView2<f32>, add: bool, mut c: ArrayViewMut2<f32>) {
        let columns = panel_columns();
        let panel = self.depth * columns;
        let matrix = &self.numbers[i * self.per_matrix * panel..][..self.per_matrix * panel];
        for (block, mut c) in matrix.chunks(COLUMNS / columns * panel).zip(c.axis_chunks_iter_mut(Axis(1), COLUMNS)) {
            for (depth, a) in a.axis_chunks_iter(Axis(1), DEPTH).enumerate() {
                let rows = depth * DEPTH * columns..(depth * DEPTH + a.ncols()) * columns;
                let panels = block.chunks_exact(panel).map(|panel| &panel[rows.clone()]);
                multiply_block(alpha, a, panels, add || depth > 0, c.view_mut());
            }
        }
    }
}

/// The fewest rows of C that pay for packing B as a whole.
const LEAST: usize = 96;

/// The most numbers of a single B that are packed as a whole: 4 MB. The matrices of a grouped product may be larger: each is
/// used by a part of the rows only, so there is no other way to share the packing.
const MOST: usize = 1 << 20;

/// The number of pieces of a product that is not computed in strips: twice as many as there are threads, and at least eight.
fn pieces() -> usize {
    (2 * parallel::threads()).max(8)
}

/// Returns whether the product of A (m, k) and B (k, n) is computed in strips with a packed B.
fn pays_for_packing((m, k, n): (usize, usize, usize)) -> bool {
    isa() != Isa::Scalar && m >= LEAST && k > 0 && n > 0 && k * n <= MOST
}

/// The most rows of a strip. Larger strips read the packed B less often, but their A does not stay in the cache.
const STRIP: usize = 288;

/// Returns the rows of a strip, of `rows` in all, so that all threads get the same number of strips. The tiles of every
/// instruction set have 6 or 12 rows.
fn strip(rows: usize) -> usize {
    let of_thread = rows.div_ceil(parallel::threads());
    of_thread.div_ceil(of_thread.div_ceil(STRIP).max(1)).next_multiple_of(12).max(12)
}

/// Computes the same as [`gemm`] on all threads.
///
/// # Panics
/// If the shapes do not fit, or if neither the rows nor the columns of C are contiguous.
pub fn par_gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    let (m, n) = c.dim();
    let fits = a.dim() == (m, b.nrows()) && b.ncols() == n;
    assert!(fits, "gemm: A {:?} · B {:?} does not make C {:?}", a.dim(), b.dim(), c.dim());
    if !pays_for_packing((m, a.ncols(), n)) || c.strides()[1] != 1 || beta != 0.0 && beta != 1.0 {
        return gemm_in_pieces(alpha, a, b, beta, c, pieces());
    }
    let panels = Panels::pack(1, b.dim(), |_| Some(b));
    let rows = strip(m);
    let strips = a.axis_chunks_iter(Axis(0), rows).zip(c.axis_chunks_iter_mut(Axis(0), rows)).collect();
    parallel::for_each(strips, |(a, c)| panels.multiply(0, alpha, a, beta != 0.0, c));
}

/// Returns A·B + bias on all threads, with the same bias (n,) in each row.  A (m, k), B (k, n) → (m, n).
///
/// # Panics
/// If the shapes do not fit.
pub fn par_product(a: ArrayView2<f32>, b: ArrayView2<f32>, bias: Option<&[f32]>) -> Array2<f32> {
    let (m, n) = (a.nrows(), b.ncols());
    if pays_for_packing((m, b.nrows(), n)) {
        return par_grouped_product(a, &[0, m], b.dim(), |_| b, bias);
    }
    let mut c = Array2::zeros((m, n));
    fill_rows(bias, c.view_mut());
    gemm_in_pieces(1.0, a, b, if bias.is_some() { 1.0 } else { 0.0 }, c.view_mut(), pieces());
    c
}

/// Returns A·Bₑ + biasₑ on all threads, with another matrix for each group e of rows: A (m, k) in the order of the groups,
/// Bₑ = `b(e)` (k, n), bias (groups·n,) → (m, n). `offsets` (groups + 1,) says where the rows of each group begin.
///
/// # Panics
/// If the shapes do not fit.
pub fn par_grouped_product<'a>(
    a: ArrayView2<f32>,
    offsets: &[usize],
    (k, n): (usize, usize),
    b: impl Fn(usize) -> ArrayView2<'a, f32> + Sync + Send,
    bias: Option<&[f32]>,
) -> Array2<f32> {
    let (rows, groups) = (a.nrows(), offsets.len() - 1);
    assert_eq!((a.ncols(), offsets[groups]), (k, rows), "a grouped product: A {:?} · B {k} × {n}", a.dim());
    assert!(bias.is_none_or(|bias| bias.len() == groups * n), "a grouped product: biases for {groups} × {n} outputs");
    let used = |group: usize| (offsets[group] < offsets[group + 1]).then(|| b(group));
    let panels = pays_for_packing((rows, k, 1)).then(|| Panels::pack(groups, (k, n), used));
    let strips = strips(offsets, strip(rows));
    let runs: Vec<usize> = strips.iter().map(|(_, rows)| n * rows.len()).collect();
    // ANCHOR: strips
    let c = parallel::build_runs(&runs, |i, c| {
        let (group, rows) = strips[i].clone();
        let mut c = ArrayViewMut2::from_shape((rows.len(), n), c).expect("the rows of a strip");
        let a = a.slice_axis(Axis(0), Slice::from(rows));
        let bias = bias.map(|bias| &bias[group * n..][..n]);
        fill_rows(bias, c.view_mut());
        match &panels {
            Some(panels) => panels.multiply(group, 1.0, a, bias.is_some(), c),
            None => gemm(1.0, a, b(group), if bias.is_some() { 1.0 } else { 0.0 }, c),
        }
    });
    // ANCHOR_END: strips
    Array2::from_shape_vec((rows, n), c).expect("the strips have all rows")
}

/// Cuts the rows of all groups into strips of at most `most` rows, none of which spans two groups.
fn strips(offsets: &[usize], most: usize) -> Vec<(usize, Range<usize>)> {
    let groups = offsets.windows(2).map(|range| range[0]..range[1]).enumerate();
    let strips_of = |(group, rows): (usize, Range<usize>)| {
        rows.clone().step_by(most).map(move |first| (group, first..rows.end.min(first + most)))
    };
    groups.flat_map(strips_of).collect()
}

/// Copies a bias to every row.
fn fill_rows(bias: Option<&[f32]>, mut c: ArrayViewMut2<f32>) {
    if let Some(bias) = bias {
        assert_eq!(bias.len(), c.ncols(), "a bias of {} for {} outputs", bias.len(), c.ncols());
        c.rows_mut().into_iter().for_each(|mut row| row.as_slice_mut().expect("row-major").copy_from_slice(bias));
    }
}
