//! The vectorized version of every f32 primitive, N numbers at a time, over any [`Simd`].
//!
//! A slice is cut into whole groups of N and a tail. The tail is copied into a group that is padded with the neutral
//! element (0 for a sum, −∞ for a maximum) and is computed like any other group, so that the result for a number does not
//! depend on its position in the slice.
//!
//! Every function that handles a group is `#[inline(always)]`, and closures are inlined into their callers: only code that
//! is inlined into the dispatch is compiled for the instruction set.
//!
//! Sums use four independent accumulators, because a fused multiply-add takes four cycles and two can start in each cycle.

use super::lanes::{Lanes, Simd};

/// Fills the tail of a slice up to a whole group.
#[inline(always)]
pub(super) fn pad<T: Copy, const N: usize>(tail: &[T], with: T) -> [T; N] {
    let mut group = [with; N];
    group[..tail.len()].copy_from_slice(tail);
    group
}

#[inline(always)]
fn to_array<const N: usize, V: Lanes<N>>(x: V) -> [f32; N] {
    let mut lanes = [0.0; N];
    x.store(&mut lanes);
    lanes
}

/// Adds up the lanes, pairwise.
#[inline(always)]
pub(super) fn sum_of_lanes<const N: usize, V: Lanes<N>>(x: V) -> f32 {
    fold_lanes(x, |a, b| a + b)
}

/// Combines the lanes pairwise: the upper half with the lower half, until one number is left.
#[inline(always)]
fn fold_lanes<const N: usize, V: Lanes<N>>(x: V, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let (mut lanes, mut half) = (to_array(x), N / 2);
    while half > 0 {
        for i in 0..half {
            lanes[i] = combine(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Prefetches to the second cache, once for each line (64 bytes) of a slice, if it is called for every i.
#[inline(always)]
pub(super) fn prefetch_line<T, const N: usize, S: Simd<N>>(simd: S, x: &[T], i: usize) {
    if (i * size_of::<T>()).is_multiple_of(64) {
        simd.prefetch_to_l2(&x[i]);
    }
}

// ANCHOR: accumulate
/// Sums over groups in four accumulators: `step(i, acc)` returns `acc` plus the term of group i.
#[inline(always)]
pub(super) fn accumulate<const N: usize, S: Simd<N>>(
    simd: S,
    groups: usize,
    step: impl Fn(usize, S::Lanes) -> S::Lanes,
) -> S::Lanes {
    let mut acc = [simd.splat(0.0); 4];
    for four in 0..groups / 4 {
        for (lane, acc) in acc.iter_mut().enumerate() {
            *acc = step(4 * four + lane, *acc);
        }
    }
    for group in groups / 4 * 4..groups {
        acc[group % 4] = step(group, acc[group % 4]);
    }
    (acc[0].add(acc[1])).add(acc[2].add(acc[3]))
}
// ANCHOR_END: accumulate

// ANCHOR: dot
#[inline(always)]
pub fn dot<const N: usize, S: Simd<N>>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<N>(), b.as_chunks::<N>());
    let whole = accumulate(simd, a.len(), |i, acc| {
        prefetch_line(simd, b, i);
        simd.load(&a[i]).mul_add(simd.load(&b[i]), acc)
    });
    let tail = simd.load(&pad(a_tail, 0.0)).mul(simd.load(&pad(b_tail, 0.0)));
    sum_of_lanes(whole.add(tail))
}
// ANCHOR_END: dot

/// Computes twelve sums at once, in twelve registers. Each group takes seven loads and twelve multiply-adds, so that the
/// multipliers are the bottleneck and not the loads.
#[inline(always)]
pub fn dots<const N: usize, S: Simd<N>>(simd: S, x: [&[f32]; 4], w: [&[f32]; 3]) -> [[f32; 3]; 4] {
    let groups = w[0].len() / N;
    let mut acc = [[simd.splat(0.0); 3]; 4];
    let [x0, x1, x2, x3] = [whole(x[0], groups), whole(x[1], groups), whole(x[2], groups), whole(x[3], groups)];
    let [w0, w1, w2] = [whole(w[0], groups), whole(w[1], groups), whole(w[2], groups)];
    for i in 0..groups {
        let w = [&w0[i], &w1[i], &w2[i]].map(|w| {
            simd.prefetch(w);
            simd.load(w)
        });
        add_products(simd.load(&x0[i]), w, &mut acc[0]);
        add_products(simd.load(&x1[i]), w, &mut acc[1]);
        add_products(simd.load(&x2[i]), w, &mut acc[2]);
        add_products(simd.load(&x3[i]), w, &mut acc[3]);
    }
    if N * groups < w[0].len() {
        let w = [tail(simd, w[0], groups), tail(simd, w[1], groups), tail(simd, w[2], groups)];
        for (acc, x) in acc.iter_mut().zip(x) {
            add_products(tail(simd, x, groups), w, acc);
        }
    }
    let zero = simd.splat(0.0);
    let [[a, b, c], [d, e, f], [g, h, i], [j, k, l]] = acc;
    let [a, b, c, d, e, f, g, h] = sums_of_lanes([a, b, c, d, e, f, g, h]);
    let [i, j, k, l, ..] = sums_of_lanes([i, j, k, l, zero, zero, zero, zero]);
    [[a, b, c], [d, e, f], [g, h, i], [j, k, l]]
}

/// Loads the numbers after the whole groups, padded with zeros.
#[inline(always)]
fn tail<const N: usize, S: Simd<N>>(simd: S, row: &[f32], groups: usize) -> S::Lanes {
    simd.load(&pad(&row[N * groups..], 0.0))
}

/// Returns the sums of the lanes of eight registers. Three rounds add neighbouring lanes, until each register has shrunk to
/// an eighth: a single lane, or two lanes that are added in the end.
#[inline(always)]
fn sums_of_lanes<const N: usize, V: Lanes<N>>([a, b, c, d, e, f, g, h]: [V; 8]) -> [f32; 8] {
    let (ab, cd, ef, gh) = (halve(a, b), halve(c, d), halve(e, f), halve(g, h));
    let eighths = to_array(halve(halve(ab, cd), halve(ef, gh)));
    std::array::from_fn(|i| eighths[i * N / 8..(i + 1) * N / 8].iter().sum())
}

/// Adds neighbouring lanes: a₀+a₁, a₂+a₃, …, b₀+b₁, …
#[inline(always)]
fn halve<const N: usize, V: Lanes<N>>(a: V, b: V) -> V {
    let (even, odd) = a.deinterleave(b);
    even.add(odd)
}

/// Returns the first `groups` whole groups of a row.
#[inline(always)]
pub(super) fn whole<const N: usize>(row: &[f32], groups: usize) -> &[[f32; N]] {
    &row.as_chunks::<N>().0[..groups]
}

/// Adds x·w to each accumulator.
#[inline(always)]
fn add_products<const N: usize, V: Lanes<N>>(x: V, w: [V; 3], acc: &mut [V; 3]) {
    *acc = [x.mul_add(w[0], acc[0]), x.mul_add(w[1], acc[1]), x.mul_add(w[2], acc[2])];
}

#[inline(always)]
pub fn dot3<const N: usize, S: Simd<N>>(simd: S, a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail), (c, c_tail)) = (a.as_chunks::<N>(), b.as_chunks::<N>(), c.as_chunks::<N>());
    let whole =
        accumulate(simd, a.len(), |i, acc| simd.load(&a[i]).mul(simd.load(&b[i])).mul_add(simd.load(&c[i]), acc));
    let tail = simd.load(&pad(a_tail, 0.0)).mul(simd.load(&pad(b_tail, 0.0))).mul(simd.load(&pad(c_tail, 0.0)));
    sum_of_lanes(whole.add(tail))
}

#[inline(always)]
pub fn sum<const N: usize, S: Simd<N>>(simd: S, x: &[f32]) -> f32 {
    let (x, tail) = x.as_chunks::<N>();
    let whole = accumulate(simd, x.len(), |i, acc: S::Lanes| acc.add(simd.load(&x[i])));
    sum_of_lanes(whole.add(simd.load(&pad(tail, 0.0))))
}

#[inline(always)]
pub fn max<const N: usize, S: Simd<N>>(simd: S, x: &[f32]) -> f32 {
    let (x, tail) = x.as_chunks::<N>();
    // If an operand is NaN, the second one is returned: `best` never becomes NaN.
    let mut best = simd.splat(f32::NEG_INFINITY);
    for group in x {
        best = simd.load(group).max(best);
    }
    if !tail.is_empty() {
        best = simd.load(&pad(tail, f32::NEG_INFINITY)).max(best);
    }
    fold_lanes(best, |a, b| if a > b { a } else { b })
}

/// y ← f(y), group by group; `f_tail` does the same for the tail.
#[inline(always)]
pub(super) fn update<const N: usize, S: Simd<N>>(
    simd: S,
    y: &mut [f32],
    f: impl Fn(usize, S::Lanes) -> S::Lanes,
    f_tail: impl Fn(S::Lanes) -> S::Lanes,
) {
    let (y, tail) = y.as_chunks_mut::<N>();
    for (i, group) in y.iter_mut().enumerate() {
        f(i, simd.load(group)).store(group);
    }
    if !tail.is_empty() {
        let result = to_array(f_tail(simd.load(&pad(tail, 0.0))));
        tail.copy_from_slice(&result[..tail.len()]);
    }
}

#[inline(always)]
pub fn axpy<const N: usize, S: Simd<N>>(simd: S, alpha: f32, x: &[f32], y: &mut [f32]) {
    let alpha = simd.splat(alpha);
    let (x, tail) = x.as_chunks::<N>();
    update(simd, y, |i, y| simd.load(&x[i]).mul_add(alpha, y), |y| simd.load(&pad(tail, 0.0)).mul_add(alpha, y));
}

#[inline(always)]
pub fn scale<const N: usize, S: Simd<N>>(simd: S, alpha: f32, x: &mut [f32]) {
    let alpha = simd.splat(alpha);
    update(simd, x, |_, x: S::Lanes| x.mul(alpha), |x| x.mul(alpha));
}

/// r·xᵢ·wᵢ
#[inline(always)]
fn product<const N: usize, S: Simd<N>>(simd: S, r: f32, x: &[f32; N], w: &[f32; N]) -> S::Lanes {
    simd.splat(r).mul(simd.load(x)).mul(simd.load(w))
}

#[inline(always)]
pub fn scaled_product<const N: usize, S: Simd<N>>(simd: S, r: f32, x: &[f32], w: &[f32], y: &mut [f32]) {
    let ((x, x_tail), (w, w_tail)) = (x.as_chunks::<N>(), w.as_chunks::<N>());
    update(simd, y, |i, _| product(simd, r, &x[i], &w[i]), |_| product(simd, r, &pad(x_tail, 0.0), &pad(w_tail, 0.0)));
}

// ANCHOR: exp
/// eˣ = 2ⁿ·eʳ with n = round(x / ln 2), so that |r| ≤ ½ ln 2. There the Taylor series up to r⁷ is enough: the error of
/// the omitted terms is below r⁸/8! < 6·10⁻⁹, a tenth of an ulp. ln 2 is subtracted in two parts, because otherwise r
/// would inherit the rounding error of n·ln 2. The first part has nine bits, so its product with n is exact.
/// Below −87 the result is 0, where a scalar exp returns numbers below 10⁻³⁷. Above 88.38, n = 128 makes it infinite.
#[inline(always)]
pub(super) fn exp<const N: usize, S: Simd<N>>(simd: S, x: S::Lanes) -> S::Lanes {
    const LN_2_HIGH: f32 = 0.693_359_4; // 355/512
    const LN_2_LOW: f32 = -2.121_944_4e-4; // ln 2 − 355/512
    const TAYLOR: [f32; 6] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];
    // If an operand is NaN, the second one is returned, so that NaN stays NaN.
    let inside = simd.splat(-87.0).max(simd.splat(89.0).min(x));
    let n = inside.mul(simd.splat(std::f32::consts::LOG2_E)).round();
    let r = n.mul_add(simd.splat(-LN_2_LOW), n.mul_add(simd.splat(-LN_2_HIGH), inside));
    let mut p = simd.splat(1.0 / 5040.0);
    for coefficient in TAYLOR {
        p = p.mul_add(r, simd.splat(coefficient));
    }
    let result = p.mul_add(r, simd.splat(1.0)).mul(n.exp2_whole());
    result.sub(x.lt_or_zero(simd.splat(-87.0), result))
}
// ANCHOR_END: exp

#[inline(always)]
pub fn exp_sum<const N: usize, S: Simd<N>>(simd: S, x: &mut [f32], shift: f32) -> f32 {
    let shift = simd.splat(shift);
    let mut total = simd.splat(0.0);
    let (x, tail) = x.as_chunks_mut::<N>();
    for group in x {
        let e = exp(simd, simd.load(group).sub(shift));
        e.store(group);
        total = total.add(e);
    }
    if !tail.is_empty() {
        let e = to_array(exp(simd, simd.load(&pad(tail, f32::NEG_INFINITY)).sub(shift)));
        total = total.add(simd.load(&pad(&e[..tail.len()], 0.0)));
        tail.copy_from_slice(&e[..tail.len()]);
    }
    sum_of_lanes(total)
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
fn sigmoid<const N: usize, S: Simd<N>>(simd: S, x: S::Lanes) -> S::Lanes {
    let one = simd.splat(1.0);
    one.div(one.add(exp(simd, simd.splat(0.0).sub(x))))
}

/// Cuts (g₀ u₀ g₁ u₁ …) into groups of N gates and N ups, and a tail.
#[inline(always)]
fn in_pairs<const N: usize>(gate_up: &[f32]) -> (&[[[f32; N]; 2]], &[f32]) {
    let whole = gate_up.as_chunks::<N>().0.as_chunks::<2>().0;
    (whole, &gate_up[2 * N * whole.len()..])
}

/// Fills the tail of [`in_pairs`] up with zeros.
#[inline(always)]
fn pad_pairs<const N: usize>(tail: &[f32]) -> [[f32; N]; 2] {
    let mut pairs = [[0.0; N]; 2];
    pairs.as_flattened_mut()[..tail.len()].copy_from_slice(tail);
    pairs
}

// ANCHOR: swiglu
/// Separates (g₀ u₀ g₁ u₁ …) into N gates and N ups.
#[inline(always)]
fn gates_and_ups<const N: usize, S: Simd<N>>(simd: S, pairs: &[[f32; N]; 2]) -> (S::Lanes, S::Lanes) {
    simd.load(&pairs[0]).deinterleave(simd.load(&pairs[1]))
}

/// Clamps N gates and ups.
#[inline(always)]
fn clamped<const N: usize, S: Simd<N>>(simd: S, gate: S::Lanes, up: S::Lanes, limit: f32) -> (S::Lanes, S::Lanes) {
    let (top, bottom) = (simd.splat(limit), simd.splat(-limit));
    (top.min(gate), bottom.max(top.min(up)))
}

/// Clamped SwiGLU of N pairs.
#[inline(always)]
fn swiglu_group<const N: usize, S: Simd<N>>(simd: S, pairs: &[[f32; N]; 2], alpha: f32, limit: f32, y: &mut [f32; N]) {
    let (gate, up) = gates_and_ups(simd, pairs);
    let (gate, up) = clamped(simd, gate, up, limit);
    up.add(simd.splat(1.0)).mul(gate).mul(sigmoid(simd, simd.splat(alpha).mul(gate))).store(y);
}
// ANCHOR_END: swiglu

#[inline(always)]
pub fn swiglu<const N: usize, S: Simd<N>>(simd: S, gate_up: &[f32], alpha: f32, limit: f32, y: &mut [f32]) {
    let ((pairs, pairs_tail), (ys, y_tail)) = (in_pairs(gate_up), y.as_chunks_mut::<N>());
    for (pairs, y) in pairs.iter().zip(ys) {
        swiglu_group(simd, pairs, alpha, limit, y);
    }
    let mut y = [0.0; N];
    swiglu_group(simd, &pad_pairs(pairs_tail), alpha, limit, &mut y);
    y_tail.copy_from_slice(&y[..y_tail.len()]);
}

/// The gradient of N pairs; see [`super::scalar::swiglu_backward`] for the formula.
#[inline(always)]
fn swiglu_backward_group<const N: usize, S: Simd<N>>(
    simd: S,
    pairs: &[[f32; N]; 2],
    dy: &[f32; N],
    alpha: f32,
    limit: f32,
    dpairs: &mut [[f32; N]; 2],
) {
    let (one, top, bottom) = (simd.splat(1.0), simd.splat(limit), simd.splat(-limit));
    let (gate_in, up_in) = gates_and_ups(simd, pairs);
    let (gate, up) = clamped(simd, gate_in, up_in, limit);
    let (dy, scaled) = (simd.load(dy), simd.splat(alpha).mul(gate));
    let s = sigmoid(simd, scaled);
    let dgate = dy.mul(up.add(one)).mul(s).mul(scaled.mul_add(one.sub(s), one));
    let dup = dy.mul(gate).mul(s);
    let dgate = gate_in.lt_or_zero(top, dgate);
    let dup = bottom.lt_or_zero(up_in, up_in.lt_or_zero(top, dup));
    let (low, high) = dgate.interleave(dup);
    low.store(&mut dpairs[0]);
    high.store(&mut dpairs[1]);
}

#[inline(always)]
pub fn swiglu_backward<const N: usize, S: Simd<N>>(
    simd: S,
    gate_up: &[f32],
    dy: &[f32],
    alpha: f32,
    limit: f32,
    dgate_up: &mut [f32],
) {
    let ((pairs, pairs_tail), (dys, dy_tail)) = (in_pairs(gate_up), dy.as_chunks::<N>());
    let (dpairs, dpairs_tail) = dgate_up.split_at_mut(2 * N * dys.len());
    let dpairs = dpairs.as_chunks_mut::<N>().0.as_chunks_mut::<2>().0;
    for ((pairs, dy), dpairs) in pairs.iter().zip(dys).zip(dpairs) {
        swiglu_backward_group(simd, pairs, dy, alpha, limit, dpairs);
    }
    let mut dpairs = [[0.0; N]; 2];
    swiglu_backward_group(simd, &pad_pairs(pairs_tail), &pad(dy_tail, 0.0), alpha, limit, &mut dpairs);
    dpairs_tail.copy_from_slice(&dpairs.as_flattened()[..dpairs_tail.len()]);
}
