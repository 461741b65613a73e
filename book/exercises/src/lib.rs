//! The layers of gpt-oss, to be written by you.
//!
//! Each file of this directory is a layer with its signatures and `todo!()` for bodies; write them, in any order, and run
//!
//! ```text
//! cargo test -p exercises rms_norm
//! ```
//!
//! Three proofs look at what you wrote, the same three that the engine's own layers pass: it equals what Hugging Face's code
//! computed, its way back is the derivative, and it holds at the edges. When all three hold,
//!
//! ```text
//! cargo run --release -p exercises --bin train_with rms_norm
//! ```
//!
//! builds the engine with your layer in place of its own, and trains a small model with it.
//! `solutions/` has a way to write each; the engine's own files in `src/ops/` are another, faster one.

pub mod adamw;
pub mod attention;
pub mod cross_entropy;
pub mod embedding;
pub mod mxfp4;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;
pub mod top_k;

pub mod proofs;
#[path = "../solutions/mod.rs"]
pub mod solutions;
pub mod zoo;
