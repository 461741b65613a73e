//! The AdamW step of N weights at a time, and its constants.

use super::lanes::{Lanes, Simd};
use super::vector::pad;

/// The constants of one AdamW step (Loshchilov & Hutter 2019, <https://arxiv.org/abs/1711.05101>), bias corrections
/// included. The kernel applies them in PyTorch's order of operations:
/// w ← w·(1 − lr·λ);  m ← m + (g − m)(1 − β₁);  v ← β₂v + (1 − β₂)g²;  w ← w − lr/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// 1 − lr·λ: the factor that decoupled weight decay applies to a weight.
    pub keep: f32,
    /// 1 − β₁
    pub one_minus_beta1: f32,
    /// β₂
    pub beta2: f32,
    /// 1 − β₂, rounded once, as in PyTorch.
    pub one_minus_beta2: f32,
    /// lr / (1 − β₁ᵗ)
    pub step_size: f32,
    /// √(1 − β₂ᵗ)
    pub root_correction: f32,
    /// ε
    pub epsilon: f32,
    /// The factor that every gradient is multiplied by first, for clipping.
    pub gradient_scale: f32,
}

/// One AdamW step of N weights.
#[inline(always)]
fn adamw_group<const N: usize, S: Simd<N>>(
    simd: S,
    step: &AdamWStep,
    g: &[f32; N],
    w: &mut [f32; N],
    m: &mut [f32; N],
    v: &mut [f32; N],
) {
    let g = simd.load(g).mul(simd.splat(step.gradient_scale));
    let m_new = g.sub(simd.load(m)).mul_add(simd.splat(step.one_minus_beta1), simd.load(m));
    let v_new = simd.load(v).mul(simd.splat(step.beta2)).add(g.mul(g).mul(simd.splat(step.one_minus_beta2)));
    let denominator = v_new.sqrt().div(simd.splat(step.root_correction)).add(simd.splat(step.epsilon));
    let change = simd.splat(step.step_size).mul(m_new).div(denominator);
    simd.load(w).mul(simd.splat(step.keep)).sub(change).store(w);
    m_new.store(m);
    v_new.store(v);
}

#[inline(always)]
pub fn adamw<const N: usize, S: Simd<N>>(
    simd: S,
    step: &AdamWStep,
    gradient: &[f32],
    weight: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    let (gs, g_tail) = gradient.as_chunks::<N>();
    let (ws, w_tail) = weight.as_chunks_mut::<N>();
    let (ms, m_tail) = m.as_chunks_mut::<N>();
    let (vs, v_tail) = v.as_chunks_mut::<N>();
    for (((g, w), m), v) in gs.iter().zip(ws).zip(ms).zip(vs) {
        adamw_group(simd, step, g, w, m, v);
    }
    let (mut w, mut m, mut v) = (pad(w_tail, 0.0), pad(m_tail, 0.0), pad(v_tail, 0.0));
    adamw_group(simd, step, &pad(g_tail, 0.0), &mut w, &mut m, &mut v);
    w_tail.copy_from_slice(&w[..w_tail.len()]);
    m_tail.copy_from_slice(&m[..m_tail.len()]);
    v_tail.copy_from_slice(&v[..v_tail.len()]);
}
