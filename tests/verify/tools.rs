//! Tools: what they answer, and what they cannot be made to do.
//!
//! Book: [tools](../../book/src/tools.md)

mod apply_patch;
mod browser;
mod escapes;
mod limits;
mod patch_forms;
pub mod python;
