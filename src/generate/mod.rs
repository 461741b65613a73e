//! Text from a model.       Book: chapters 17 and 18

pub mod sampler;
pub mod generator;
pub mod text;
pub mod trace;

pub use generator::{Generator, Stop};
pub use sampler::{Sampler, Sampling};
pub use text::TextStream;
