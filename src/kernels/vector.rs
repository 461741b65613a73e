//! Every primitive once, eight numbers at a time, over any [`Lanes`].
//!
//! A slice is cut into whole groups of eight and a tail. The tail is copied into a group padded with the number
//! that changes nothing (0 for a sum, −∞ for a maximum) and takes the same path, so that a number's result does
//! not depend on where in the slice it stands.
//! What is done to a group is `#[inline(always)]`, or a closure that is inlined with what calls it: only code that is
//! inlined into the dispatch is compiled for its instruction set.
//! Sums run in four independent accumulators: a fused multiply-add takes four cycles, and two can start in each.

use super::AdamW;
pub use super::heads::*;
pub use super::int8::*;
use super::lanes::Lanes;
pub use super::narrow::*;

/// The tail of a slice as a full group.
#[inline(always)]
pub(super) fn pad<T: Copy, const N: usize>(tail: &[T], with: T) -> [T; N] {
    let mut group = [with; N];
    group[..tail.len()].copy_from_slice(tail);
    group
}

#[inline(always)]
fn to_array<V: Lanes>(x: V) -> [f32; 8] {
    let mut lanes = [0.0; 8];
    x.store(&mut lanes);
    lanes
}

/// Adds the lanes pairwise, as a tree.
#[inline(always)]
pub(super) fn sum_of_lanes<V: Lanes>(x: V) -> f32 {
    let l = to_array(x);
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

// ANCHOR: accumulate
/// Σ term(group): `term(i)` is added to its accumulator by `step`.
#[inline(always)]
pub(super) fn accumulate<V: Lanes>(groups: usize, step: impl Fn(usize, V) -> V) -> V {
    let mut acc = [V::splat(0.0); 4];
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
pub fn dot<V: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let whole = accumulate(a.len(), |i, acc| V::load(&a[i]).mul_add(V::load(&b[i]), acc));
    let tail = V::load(&pad(a_tail, 0.0)).mul(V::load(&pad(b_tail, 0.0)));
    sum_of_lanes(whole.add(tail))
}
// ANCHOR_END: dot

/// Twelve sums at once, in as many registers: for each group, seven loads and twelve multiply-adds, so that the
/// multipliers are the limit and not the loads.
#[inline(always)]
pub fn dots<V: Lanes>(x: [&[f32]; 4], w: [&[f32]; 3]) -> [[f32; 3]; 4] {
    let groups = w[0].len() / 8;
    let mut acc = [[V::splat(0.0); 3]; 4];
    let [x0, x1, x2, x3] = [whole(x[0], groups), whole(x[1], groups), whole(x[2], groups), whole(x[3], groups)];
    let [w0, w1, w2] = [whole(w[0], groups), whole(w[1], groups), whole(w[2], groups)];
    for i in 0..groups {
        let w = [V::load(&w0[i]), V::load(&w1[i]), V::load(&w2[i])];
        add_products(V::load(&x0[i]), w, &mut acc[0]);
        add_products(V::load(&x1[i]), w, &mut acc[1]);
        add_products(V::load(&x2[i]), w, &mut acc[2]);
        add_products(V::load(&x3[i]), w, &mut acc[3]);
    }
    if 8 * groups < w[0].len() {
        let w = [tail(w[0], groups), tail(w[1], groups), tail(w[2], groups)];
        for (acc, x) in acc.iter_mut().zip(x) {
            add_products(tail(x, groups), w, acc);
        }
    }
    let zero = V::splat(0.0);
    let [[a, b, c], [d, e, f], [g, h, i], [j, k, l]] = acc;
    let [a, b, c, d, e, f, g, h] = sums_of_lanes([a, b, c, d, e, f, g, h]);
    let [i, j, k, l, ..] = sums_of_lanes([i, j, k, l, zero, zero, zero, zero]);
    [[a, b, c], [d, e, f], [g, h, i], [j, k, l]]
}

/// What is behind the whole groups, as one more.
#[inline(always)]
fn tail<V: Lanes>(row: &[f32], groups: usize) -> V {
    V::load(&pad(&row[8 * groups..], 0.0))
}

/// The sum of the lanes of each, all at once: three rounds in which neighbours are added.
#[inline(always)]
fn sums_of_lanes<V: Lanes>([a, b, c, d, e, f, g, h]: [V; 8]) -> [f32; 8] {
    let (ab, cd, ef, gh) = (halve(a, b), halve(c, d), halve(e, f), halve(g, h));
    to_array(halve(halve(ab, cd), halve(ef, gh)))
}

/// a₀+a₁, a₂+a₃, a₄+a₅, a₆+a₇, b₀+b₁ …
#[inline(always)]
fn halve<V: Lanes>(a: V, b: V) -> V {
    let (even, odd) = a.deinterleave(b);
    even.add(odd)
}

#[inline(always)]
pub(super) fn whole(row: &[f32], groups: usize) -> &[[f32; 8]] {
    &row.as_chunks::<8>().0[..groups]
}

#[inline(always)]
fn add_products<V: Lanes>(x: V, w: [V; 3], acc: &mut [V; 3]) {
    *acc = [x.mul_add(w[0], acc[0]), x.mul_add(w[1], acc[1]), x.mul_add(w[2], acc[2])];
}

#[inline(always)]
pub fn dot3<V: Lanes>(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail), (c, c_tail)) = (a.as_chunks::<8>(), b.as_chunks::<8>(), c.as_chunks::<8>());
    let whole = accumulate(a.len(), |i, acc| V::load(&a[i]).mul(V::load(&b[i])).mul_add(V::load(&c[i]), acc));
    let tail = V::load(&pad(a_tail, 0.0)).mul(V::load(&pad(b_tail, 0.0))).mul(V::load(&pad(c_tail, 0.0)));
    sum_of_lanes(whole.add(tail))
}

#[inline(always)]
pub fn sum<V: Lanes>(x: &[f32]) -> f32 {
    let (x, tail) = x.as_chunks::<8>();
    let whole = accumulate(x.len(), |i, acc: V| acc.add(V::load(&x[i])));
    sum_of_lanes(whole.add(V::load(&pad(tail, 0.0))))
}

#[inline(always)]
pub fn max<V: Lanes>(x: &[f32]) -> f32 {
    let (x, tail) = x.as_chunks::<8>();
    let mut best = V::load(&pad(tail, f32::NEG_INFINITY));
    for group in x {
        best = V::load(group).max(best);
    }
    to_array(best).into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// y ← f(y), group by group.
#[inline(always)]
pub(super) fn update<V: Lanes>(y: &mut [f32], f: impl Fn(usize, V) -> V, f_tail: impl Fn(V) -> V) {
    let (y, tail) = y.as_chunks_mut::<8>();
    for (i, group) in y.iter_mut().enumerate() {
        f(i, V::load(group)).store(group);
    }
    if !tail.is_empty() {
        let result = to_array(f_tail(V::load(&pad(tail, 0.0))));
        tail.copy_from_slice(&result[..tail.len()]);
    }
}

#[inline(always)]
pub fn axpy<V: Lanes>(alpha: f32, x: &[f32], y: &mut [f32]) {
    let alpha = V::splat(alpha);
    let (x, tail) = x.as_chunks::<8>();
    update(y, |i, y| V::load(&x[i]).mul_add(alpha, y), |y| V::load(&pad(tail, 0.0)).mul_add(alpha, y));
}

#[inline(always)]
pub fn scale<V: Lanes>(alpha: f32, x: &mut [f32]) {
    let alpha = V::splat(alpha);
    update(x, |_, x: V| x.mul(alpha), |x| x.mul(alpha));
}

#[inline(always)]
fn product<V: Lanes>(r: f32, x: &[f32; 8], w: &[f32; 8]) -> V {
    V::splat(r).mul(V::load(x)).mul(V::load(w))
}

#[inline(always)]
pub fn scaled_product<V: Lanes>(r: f32, x: &[f32], w: &[f32], y: &mut [f32]) {
    let ((x, x_tail), (w, w_tail)) = (x.as_chunks::<8>(), w.as_chunks::<8>());
    update(y, |i, _| product::<V>(r, &x[i], &w[i]), |_| product(r, &pad(x_tail, 0.0), &pad(w_tail, 0.0)));
}

// ANCHOR: exp
/// eˣ = 2ⁿ·eʳ with n = round(x / ln 2), so that |r| ≤ ½ ln 2, where seven terms of the Taylor series are enough:
/// what is left out is below r⁸/8! < 6·10⁻⁹, a tenth of an ulp. ln 2 is subtracted in two parts (the first has
/// nine bits, so its product with n is exact), or r would carry the rounding of n·ln 2.
/// Below −87 the result is 0 (a scalar exp goes on into subnormals, below 10⁻³⁸); above 88.3, n = 128 makes it
/// infinite.
#[inline(always)]
fn exp<V: Lanes>(x: V) -> V {
    const LN_2_HIGH: f32 = 0.693_359_4; // 355/512
    const LN_2_LOW: f32 = -2.121_944_4e-4; // ln 2 − 355/512
    const TAYLOR: [f32; 6] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];
    // The second operand wins where one is NaN: NaN stays NaN.
    let inside = V::splat(-87.0).max(V::splat(89.0).min(x));
    let n = inside.mul(V::splat(std::f32::consts::LOG2_E)).round();
    let r = n.mul_add(V::splat(-LN_2_LOW), n.mul_add(V::splat(-LN_2_HIGH), inside));
    let mut p = V::splat(1.0 / 5040.0);
    for coefficient in TAYLOR {
        p = p.mul_add(r, V::splat(coefficient));
    }
    let result = p.mul_add(r, V::splat(1.0)).mul(n.exp2_whole());
    result.sub(x.lt_or_zero(V::splat(-87.0), result))
}
// ANCHOR_END: exp

#[inline(always)]
pub fn exp_sum<V: Lanes>(x: &mut [f32], shift: f32) -> f32 {
    let shift = V::splat(shift);
    let mut total = V::splat(0.0);
    let (x, tail) = x.as_chunks_mut::<8>();
    for group in x {
        let e = exp(V::load(group).sub(shift));
        e.store(group);
        total = total.add(e);
    }
    if !tail.is_empty() {
        let e = to_array(exp(V::load(&pad(tail, f32::NEG_INFINITY)).sub(shift)));
        total = total.add(V::load(&pad(&e[..tail.len()], 0.0)));
        tail.copy_from_slice(&e[..tail.len()]);
    }
    sum_of_lanes(total)
}

#[inline(always)]
fn sigmoid<V: Lanes>(x: V) -> V {
    let one = V::splat(1.0);
    one.div(one.add(exp(V::splat(0.0).sub(x))))
}

// ANCHOR: swiglu
/// A pair of groups (g₀ u₀ g₁ u₁ …) as gates and ups.
#[inline(always)]
fn gates_and_ups<V: Lanes>(pairs: &[f32; 16]) -> (V, V) {
    let (groups, _) = pairs.as_chunks::<8>();
    V::load(&groups[0]).deinterleave(V::load(&groups[1]))
}

/// Eight gates and ups, clamped.
#[inline(always)]
fn clamped<V: Lanes>(gate: V, up: V, limit: f32) -> (V, V) {
    let (top, bottom) = (V::splat(limit), V::splat(-limit));
    (top.min(gate), bottom.max(top.min(up)))
}

#[inline(always)]
fn swiglu_group<V: Lanes>(pairs: &[f32; 16], alpha: f32, limit: f32, y: &mut [f32; 8]) {
    let (gate, up) = gates_and_ups::<V>(pairs);
    let (gate, up) = clamped(gate, up, limit);
    up.add(V::splat(1.0)).mul(gate).mul(sigmoid(V::splat(alpha).mul(gate))).store(y);
}
// ANCHOR_END: swiglu

#[inline(always)]
pub fn swiglu<V: Lanes>(gate_up: &[f32], alpha: f32, limit: f32, y: &mut [f32]) {
    let ((pairs, pairs_tail), (ys, y_tail)) = (gate_up.as_chunks::<16>(), y.as_chunks_mut::<8>());
    for (pairs, y) in pairs.iter().zip(ys) {
        swiglu_group::<V>(pairs, alpha, limit, y);
    }
    let mut y = [0.0; 8];
    swiglu_group::<V>(&pad(pairs_tail, 0.0), alpha, limit, &mut y);
    y_tail.copy_from_slice(&y[..y_tail.len()]);
}

#[inline(always)]
fn swiglu_backward_group<V: Lanes>(pairs: &[f32; 16], dy: &[f32; 8], alpha: f32, limit: f32, dpairs: &mut [f32; 16]) {
    let (one, top, bottom) = (V::splat(1.0), V::splat(limit), V::splat(-limit));
    let (gate_in, up_in) = gates_and_ups::<V>(pairs);
    let (gate, up) = clamped(gate_in, up_in, limit);
    let (dy, scaled) = (V::load(dy), V::splat(alpha).mul(gate));
    let s = sigmoid(scaled);
    let dgate = dy.mul(up.add(one)).mul(s).mul(scaled.mul_add(one.sub(s), one));
    let dup = dy.mul(gate).mul(s);
    let dgate = gate_in.lt_or_zero(top, dgate);
    let dup = bottom.lt_or_zero(up_in, up_in.lt_or_zero(top, dup));
    let (low, high) = dgate.interleave(dup);
    let (groups, _) = dpairs.as_chunks_mut::<8>();
    low.store(&mut groups[0]);
    high.store(&mut groups[1]);
}

#[inline(always)]
pub fn swiglu_backward<V: Lanes>(gate_up: &[f32], dy: &[f32], alpha: f32, limit: f32, dgate_up: &mut [f32]) {
    let ((pairs, pairs_tail), (dys, dy_tail)) = (gate_up.as_chunks::<16>(), dy.as_chunks::<8>());
    let (dpairs, dpairs_tail) = dgate_up.as_chunks_mut::<16>();
    for ((pairs, dy), dpairs) in pairs.iter().zip(dys).zip(dpairs) {
        swiglu_backward_group::<V>(pairs, dy, alpha, limit, dpairs);
    }
    let mut dpairs = [0.0; 16];
    swiglu_backward_group::<V>(&pad(pairs_tail, 0.0), &pad(dy_tail, 0.0), alpha, limit, &mut dpairs);
    dpairs_tail.copy_from_slice(&dpairs[..dpairs_tail.len()]);
}

#[inline(always)]
fn adamw_group<V: Lanes>(step: &AdamW, g: &[f32; 8], w: &mut [f32; 8], m: &mut [f32; 8], v: &mut [f32; 8]) {
    let g = V::load(g).mul(V::splat(step.gradient_scale));
    let m_new = g.sub(V::load(m)).mul_add(V::splat(step.one_minus_beta1), V::load(m));
    let v_new = V::load(v).mul(V::splat(step.beta2)).add(g.mul(g).mul(V::splat(step.one_minus_beta2)));
    let denominator = v_new.sqrt().div(V::splat(step.root_correction)).add(V::splat(step.epsilon));
    let change = V::splat(step.step_size).mul(m_new).div(denominator);
    V::load(w).mul(V::splat(step.keep)).sub(change).store(w);
    m_new.store(m);
    v_new.store(v);
}

#[inline(always)]
pub fn adamw<V: Lanes>(step: &AdamW, gradient: &[f32], weight: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let (gs, g_tail) = gradient.as_chunks::<8>();
    let (ws, w_tail) = weight.as_chunks_mut::<8>();
    let (ms, m_tail) = m.as_chunks_mut::<8>();
    let (vs, v_tail) = v.as_chunks_mut::<8>();
    for (((g, w), m), v) in gs.iter().zip(ws).zip(ms).zip(vs) {
        adamw_group::<V>(step, g, w, m, v);
    }
    let (mut w, mut m, mut v) = (pad(w_tail, 0.0), pad(m_tail, 0.0), pad(v_tail, 0.0));
    adamw_group::<V>(step, &pad(g_tail, 0.0), &mut w, &mut m, &mut v);
    w_tail.copy_from_slice(&w[..w_tail.len()]);
    m_tail.copy_from_slice(&m[..m_tail.len()]);
    v_tail.copy_from_slice(&v[..v_tail.len()]);
}
