//! The bug zoo: layers with a bug that somebody once had, or that anyone might write. Each is the solution but for a line or
//! two. `cargo test -p exercises --test zoo` shows that each is caught, by the proof that it names, and
//! `cargo run -p exercises --bin hunt` lets you find out what is wrong with them.

mod attention;
mod pointwise;
mod rest;

pub use attention::attention;
pub use pointwise::{rms_norm, rope, swiglu};
pub use rest::{adamw, cross_entropy, embedding, mxfp4, top_k};

/// The names of the proofs, as they are called in [`crate::proofs::Layer`].
const REFERENCE: &str = "equals_the_reference";
const GRADIENT: &str = "has_the_right_gradient";
const EDGES: &str = "holds_at_the_edges";
