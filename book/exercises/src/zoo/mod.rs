//! The bug zoo: code with a bug that somebody once had, or that anyone might write. Each is the solution except for a line or two.
//! `cargo test -p exercises --test zoo` shows that each is caught by the proof that it names, and
//! `cargo run -p exercises --bin hunt` lets you find out what is wrong with them.

mod attention;
mod pointwise;
mod programs;
mod rest;

pub use attention::attention;
pub use pointwise::{rms_norm, rope, swiglu};
pub use programs::{block, bpe, dispatch, kv_cache, sampler, scalar_autograd, training_loop};
pub use rest::{adamw, cross_entropy, embedding, mxfp4, top_k};

/// The source of the zoo, from which `hunt` shows a bug.
pub const SOURCES: [&str; 4] =
    [include_str!("attention.rs"), include_str!("pointwise.rs"), include_str!("programs.rs"), include_str!("rest.rs")];
