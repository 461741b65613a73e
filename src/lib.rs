//! # ossia
//!
//! OpenAI's gpt-oss from scratch, on the CPU: small enough to read in a weekend, exact enough to be trusted against
//! OpenAI's and Hugging Face's code, and fast enough that nobody needs to leave it.
//!
//! The modules below build on each other, and the book takes them in nearly this order; who reads them from top to
//! bottom learns gpt-oss.
//! Data flows one way: text → tokens → hidden states → logits → token. What a module may know of the
//! others stands in a table in `tests/architecture.rs`.
//!
//! Letters, everywhere the same: `B` batch, `T` tokens, `V` vocabulary, `H` hidden size, `N` query heads, `K`
//! key/value heads, `D` head dimension, `E` experts, `A` experts per token (active), `I` intermediate size,
//! `L` layers, `W` window. Gradients are `d` and the name of what they are the gradient of.
//!
//! ```
//! use ossia::config::ModelConfig;
//! use ossia::generate::{Generator, Sampling};
//! use ossia::model::Transformer;
//!
//! let model = Transformer::random(&ModelConfig::nano(), 0);
//! let mut tokens = Vec::new();
//! Generator::new(&model, &[1, 2, 3], Sampling::default())?.run(4, &[], |token| {
//!     tokens.push(token);
//!     true
//! });
//! assert_eq!(tokens.len(), 4);
//! # Ok::<(), ossia::error::Error>(())
//! ```
#![warn(missing_docs)]

// What can go wrong, and what must not go wrong halfway.
pub mod error;
pub mod files;
// Where the time goes.
pub mod profile;
// The numbers that make a model.
pub mod config;
// Text to tokens, and tokens to batches.
pub mod tokenizer;
pub mod data;
// A value that remembers, operations with their derivatives, and the loops below them.
pub mod tensor;
pub mod ops;
pub mod kernels;
// Weights of four bits, and weights that stay in their file.
pub mod mxfp4;
pub mod stored;
// Parameters, and the model that they make.
pub mod layers;
pub mod model;
pub mod checkpoint;
// What a model is for.
pub mod train;
pub mod generate;
// How one talks to it.
pub mod harmony;
pub mod schema;
pub mod chat;
pub mod tasks;
#[cfg(feature = "tools")]
pub mod tools;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(doctest)]
mod book;
