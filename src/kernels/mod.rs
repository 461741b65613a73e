//! Slices in, slices out: every hot loop of the engine, and all of its SIMD and `unsafe`.
//!
//! Each primitive exists twice. [`scalar`] says what it computes in the plainest way and is kept for good.
//! `vector` says the same eight numbers at a time, over a [`Lanes`] type that each instruction set provides
//! (`avx2`, `neon`). The functions of this module pick one of the two; they are what the ops call.
//!
//! The choice is made once, from what the processor has, and can be forced with `OSSIA_ISA=scalar|avx2|neon`.
//! Results of the two differ in the last bits only (the order of a sum, fused multiply-add); tests hold each
//! against its twin on every length.
//!
//! Work is spread over threads by [`parallel`], always in pieces whose borders do not depend on the number of
//! threads: 1, 2 or 16 threads give the same bits.

pub mod scalar;
mod lanes;
mod vector;
mod heads;
mod narrow;
mod int8;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
pub mod memory;
pub mod parallel;
pub mod gemm;

pub use gemm::{gemm, par_gemm};
pub use int8::{Int8Block, Int8Pair};
pub use lanes::Lanes;

use std::sync::OnceLock;

/// The two bytes of a bf16, the upper half of an `f32`, low byte first. As bytes, since a file may put it anywhere.
pub type Bf16 = [u8; 2];

/// An instruction set for which the primitives exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust, for every machine.
    Scalar,
    /// 256-bit vectors with fused multiply-add (x86-64 since 2013).
    Avx2,
    /// 128-bit vectors, two at a time (64-bit ARM).
    Neon,
}

impl Isa {
    /// Every instruction set, from slow to fast.
    pub const ALL: [Isa; 3] = [Isa::Scalar, Isa::Avx2, Isa::Neon];

    /// The name that `OSSIA_ISA` takes.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Neon => "neon",
        }
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 => false,
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Neon => false,
        }
    }
}

/// The instruction set to use, from what is asked for and what there is. Pure, so that the choice is tested.
///
/// # Errors
/// One line, if the one asked for is unknown or not available.
pub fn choose(requested: Option<&str>, available: &[Isa]) -> Result<Isa, String> {
    let names = || available.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
    match requested {
        None => Ok(available.last().copied().unwrap_or(Isa::Scalar)),
        Some(name) => match available.iter().find(|isa| isa.name() == name) {
            Some(isa) => Ok(*isa),
            None => Err(format!("OSSIA_ISA={name}: this machine has {}; unset it or name one of these", names())),
        },
    }
}

/// What [`choose`] says on this machine, decided once.
///
/// # Errors
/// One line, if `OSSIA_ISA` names a set that is not available. A program should ask before it computes.
pub fn selected() -> Result<Isa, &'static str> {
    static SELECTED: OnceLock<Result<Isa, String>> = OnceLock::new();
    let selected = SELECTED.get_or_init(|| {
        let available: Vec<Isa> = Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect();
        choose(std::env::var("OSSIA_ISA").ok().as_deref(), &available)
    });
    selected.as_ref().copied().map_err(String::as_str)
}

fn isa() -> Isa {
    selected().unwrap_or_else(|message| panic!("{message}"))
}

// ANCHOR: primitives
/// Declares the public face of each primitive: check the lengths, then call the chosen twin.
macro_rules! primitives {
    ($( $(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? where $check:expr; )*) => {
        $(
            $(#[$doc])*
            pub fn $name($($arg: $ty),*) $(-> $ret)? {
                assert!($check, concat!("kernels::", stringify!($name), ": lengths do not fit: ", stringify!($check)));
                match isa() {
                    // SAFETY: `selected` yields Avx2 only where `is_available` found avx2 and fma.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => unsafe { with_avx2::$name($($arg),*) },
                    // SAFETY: `selected` yields Neon only where `is_available` found neon.
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => unsafe { with_neon::$name($($arg),*) },
                    _ => scalar::$name($($arg),*),
                }
            }
        )*
        // ANCHOR_END: primitives

        /// The primitives of `vector`, compiled for AVX2. Unsafe to call elsewhere: the processor must have avx2, fma.
        #[cfg(target_arch = "x86_64")]
        mod with_avx2 {
            use super::*;
            $(
                #[target_feature(enable = "avx2,fma")]
                pub fn $name($($arg: $ty),*) $(-> $ret)? {
                    vector::$name::<avx2::F32x8>($($arg),*)
                }
            )*
        }

        /// The same, compiled for NEON.
        #[cfg(target_arch = "aarch64")]
        mod with_neon {
            use super::*;
            $(
                #[target_feature(enable = "neon")]
                pub fn $name($($arg: $ty),*) $(-> $ret)? {
                    vector::$name::<neon::F32x8>($($arg),*)
                }
            )*
        }
    };
}

primitives! {
    /// Σ aᵢ·bᵢ
    fn dot(a: &[f32], b: &[f32]) -> f32 where a.len() == b.len();
    /// Σ xᵢ·wᵢ of every x with every w: each number that is loaded is used three or four times.
    fn dots(x: [&[f32]; 4], w: [&[f32]; 3]) -> [[f32; 3]; 4]
        where x.iter().chain(&w).all(|row| row.len() == x[0].len());
    /// s(h, t) = ⟨qₕ, kₜ⟩ of a few rows q (G·D,) with many k (T·D,): s (G·T,).
    fn head_scores(q: &[f32], k: &[f32], dim: usize, s: &mut [f32])
        where heads::fit(dim, q.len(), k.len(), s.len());
    /// oₕ ← oₕ + Σₜ p(h, t)·vₜ: p (G·T,), v (T·D,), o (G·D,).
    fn head_values(p: &[f32], v: &[f32], dim: usize, o: &mut [f32])
        where heads::fit(dim, o.len(), v.len(), p.len());
    /// Σ xᵢ
    fn sum(x: &[f32]) -> f32 where true;
    /// max xᵢ; −∞ of nothing.
    fn max(x: &[f32]) -> f32 where true;
    /// yᵢ ← yᵢ + α·xᵢ
    fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) where x.len() == y.len();
    /// xᵢ ← α·xᵢ
    fn scale(alpha: f32, x: &mut [f32]) where true;
    /// xᵢ ← exp(xᵢ − shift); returns the new Σ xᵢ. The inside of a softmax. Exact to 2 ulp; below e⁻⁸⁷ it is 0.
    fn exp_sum(x: &mut [f32], shift: f32) -> f32 where true;
    /// yᵢ ← r·xᵢ·wᵢ. The last step of RMSNorm.
    fn scaled_product(r: f32, x: &[f32], w: &[f32], y: &mut [f32]) where x.len() == w.len() && w.len() == y.len();
    /// Σ aᵢ·bᵢ·cᵢ
    fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 where a.len() == b.len() && b.len() == c.len();
    /// Clamped SwiGLU of one row; `gate_up` holds (g₀, u₀, g₁, u₁, …). See [`crate::ops::swiglu`] for the maths.
    fn swiglu(gate_up: &[f32], alpha: f32, limit: f32, y: &mut [f32]) where gate_up.len() == 2 * y.len();
    /// The way back of [`swiglu`]: `gate_up` and dy give d`gate_up`.
    fn swiglu_backward(gate_up: &[f32], dy: &[f32], alpha: f32, limit: f32, dgate_up: &mut [f32])
        where gate_up.len() == 2 * dy.len() && gate_up.len() == dgate_up.len();
    /// Σ xᵢ·wᵢ with w in bf16.
    fn dot_bf16(x: &[f32], w: &[Bf16]) -> f32 where x.len() == w.len();
    /// yᵢ ← yᵢ + α·wᵢ with w in bf16.
    fn axpy_bf16(alpha: f32, w: &[Bf16], y: &mut [f32]) where w.len() == y.len();
    /// yᵢ ← wᵢ with w in bf16. Exact.
    fn expand_bf16(w: &[Bf16], y: &mut [f32]) where w.len() == y.len();
    /// x in the order in which [`dot_mxfp4`] of this instruction set is fastest, with zeros up to a whole pair of blocks.
    fn arrange_mxfp4(x: &[f32], y: &mut [f32]) where y.len() == x.len().next_multiple_of(64);
    /// Σ xᵢ·wᵢ with w in MXFP4, see [`crate::mxfp4`]: a scale a block. `x` comes from [`arrange_mxfp4`].
    fn dot_mxfp4(x: &[f32], codes: &[[u8; 16]], scales: &[u8]) -> f32
        where codes.len() == scales.len() && x.len() == 64 * codes.len().div_ceil(2);
    /// yᵢ ← yᵢ + α·wᵢ with w in MXFP4.
    fn axpy_mxfp4(alpha: f32, codes: &[[u8; 16]], scales: &[u8], y: &mut [f32])
        where codes.len() == scales.len() && y.len() == 32 * codes.len();
    /// yᵢ ← wᵢ with w in MXFP4. Exact.
    fn expand_mxfp4(codes: &[[u8; 16]], scales: &[u8], y: &mut [f32])
        where codes.len() == scales.len() && y.len() == 32 * codes.len();
    /// x in blocks of whole numbers, each with its own scale.
    fn quantize_int8(x: &[f32], y: &mut [Int8Block]) where x.len() == 32 * y.len();
    /// Σ xᵢ·wᵢ with w in int8.
    fn dot_int8(x: &[f32], w: &[Int8Block]) -> f32 where x.len() == 32 * w.len();
    /// yᵢ ← yᵢ + α·wᵢ with w in int8.
    fn axpy_int8(alpha: f32, w: &[Int8Block], y: &mut [f32]) where y.len() == 32 * w.len();
    /// yᵢ ← wᵢ with w in int8.
    fn expand_int8(w: &[Int8Block], y: &mut [f32]) where y.len() == 32 * w.len();
    /// Σ xᵢ·wᵢ with both in int8.
    fn dot_int8_int8(x: &[Int8Block], w: &[Int8Block]) -> f32 where x.len() == w.len();
    /// Σ xᵢ·wᵢ with x in int8 and w in MXFP4.
    fn dot_int8_mxfp4(x: &[Int8Pair], codes: &[[u8; 16]], scales: &[u8]) -> f32
        where codes.len() == scales.len() && x.len() == codes.len().div_ceil(2);
    /// One AdamW step on one run of weights; see [`AdamW`].
    fn adamw(step: &AdamW, gradient: &[f32], weight: &mut [f32], m: &mut [f32], v: &mut [f32])
        where gradient.len() == weight.len() && weight.len() == m.len() && m.len() == v.len();
}

/// The numbers of one AdamW step (Loshchilov & Hutter 2019, <https://arxiv.org/abs/1711.05101>), bias corrections
/// included, in PyTorch's order of operations:
/// w ← w·(1 − lr·λ);  m ← m + (g − m)(1 − β₁);  v ← β₂v + (1 − β₂)g²;  w ← w − lr/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// 1 − lr·λ, what decoupled weight decay leaves of a weight.
    pub keep: f32,
    /// 1 − β₁
    pub one_minus_beta1: f32,
    /// β₂
    pub beta2: f32,
    /// 1 − β₂, rounded once, as PyTorch does
    pub one_minus_beta2: f32,
    /// lr / (1 − β₁ᵗ)
    pub step_size: f32,
    /// √(1 − β₂ᵗ)
    pub root_correction: f32,
    /// ε
    pub epsilon: f32,
    /// What every gradient is multiplied with first: the clipping factor.
    pub gradient_scale: f32,
}
