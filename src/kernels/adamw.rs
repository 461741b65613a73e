//! The constants of an AdamW step, as the kernel needs them.

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
