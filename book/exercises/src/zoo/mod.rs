//! The bug zoo: programs with a bug that was found in an implementation, or that is an easy mistake to make. Each program is
//! the solution except for a line or two. `cargo test -p exercises --test zoo` checks that each bug is caught by the proof that
//! its entry names, and `cargo run -p exercises --bin hunt` lets you find out what is wrong with the programs.

mod attention;
mod machines;
mod numbers;
mod pointwise;
mod programs;
mod rest;
mod talking;
mod taught;

pub use attention::attention;
pub use machines::ring;
pub use numbers::{data, grad_check, simd, speed};
pub use pointwise::{rms_norm, rope, swiglu};
pub use programs::{block, bpe, dispatch, kv_cache, sampler, scalar_autograd, training_loop};
pub use rest::{adamw, cross_entropy, embedding, matmul, muon, mxfp4, top_k};
pub use talking::{effort, harmony, structured_output, tools};
pub use taught::{acceptance, fine_tuning, lora, policy_gradient, straight_through};

/// The source of the zoo, from which `hunt` shows a bug.
pub const SOURCES: [&str; 8] = [
    include_str!("attention.rs"),
    include_str!("machines.rs"),
    include_str!("numbers.rs"),
    include_str!("pointwise.rs"),
    include_str!("programs.rs"),
    include_str!("rest.rs"),
    include_str!("talking.rs"),
    include_str!("taught.rs"),
];
