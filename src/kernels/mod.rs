//! Slices in, slices out: every hot loop of the engine, and all of its SIMD and `unsafe` code.
//!
//! Each primitive exists twice. [`scalar`] computes it in the plainest way and stays for good as the reference. The
//! vectorized twin (`vector`, `heads`, `softmax`, `narrow`, `int8`, `tile`, `bytes`) computes it eight or sixteen
//! numbers at a time, in terms of the operations that each instruction set (`avx2`, `avx512`, `neon`, `wasm`) provides. The
//! functions of this module call one of the two; the ops call these functions.
//!
//! The choice is made once, from the features of the processor, and can be forced with the environment variable `OSSIA_ISA`
//! (see [`Isa`]). The results of the twins differ in the last bits only, because sums have another order and a fused
//! multiply-add (which `wasm` lacks) rounds once. Tests compare each with its twin on every length, for every instruction set of
//! the machine.
//!
//! [`parallel`] spreads pieces of work over threads. 1, 2 or 16 threads give the same bits, because a sum is either computed
//! inside a single piece, in a fixed order, or it is split at borders that do not depend on the number of threads.

#![warn(clippy::undocumented_unsafe_blocks)]

mod formats;
mod adamw;
pub mod scalar;
mod lanes;
mod vector;
mod heads;
mod softmax;
mod narrow;
mod int8;
mod tile;
mod bytes;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
pub mod memory;
pub mod signals;
pub mod parallel;
pub mod gemm;
mod strips;

pub use adamw::AdamWStep;
pub use formats::{Bf16, Int8Block, Int8Input, Int8Pair, bf16};
pub use gemm::{gemm, gemm_in_pieces};
pub use strips::{par_gemm, par_grouped_product, par_product};

use crate::error::Error;
use ndarray::{ArrayView2, ArrayViewMut2};
use std::sync::OnceLock;

/// An instruction set that the primitives are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust, for every machine.
    Scalar,
    /// AVX2 and FMA: 256-bit vectors with fused multiply-add (Intel since 2013, AMD since 2015).
    Avx2,
    /// AVX2 and AVX-VNNI, which multiplies bytes and adds four products at once (Intel since 2021, AMD since 2024).
    Avx2Vnni,
    /// AVX-512 F, BW, DQ and VL: 512-bit vectors (Intel's servers since 2017, AMD since 2022).
    Avx512,
    /// AVX-512 with VNNI, which multiplies bytes and adds four products at once (Intel's servers since 2019, AMD since 2022).
    Avx512Vnni,
    /// NEON: 128-bit vectors, used two at a time (64-bit ARM).
    Neon,
    /// SIMD128: 128-bit vectors, used two at a time (WebAssembly; Chrome and Firefox since 2021, Safari since 2023). A module
    /// cannot ask what its engine has, and an engine without SIMD128 refuses a module that contains its instructions. So it is
    /// available in a module that was compiled with `-C target-feature=+simd128`.
    Wasm128,
}

impl Isa {
    /// All instruction sets, from slow to fast.
    pub const ALL: [Isa; 7] =
        [Isa::Scalar, Isa::Avx2, Isa::Avx2Vnni, Isa::Avx512, Isa::Avx512Vnni, Isa::Neon, Isa::Wasm128];

    /// Returns the name that the environment variable `OSSIA_ISA` accepts.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx2Vnni => "avx2vnni",
            Isa::Avx512 => "avx512",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Neon => "neon",
            Isa::Wasm128 => "wasm128",
        }
    }

    /// Returns whether this processor has the instruction set.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2Vnni => Isa::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Isa::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx2Vnni | Isa::Avx512 | Isa::Avx512Vnni => false,
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Neon => false,
            Isa::Wasm128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
        }
    }

    /// Returns the instruction sets of this machine, from slow to fast.
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }
}

/// `OSSIA_ISA` names an instruction set that this machine does not have, or that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("OSSIA_ISA={requested}: this machine has {available}; unset it or name one of these")]
pub struct UnavailableIsa {
    /// The value of `OSSIA_ISA`.
    pub requested: String,
    /// The names of the available instruction sets, separated by commas.
    pub available: String,
}

impl From<UnavailableIsa> for Error {
    fn from(error: UnavailableIsa) -> Self {
        Error::unusable(error)
    }
}

/// Chooses the instruction set to use: the requested one, or else the last of `available`. It is a pure function, so that
/// the choice can be tested.
///
/// # Errors
/// If the requested instruction set is not in `available`.
pub fn choose(requested: Option<&str>, available: &[Isa]) -> Result<Isa, UnavailableIsa> {
    match requested {
        None => Ok(available.last().copied().unwrap_or(Isa::Scalar)),
        Some(name) => match available.iter().find(|isa| isa.name() == name) {
            Some(isa) => Ok(*isa),
            None => Err(UnavailableIsa {
                requested: name.to_string(),
                available: available.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", "),
            }),
        },
    }
}

/// Returns the instruction set that [`choose`] picks on this machine. It is decided once per process.
///
/// # Errors
/// If `OSSIA_ISA` names an instruction set that is not available. A program should call this function at its start,
/// because the primitives panic with the same message.
pub fn selected() -> Result<Isa, UnavailableIsa> {
    selection().clone()
}

/// Selects an instruction set for the rest of the program, for results that have to be the same bits on every machine that
/// has it. Returns whether it is the selected one now: the machine may lack it, or another one may have been selected before.
pub fn select(isa: Isa) -> bool {
    isa.is_available() && SELECTION.get_or_init(|| Ok(isa)) == &Ok(isa)
}

static SELECTION: OnceLock<Result<Isa, UnavailableIsa>> = OnceLock::new();

fn selection() -> &'static Result<Isa, UnavailableIsa> {
    SELECTION.get_or_init(|| choose(std::env::var("OSSIA_ISA").ok().as_deref(), &Isa::available()))
}

/// Returns the selected instruction set, which [`Isa::is_available`] has checked.
fn isa() -> Isa {
    selection().as_ref().copied().unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the columns of a panel of a matrix product: two registers, or sixteen numbers.
pub fn panel_columns() -> usize {
    match isa() {
        Isa::Avx512 | Isa::Avx512Vnni => 32,
        _ => 16,
    }
}

/// Returns the largest byte that a panel for [`multiply_bytes`] may hold, or 0 if [`multiply_panel`] on the same numbers is
/// faster. Without VNNI, x86 adds two products in 16 bits, in which those of larger bytes do not fit. On x86 and for
/// WebAssembly, the bounds were chosen by measurement. On ARM, nothing was measured.
pub fn largest_byte() -> u8 {
    match isa() {
        Isa::Avx2Vnni | Isa::Avx512Vnni | Isa::Wasm128 => 255,
        Isa::Avx2 | Isa::Avx512 | Isa::Neon => 127,
        Isa::Scalar => 0,
    }
}

// ANCHOR: primitives
/// Declares the public function of each primitive: it checks the lengths and calls the twin for the chosen instruction set.
macro_rules! primitives {
    ($( $(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? where $check:expr; )*) => {
        $(
            // ANCHOR: dispatch
            $(#[$doc])*
            pub fn $name($($arg: $ty),*) $(-> $ret)? {
                assert!($check, concat!("kernels::", stringify!($name), ": lengths do not fit: ", stringify!($check)));
                // SAFETY: `isa` returns an instruction set only if `is_available` has detected its features.
                unsafe {
                    match isa() {
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx2 => with_avx2::$name($($arg),*),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx2Vnni => with_avx2vnni::$name($($arg),*),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx512 => with_avx512::$name($($arg),*),
                        #[cfg(target_arch = "x86_64")]
                        Isa::Avx512Vnni => with_avx512vnni::$name($($arg),*),
                        #[cfg(target_arch = "aarch64")]
                        Isa::Neon => with_neon::$name($($arg),*),
                        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                        Isa::Wasm128 => with_wasm128::$name($($arg),*),
                        _ => scalar::$name($($arg),*),
                    }
                }
            }
            // ANCHOR_END: dispatch
        )*

        #[cfg(target_arch = "x86_64")]
        compiled!(with_avx2, avx2::Avx2::<false>, "avx2,fma", $( fn $name($($arg: $ty),*) $(-> $ret)?; )*);
        #[cfg(target_arch = "x86_64")]
        compiled!(with_avx2vnni, avx2::Avx2::<true>, "avx2,fma,avxvnni", $( fn $name($($arg: $ty),*) $(-> $ret)?; )*);
        #[cfg(target_arch = "x86_64")]
        compiled!(
            with_avx512, avx512::Avx512::<false>, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl",
            $( fn $name($($arg: $ty),*) $(-> $ret)?; )*
        );
        #[cfg(target_arch = "x86_64")]
        compiled!(
            with_avx512vnni, avx512::Avx512::<true>, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
            $( fn $name($($arg: $ty),*) $(-> $ret)?; )*
        );
        #[cfg(target_arch = "aarch64")]
        compiled!(with_neon, neon::Neon, "neon", $( fn $name($($arg: $ty),*) $(-> $ret)?; )*);
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        compiled!(with_wasm128, wasm::Wasm128, "simd128", $( fn $name($($arg: $ty),*) $(-> $ret)?; )*);
    };
}
// ANCHOR_END: primitives

/// Compiles the vectorized primitives for one instruction set. The functions are unsafe to call: the processor must have the
/// features.
macro_rules! compiled {
    ($module:ident, $simd:ty, $features:literal, $( fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?; )*) => {
        mod $module {
            use super::*;
            $(
                // ANCHOR: compiled
                #[target_feature(enable = $features)]
                pub unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
                    // SAFETY: the caller has checked that the processor has the features.
                    let simd = unsafe { <$simd>::new_unchecked() };
                    vectorized::$name(simd, $($arg),*)
                }
                // ANCHOR_END: compiled
            )*
        }
    };
}

/// The vectorized twin of every primitive.
mod vectorized {
    pub use super::{adamw::adamw, bytes::*, heads::*, int8::*, narrow::*, softmax::*, tile::*, vector::*};
}

primitives! {
    /// Σ aᵢ·bᵢ
    fn dot(a: &[f32], b: &[f32]) -> f32 where a.len() == b.len();
    /// Σ xᵢ·wᵢ for every x with every w. Each number is loaded once and used three or four times.
    fn dots(x: [&[f32]; 4], w: [&[f32]; 3]) -> [[f32; 3]; 4]
        where x.iter().chain(&w).all(|row| row.len() == x[0].len());
    /// s(h, t) = ⟨qₕ, kₜ⟩: q (G·D,), k (T·D,) → s (G·T,), for a few heads and many keys.
    fn head_scores(q: &[f32], k: &[f32], dim: usize, s: &mut [f32])
        where heads::fit(dim, q.len(), k.len(), s.len());
    /// oₕ ← oₕ + Σₜ p(h, t)·vₜ: p (G·T,), v (T·D,) → o (G·D,).
    fn head_values(p: &[f32], v: &[f32], dim: usize, o: &mut [f32])
        where heads::fit(dim, o.len(), v.len(), p.len());
    /// y ← y + Σᵢ xᵢ·wᵢ over the rows wᵢ of a part of a matrix: the row of x with the matrix. The rows are `stride` numbers apart.
    fn add_rows(x: &[f32], w: &[f32], stride: usize, y: &mut [f32])
        where stride > 0 && (x.is_empty() || y.len() <= stride && (x.len() - 1) * stride + y.len() <= w.len());
    /// Σ xᵢ
    fn sum(x: &[f32]) -> f32 where true;
    /// max xᵢ, or −∞ if x is empty.
    fn max(x: &[f32]) -> f32 where true;
    /// yᵢ ← yᵢ + α·xᵢ
    fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) where x.len() == y.len();
    /// xᵢ ← α·xᵢ
    fn scale(alpha: f32, x: &mut [f32]) where true;
    /// xᵢ ← exp(xᵢ − shift); returns the new Σ xᵢ. It is the core of a softmax. The error is at most 2 ulp; results below
    /// e⁻⁸⁷ are 0.
    fn exp_sum(x: &mut [f32], shift: f32) -> f32 where true;
    /// One step of a softmax for as many queries as a panel has columns C, which takes in new keys: s (keys, C) holds their
    /// scores. The largest score m (C,) grows, and s ← exp(s − m) by column. l (C,), the sum of all exponentials so far, and o
    /// (D, C), the sum of the values so far, are scaled to the new m, and Σ s is added to l. A score of −∞ belongs to a hidden
    /// key.
    fn online_softmax(s: &mut [f32], m: &mut [f32], l: &mut [f32], o: &mut [f32])
        where m.len() == panel_columns() && l.len() == m.len() && s.len().is_multiple_of(m.len()) && o.len().is_multiple_of(m.len());
    /// The backward pass of a softmax for C queries: p (keys, C) ← exp(p − lse), and dp (keys, C) ← p·(dp − Δ)·scale.
    fn online_softmax_backward(p: &mut [f32], dp: &mut [f32], lse: &[f32], delta: &[f32], scale: f32)
        where lse.len() == panel_columns() && delta.len() == lse.len() && p.len() == dp.len() && p.len().is_multiple_of(lse.len());
    /// yᵢ ← r·xᵢ·wᵢ. The last step of RMSNorm.
    fn scaled_product(r: f32, x: &[f32], w: &[f32], y: &mut [f32]) where x.len() == w.len() && w.len() == y.len();
    /// Σ aᵢ·bᵢ·cᵢ
    fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 where a.len() == b.len() && b.len() == c.len();
    /// Clamped SwiGLU of one row; `gate_up` holds (g₀, u₀, g₁, u₁, …). See [`crate::ops::swiglu`] for the maths.
    fn swiglu(gate_up: &[f32], alpha: f32, limit: f32, y: &mut [f32]) where gate_up.len() == 2 * y.len();
    /// The backward pass of [`swiglu`]: computes d`gate_up` from `gate_up` and dy.
    fn swiglu_backward(gate_up: &[f32], dy: &[f32], alpha: f32, limit: f32, dgate_up: &mut [f32])
        where gate_up.len() == 2 * dy.len() && gate_up.len() == dgate_up.len();
    /// Σ xᵢ·wᵢ with w in bf16.
    fn dot_bf16(x: &[f32], w: &[Bf16]) -> f32 where x.len() == w.len();
    /// yᵢ ← wᵢ with w in bf16. The result is exact.
    fn expand_bf16(w: &[Bf16], y: &mut [f32]) where w.len() == y.len();
    /// Writes x to y in the order in which [`dot_mxfp4`] of this instruction set reads it, padded with zeros to a whole pair
    /// of blocks.
    fn arrange_mxfp4(x: &[f32], y: &mut [f32]) where y.len() == x.len().next_multiple_of(64);
    /// Σ xᵢ·wᵢ with w in MXFP4 (see [`crate::mxfp4`]), one scale per block. `x` comes from [`arrange_mxfp4`].
    fn dot_mxfp4(x: &[f32], codes: &[[u8; 16]], scales: &[u8]) -> f32
        where codes.len() == scales.len() && x.len() == 64 * codes.len().div_ceil(2);
    /// yᵢ ← wᵢ with w in MXFP4. The result is exact.
    fn expand_mxfp4(codes: &[[u8; 16]], scales: &[u8], y: &mut [f32])
        where codes.len() == scales.len() && y.len() == 32 * codes.len();
    /// Quantizes x to blocks of int8, each with its own scale.
    fn quantize_int8(x: &[f32], y: &mut [Int8Block]) where x.len() == 32 * y.len();
    /// Σ xᵢ·wᵢ with w in int8.
    fn dot_int8(x: &[f32], w: &[Int8Block]) -> f32 where x.len() == 32 * w.len();
    /// yᵢ ← wᵢ with w in int8.
    fn expand_int8(w: &[Int8Block], y: &mut [f32]) where y.len() == 32 * w.len();
    /// Σ xᵢ·wᵢ with x and w in int8.
    fn dot_int8_int8(x: &[Int8Block], w: &[Int8Block]) -> f32 where x.len() == w.len();
    /// Σ xᵢ·wᵢ with x in int8 and w in MXFP4.
    fn dot_int8_mxfp4(x: &[Int8Pair], codes: &[[u8; 16]], scales: &[u8]) -> f32
        where codes.len() == scales.len() && x.len() == codes.len().div_ceil(2);
    /// Arranges rows of MXFP4 as a panel for [`multiply_bytes`]: codes (rows·blocks), rows ≤ [`panel_columns`]. Its bytes are
    /// at most 24. Missing rows repeat the last one.
    fn pack_mxfp4(codes: &[[u8; 16]], blocks: usize, panel: &mut [[u8; 4]])
        where bytes::panel_fits(codes.len(), blocks, panel.len());
    /// Arranges rows of int8 as a panel for [`multiply_bytes`]: w (rows·blocks), rows ≤ [`panel_columns`]. Its bytes are at
    /// most 255. Missing rows repeat the last one.
    fn pack_int8(w: &[Int8Block], blocks: usize, panel: &mut [[u8; 4]])
        where bytes::panel_fits(w.len(), blocks, panel.len());
    /// Y ← Y + X·W for a panel of bytes and its scales, a row of [`panel_columns`] for each block of 32 numbers, of which Y
    /// has the first ones:  X (T, blocks), Y (T, ≤ columns), whose rows are contiguous, as those of X are. No byte may be
    /// above [`largest_byte`].
    fn multiply_bytes(x: ArrayView2<Int8Input>, panel: &[[u8; 4]], scales: &[f32], y: ArrayViewMut2<f32>)
        where bytes::operands_fit(x, panel.len(), scales.len(), &y);
    /// C ← α·A·B, or C ← C + α·A·B if `add`, for a packed panel B of [`panel_columns`] columns, of which C has the first
    /// ones:  A (m, k), B (k, columns), C (m, ≤ columns), whose rows are contiguous.
    fn multiply_panel(alpha: f32, a: ArrayView2<f32>, panel: &[f32], add: bool, c: ArrayViewMut2<f32>)
        where a.nrows() == c.nrows() && panel.len() == a.ncols() * panel_columns()
            && c.ncols() <= panel_columns() && (c.nrows() == 0 || c.ncols() < 2 || c.strides()[1] == 1);
    /// Packs B (k, ≤ columns) as a panel for [`multiply_panel`]. Columns that B does not have become zeros.
    fn pack_panel(b: ArrayView2<f32>, panel: &mut [f32])
        where b.ncols() <= panel_columns() && panel.len() == b.nrows() * panel_columns();
    /// One AdamW step on a slice of weights and their moments; see [`AdamWStep`].
    fn adamw(step: &AdamWStep, gradient: &[f32], weight: &mut [f32], m: &mut [f32], v: &mut [f32])
        where gradient.len() == weight.len() && weight.len() == m.len() && m.len() == v.len();
}
