//! Tools: what they answer, and what they cannot be made to do.

mod apply_patch;
mod browser;
mod escapes;
pub mod python;
