//! What proves the code that is `unsafe`, and nothing else. `cargo test` runs the same modules as a part of `verify`.
#![cfg(test)]

#[path = "../verify/common.rs"]
pub mod common; // public, since other layers need more of it
#[path = "../verify/kernels.rs"]
mod kernels;
#[path = "../verify/mxfp4.rs"]
mod mxfp4;
#[path = "../verify/stored.rs"]
mod stored;
