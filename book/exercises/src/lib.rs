//! The layers of gpt-oss, to be written by you.
//!
//! Each file of this directory has the signatures of an exercise, with `todo!()` instead of bodies. Write the bodies, in any
//! order, and run
//!
//! ```text
//! cargo run -q -p exercises -- rms_norm          checks what you wrote
//! cargo run -q -p exercises -- watch rms_norm    checks it again whenever you save
//! ```
//!
//! The proofs of an exercise go from easy to hard. They are like the proofs of the engine's own layers. For a layer, the
//! forward pass comes first, then the backward pass. When all of them hold,
//!
//! ```text
//! cargo run --release -p exercises --bin train_with rms_norm
//! ```
//!
//! builds the engine with your layer instead of its own, and trains a small model with it. `solutions/` has a plain
//! implementation of each exercise, and `src/ops/` has the engine's fast layers.

pub mod acceptance;
pub mod adamw;
pub mod attention;
pub mod block;
pub mod bpe;
pub mod cross_entropy;
pub mod data;
pub mod dispatch;
pub mod effort;
pub mod embedding;
pub mod fine_tuning;
pub mod grad_check;
pub mod harmony;
pub mod kv_cache;
pub mod lora;
pub mod matmul;
pub mod muon;
pub mod mxfp4;
pub mod policy_gradient;
pub mod ring;
pub mod rms_norm;
pub mod rope;
pub mod sampler;
pub mod scalar_autograd;
pub mod simd;
pub mod speed;
pub mod straight_through;
pub mod structured_output;
pub mod swiglu;
pub mod tools;
pub mod top_k;
pub mod training_loop;

pub mod check;
#[path = "../../matmul/machine.rs"]
pub mod machine;
pub mod parts;
pub mod proofs;
pub mod scalar;
#[path = "../solutions/mod.rs"]
pub mod solutions;
pub mod zoo;

/// Prints a line, and ends the program if nobody reads it any more (as behind `| head`).
pub fn say(line: &str) {
    use std::io::Write;
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}
