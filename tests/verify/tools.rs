//! Tools: what they answer, and what they cannot be made to do.

mod escapes;
mod python;
