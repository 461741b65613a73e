//! Text from a model.       Book: sampling.md

pub mod sampler;
pub mod generator;
pub mod text;
pub mod trace;

pub use generator::{Generator, Stop};
pub use sampler::{Sampler, Sampling};
pub use text::TextStream;
