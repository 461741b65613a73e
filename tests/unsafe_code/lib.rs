//! The tests of the kernels, and of the readers of bytes that use them. `cargo test` runs the same modules as a part of `verify`.
#![cfg(test)]

#[path = "../verify/common.rs"]
pub mod common; // public, so that what only other layers need is not dead code here
#[path = "../verify/kernels.rs"]
mod kernels;
#[path = "../verify/mxfp4.rs"]
mod mxfp4;
#[path = "../verify/stored.rs"]
mod stored;
