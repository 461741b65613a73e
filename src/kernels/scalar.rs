//! The scalar twin of every primitive, written as plainly as possible. It stays for good: as the definition that a learner
//! reads, as the fallback on machines without vectors, and as the reference that tests compare the fast version with.

use super::adamw::AdamWStep;
use super::formats::{Bf16, INT8_NAN, Int8Block, Int8Input, Int8Pair, bf16, int8_scale};
use super::panel_columns;
use crate::mxfp4::{VALUES, scale as mxfp4_scale};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};

// ANCHOR: dot
/// Σ aᵢ·bᵢ
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
// ANCHOR_END: dot

/// Σ xᵢ·wᵢ for every x with every w.
pub fn dots(x: [&[f32]; 4], w: [&[f32]; 3]) -> [[f32; 3]; 4] {
    x.map(|x| w.map(|w| dot(x, w)))
}

/// C ← α·A·B, or C ← C + α·A·B. As all products on this instruction set, it is computed by the crate `matrixmultiply`.
pub fn multiply_panel(alpha: f32, a: ArrayView2<f32>, panel: &[f32], add: bool, mut c: ArrayViewMut2<f32>) {
    let b = ArrayView2::from_shape((a.ncols(), panel_columns()), panel).expect("whole rows");
    general_mat_mul(alpha, &a, &b.slice(s![.., ..c.ncols()]), if add { 1.0 } else { 0.0 }, &mut c);
}

/// The numbers of B row by row, each row filled up with zeros.
pub fn pack_panel(b: ArrayView2<f32>, panel: &mut [f32]) {
    for (k, row) in panel.chunks_exact_mut(panel_columns()).enumerate() {
        for (j, number) in row.iter_mut().enumerate() {
            *number = b.get((k, j)).copied().unwrap_or(0.0);
        }
    }
}

/// s(h, t) = ⟨qₕ, kₜ⟩
pub fn head_scores(q: &[f32], k: &[f32], dim: usize, s: &mut [f32]) {
    let pairs = q.chunks_exact(dim).flat_map(|q| k.chunks_exact(dim).map(move |k| (q, k)));
    for (s, (q, k)) in s.iter_mut().zip(pairs) {
        *s = dot(q, k);
    }
}

/// oₕ ← oₕ + Σₜ p(h, t)·vₜ
pub fn head_values(p: &[f32], v: &[f32], dim: usize, o: &mut [f32]) {
    for (p, o) in p.chunks_exact(v.len() / dim).zip(o.chunks_exact_mut(dim)) {
        for (p, v) in p.iter().zip(v.chunks_exact(dim)) {
            axpy(*p, v, o);
        }
    }
}

/// y ← y + Σᵢ xᵢ·wᵢ
pub fn add_rows(x: &[f32], w: &[f32], stride: usize, y: &mut [f32]) {
    for (x, w) in x.iter().zip(w.chunks(stride)) {
        axpy(*x, &w[..y.len()], y);
    }
}

/// Σ xᵢ
pub fn sum(x: &[f32]) -> f32 {
    x.iter().sum()
}

/// max xᵢ, or −∞ if x is empty.
pub fn max(x: &[f32]) -> f32 {
    x.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// yᵢ ← yᵢ + α·xᵢ
pub fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += alpha * x;
    }
}

/// xᵢ ← α·xᵢ
pub fn scale(alpha: f32, x: &mut [f32]) {
    for x in x {
        *x *= alpha;
    }
}

/// xᵢ ← exp(xᵢ − shift); returns the new Σ xᵢ.
pub fn exp_sum(x: &mut [f32], shift: f32) -> f32 {
    for x in x.iter_mut() {
        *x = (*x - shift).exp();
    }
    sum(x)
}

// ANCHOR: online_softmax
/// Takes in new keys: the maximum m of each column grows, s ← exp(s − m), and l and o are scaled to the new m.
pub fn online_softmax(s: &mut [f32], m: &mut [f32], l: &mut [f32], o: &mut [f32]) {
    let columns = m.len();
    for (column, (m, l)) in m.iter_mut().zip(l).enumerate() {
        let new = s.iter().skip(column).step_by(columns).copied().fold(*m, f32::max);
        let shift = new.max(f32::MIN); // not −∞, because −∞ − (−∞) is NaN
        let shrink = (*m - shift).exp();
        *m = new;
        *l *= shrink;
        o.iter_mut().skip(column).step_by(columns).for_each(|o| *o *= shrink);
        for s in s.iter_mut().skip(column).step_by(columns) {
            *s = (*s - shift).exp();
            *l += *s;
        }
    }
}
// ANCHOR_END: online_softmax

/// p ← exp(p − lse), and dp ← p·(dp − Δ)·scale
pub fn online_softmax_backward(p: &mut [f32], dp: &mut [f32], lse: &[f32], delta: &[f32], scale: f32) {
    for (i, (p, dp)) in p.iter_mut().zip(dp).enumerate() {
        *p = (*p - lse[i % lse.len()]).exp();
        *dp = *p * (*dp - delta[i % lse.len()]) * scale;
    }
}

/// yᵢ ← r·xᵢ·wᵢ
pub fn scaled_product(r: f32, x: &[f32], w: &[f32], y: &mut [f32]) {
    for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
        *y = r * x * w;
    }
}

/// Σ aᵢ·bᵢ·cᵢ
pub fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    a.iter().zip(b).zip(c).map(|((a, b), c)| a * b * c).sum()
}

/// 1 / (1 + e⁻ˣ)
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

// ANCHOR: swiglu
/// yᵢ = (u + 1) · g · σ(αg),  with g = min(gateᵢ, limit) and u = clamp(upᵢ, −limit, limit).
pub fn swiglu(gate_up: &[f32], alpha: f32, limit: f32, y: &mut [f32]) {
    for (y, pair) in y.iter_mut().zip(gate_up.chunks_exact(2)) {
        let (gate, up) = (pair[0].clamp(f32::NEG_INFINITY, limit), pair[1].clamp(-limit, limit));
        *y = (up + 1.0) * gate * sigmoid(alpha * gate);
    }
}

/// dgate = dy·(u + 1)·(σ + αgσ(1 − σ)) where gate < limit, else 0;  dup = dy·gσ where |up| < limit, else 0.
pub fn swiglu_backward(gate_up: &[f32], dy: &[f32], alpha: f32, limit: f32, dgate_up: &mut [f32]) {
    for ((pair, dy), dpair) in gate_up.chunks_exact(2).zip(dy).zip(dgate_up.chunks_exact_mut(2)) {
        let (gate, up) = (pair[0].clamp(f32::NEG_INFINITY, limit), pair[1].clamp(-limit, limit));
        let s = sigmoid(alpha * gate);
        dpair[0] = if pair[0] < limit { dy * (up + 1.0) * s * (1.0 + alpha * gate * (1.0 - s)) } else { 0.0 };
        dpair[1] = if pair[1].abs() < limit { dy * gate * s } else { 0.0 };
    }
}
// ANCHOR_END: swiglu

// ANCHOR: adamw
/// One AdamW step by the formula of [`AdamWStep`].
pub fn adamw(step: &AdamWStep, gradient: &[f32], weight: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    for (((g, w), m), v) in gradient.iter().zip(weight).zip(m).zip(v) {
        let g = g * step.gradient_scale;
        *m += (g - *m) * step.one_minus_beta1;
        *v = *v * step.beta2 + g * g * step.one_minus_beta2;
        *w = *w * step.keep - step.step_size * *m / (v.sqrt() / step.root_correction + step.epsilon);
    }
}
// ANCHOR_END: adamw

/// Σ xᵢ·wᵢ
pub fn dot_bf16(x: &[f32], w: &[Bf16]) -> f32 {
    x.iter().zip(w).map(|(x, &w)| x * bf16(w)).sum()
}

/// yᵢ ← wᵢ
pub fn expand_bf16(w: &[Bf16], y: &mut [f32]) {
    for (y, &w) in y.iter_mut().zip(w) {
        *y = bf16(w);
    }
}

// ANCHOR: mxfp4
/// Returns the 32 values of a block before scaling. The low half of a byte comes first.
fn values(codes: &[u8; 16]) -> impl Iterator<Item = f32> {
    codes.iter().flat_map(|&byte| [VALUES[usize::from(byte & 15)], VALUES[usize::from(byte >> 4)]])
}

/// Copies x and pads it with zeros: the scalar product reads x in its own order.
pub fn arrange_mxfp4(x: &[f32], y: &mut [f32]) {
    y[..x.len()].copy_from_slice(x);
    y[x.len()..].fill(0.0);
}

/// Σ xᵢ·wᵢ. The products of a block are summed first and scaled once.
pub fn dot_mxfp4(x: &[f32], codes: &[[u8; 16]], scales: &[u8]) -> f32 {
    let blocks = x.chunks_exact(32).zip(codes).zip(scales);
    blocks
        .map(|((x, codes), &scale)| x.iter().zip(values(codes)).map(|(x, w)| x * w).sum::<f32>() * mxfp4_scale(scale))
        .sum()
}

/// yᵢ ← wᵢ
pub fn expand_mxfp4(codes: &[[u8; 16]], scales: &[u8], y: &mut [f32]) {
    for ((y, codes), &scale) in y.chunks_exact_mut(32).zip(codes).zip(scales) {
        for (y, w) in y.iter_mut().zip(values(codes)) {
            *y = w * mxfp4_scale(scale);
        }
    }
}
// ANCHOR_END: mxfp4

// ANCHOR: int8
/// Quantizes each block with the smallest bf16 scale that keeps its codes within ±127.
pub fn quantize_int8(x: &[f32], y: &mut [Int8Block]) {
    for (x, y) in x.chunks_exact(32).zip(y) {
        let (scale, inverse) = int8_scale(x.iter().fold(0.0, |largest: f32, x| largest.max(x.abs())));
        *y = match x.iter().all(|x| x.is_finite()) {
            true => Int8Block { codes: std::array::from_fn(|i| nearest_code(x[i], bf16(scale), inverse)), scale },
            false => Int8Block { codes: [0; 32], scale: INT8_NAN },
        };
    }
}

/// Returns the integer that is nearest to x / step. Near the middle between two integers, the product with the rounded inverse may
/// be on the wrong side, so the rest decides, which a fused multiply-add computes with a single rounding.
fn nearest_code(x: f32, step: f32, inverse: f32) -> i8 {
    let code = (x * inverse).round_ties_even();
    let rest = (-step).mul_add(code, x);
    let correction = i8::from(rest > 0.5 * step) - i8::from(rest < -0.5 * step);
    if step == 0.0 { 0 } else { code as i8 + correction }
}

/// Σ xᵢ·wᵢ. The codes of a block are multiplied and added as integers, and the sum is scaled once.
pub fn dot_int8_int8(x: &[Int8Block], w: &[Int8Block]) -> f32 {
    let integers = |x: &Int8Block, w: &Int8Block| -> i32 {
        x.codes.iter().zip(&w.codes).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum()
    };
    x.iter().zip(w).map(|(x, w)| x.scale() * w.scale() * integers(x, w) as f32).sum()
}

/// Σ xᵢ·wᵢ with w in MXFP4, whose values, doubled, are integers too.
pub fn dot_int8_mxfp4(x: &[Int8Pair], codes: &[[u8; 16]], scales: &[u8]) -> f32 {
    let block = |i: usize| {
        let (x, half) = (&x[i / 2], i % 2);
        let (even, odd) = (&x.codes[16 * half..], &x.codes[16 * half + 32..]);
        let twice = |code: u8| (2.0 * VALUES[usize::from(code)]) as i32;
        let of_byte = |j: usize, byte: u8| twice(byte & 15) * i32::from(even[j]) + twice(byte >> 4) * i32::from(odd[j]);
        let sum: i32 = codes[i].iter().enumerate().map(|(j, &byte)| of_byte(j, byte)).sum();
        sum as f32 * (mxfp4_scale(scales[i]) * x.scales::<8>()[4 * half])
    };
    (0..codes.len()).map(block).sum()
}

/// Twice the weights plus 12, block by block: eight rows of four even numbers of k and then eight rows of four odd ones.
pub fn pack_mxfp4(codes: &[[u8; 16]], blocks: usize, panel: &mut [[u8; 4]]) {
    let byte = |code: u8| (2.0 * VALUES[usize::from(code)] + 12.0) as u8;
    for (i, bytes) in panel.iter_mut().enumerate() {
        let (row, four, block) = (i % panel_columns(), i / panel_columns() % 8, i / panel_columns() / 8);
        let codes = codes[row.min(codes.len() / blocks - 1) * blocks + block];
        *bytes = std::array::from_fn(|j| match codes[4 * (four % 4) + j] {
            both if four < 4 => byte(both & 15),
            both => byte(both >> 4),
        });
    }
}

/// The weights plus 128, block by block: eight rows of four numbers of k.
pub fn pack_int8(w: &[Int8Block], blocks: usize, panel: &mut [[u8; 4]]) {
    for (i, bytes) in panel.iter_mut().enumerate() {
        let (row, four, block) = (i % panel_columns(), i / panel_columns() % 8, i / panel_columns() / 8);
        let codes = w[row.min(w.len() / blocks - 1) * blocks + block].codes;
        *bytes = std::array::from_fn(|j| (i32::from(codes[4 * four + j]) + 128) as u8);
    }
}

/// Y ← Y + X·W
pub fn multiply_bytes(x: ArrayView2<Int8Input>, panel: &[[u8; 4]], scales: &[f32], mut y: ArrayViewMut2<f32>) {
    let columns = panel_columns();
    for ((t, row), y) in y.indexed_iter_mut() {
        for (block, x) in x.row(t).iter().enumerate() {
            let mut sum = x.offset;
            for (four, codes) in x.codes.iter().enumerate() {
                let bytes = panel[(8 * block + four) * columns + row];
                let products = codes.to_ne_bytes().map(|code| i32::from(code as i8)).into_iter().zip(bytes);
                sum += products.map(|(code, byte)| code * i32::from(byte)).sum::<i32>();
            }
            *y += sum as f32 * (x.scale * scales[block * columns + row]);
        }
    }
}

/// Σ xᵢ·wᵢ
pub fn dot_int8(x: &[f32], w: &[Int8Block]) -> f32 {
    let block = |x: &[f32], w: &Int8Block| x.iter().zip(&w.codes).map(|(x, &w)| x * f32::from(w)).sum::<f32>();
    x.chunks_exact(32).zip(w).map(|(x, w)| block(x, w) * w.scale()).sum()
}

/// yᵢ ← wᵢ
pub fn expand_int8(w: &[Int8Block], y: &mut [f32]) {
    for (y, w) in y.chunks_exact_mut(32).zip(w) {
        for (y, &code) in y.iter_mut().zip(&w.codes) {
            *y = f32::from(code) * w.scale();
        }
    }
}
// ANCHOR_END: int8
