//! ossia: OpenAI's gpt-oss from scratch, on the CPU.
#![warn(missing_docs)]
pub mod error;
pub mod files;
pub mod config;
pub mod tokenizer;
pub mod data;
pub mod tensor;
pub mod ops;
pub mod kernels;
pub mod layers;
pub mod model;
pub mod checkpoint;
pub mod train;
pub mod generate;
#[cfg(feature = "cli")]
pub mod cli;
