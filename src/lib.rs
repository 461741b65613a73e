//! # ossia
//!
//! OpenAI's gpt-oss from scratch, on the CPU: small enough to read in a weekend, exact enough to be trusted against
//! OpenAI's and Hugging Face's code, and fast enough that nobody needs to leave it.
//!
//! The modules below stand in the order of the book, each where a chapter first quotes it; `error` comes first, and `cli`
//! last. Who reads them from top to bottom learns gpt-oss. Data flows one way: text → tokens → hidden states → logits →
//! token. What a module may know of the others stands in a table in `tests/architecture.rs`.
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

// What can go wrong.
pub mod error;
// A value that remembers, and operations with their derivatives.
pub mod tensor;
pub mod ops;
// Text to tokens.
pub mod tokenizer;
// Parameters, the loops of numbers below them, and the model that they make.
pub mod layers;
pub mod kernels;
pub mod parameter;
pub mod model;
pub mod config;
// How it learns, from what, and files that are never half written.
pub mod train;
pub mod data;
pub mod files;
// How it tells.
pub mod generate;
// Weights of four bits, where the time goes, weights that stay in their file, and OpenAI's.
pub mod mxfp4;
pub mod profile;
pub mod stored;
pub mod checkpoint;
// How one talks to it.
pub mod harmony;
pub mod chat;
pub mod tasks;
pub mod schema;
#[cfg(feature = "tools")]
pub mod tools;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(doctest)]
mod book;
