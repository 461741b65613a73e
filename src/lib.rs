//! OpenAI's gpt-oss from scratch, on the CPU: autograd, every layer, training and inference, readable and exact.
//!
//! This program opens a model that `ossia train` has trained, or one that was downloaded, and lets it tell a story:
//!
//! ```no_run
//! use ossia::checkpoint;
//! use ossia::generate::{Generator, Sampling, TextStream};
//!
//! let (model, tokenizer) = checkpoint::open("runs/nano")?;
//! let sampling = Sampling { temperature: 0.7, ..Sampling::default() }.within(&tokenizer);
//! let mut generator = Generator::new(&model, &tokenizer.prompt("Once upon a time"), sampling)?;
//! let mut text = TextStream::new(&tokenizer, &[]);
//! for token in generator.generate(200, &model.stop_tokens(&tokenizer)) {
//!     print!("{}", text.push(token?)?);
//! }
//! println!("{}", text.finish());
//! # Ok::<(), ossia::error::Error>(())
//! ```
//!
//! This program trains a small model for a few steps. It saves the model so that the command line, transformers and the
//! program above can open it:
//!
//! ```
//! use ossia::config::ModelConfig;
//! use ossia::data::Batches;
//! use ossia::model::Transformer;
//! use ossia::train::{Material, RunSettings, Settings, Trainer};
//!
//! let settings = RunSettings { stories: 50, settings: Settings::new(2, 2, 64, 2e-3), ..RunSettings::default() };
//! let config = ModelConfig { layers: 1, windows: vec![Some(32)], ..ModelConfig::nano() };
//! let material = Material::new(&settings, None, config.vocab_size, &mut |note| eprintln!("{note}"))?;
//! let Material { tokenizer, windows, evaluation, .. } = material;
//! let batches = Batches::new(windows, 2, 0)?;
//! let mut trainer = Trainer::new(Transformer::random(&config, 0), settings.settings, batches, Some(evaluation));
//! trainer.run(None, &mut ())?;
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path();
//! ossia::checkpoint::save(&trainer.model, &tokenizer, directory)?;
//! # assert!(ossia::checkpoint::open(directory).is_ok());
//! # Ok::<(), ossia::error::Error>(())
//! ```
//!
//! # The modules
//!
//! **The core** is small enough to be read in a weekend: 5,500 lines with their comments.
//! - [`tensor`]: arrays that record how they were computed, and reverse-mode differentiation
//! - [`parameter`]: named values with a role, in memory or in a file
//! - [`ops`]: differentiable operations, each with a hand-derived backward pass
//! - [`layers`]: RMSNorm, attention, the router, experts and the KV cache
//! - [`model`]: the whole Transformer
//!
//! **Numbers**
//! - [`kernels`]: loops over slices, in plain Rust and in SIMD
//! - [`mxfp4`]: the four-bit format
//! - [`stored`]: weights that stay in their file
//! - [`profile`]: the time, the arithmetic and the memory traffic of each op
//!
//! **Text and training**
//! - [`tokenizer`]: byte-pair encoding, and o200k_harmony
//! - [`data`]: stories with a known entropy, corpora, windows and batches
//! - [`train`]: AdamW and Muon, the training loop, run directories, and reinforcement learning
//! - [`collective`]: sums and messages of several ranks that train together
//! - [`config`]: the numbers that define a model, and presets
//! - [`checkpoint`]: model directories of Hugging Face and OpenAI
//! - [`files`]: writes that complete or leave the file unchanged
//!
//! **Generation and conversation**
//! - [`generate`]: sampling, and the generation loop
//! - [`schema`]: which tokens a JSON Schema allows
//! - [`harmony`]: the prompt format of gpt-oss
//! - [`chat`]: conversations with reasoning effort
//! - [`tasks`]: stories, arithmetic and other questions with answers that can be checked
//! - `tools`: Python in a sandbox, a browser, patches (feature `tools`)
//! - `cli`: the command line (feature `cli`)
//!
//! [`error`] defines the error type of the crate.
//!
//! # From `ossia train` to a saved step
//!
//! 1. `cli` parses the arguments into [`RunSettings`](train::RunSettings).
//! 2. [`Session::start`](train::Session::start) builds the [`Material`](train::Material): it reads or tells the stories,
//!    trains a [`Tokenizer`](tokenizer::Tokenizer), and cuts the token ids into [`Windows`](data::Windows).
//! 3. `Session::start` also creates the [`RunDirectory`](train::RunDirectory) and a [`Transformer`](model::Transformer), whose layers take their
//!    parameters from a [`Scope`](parameter::Scope) of random numbers.
//! 4. [`Trainer::step`](train::Trainer::step) draws a batch, runs [`Transformer::forward`](model::Transformer::forward) and
//!    [`Transformer::loss`](model::Transformer::loss); every op of the forward pass records a node.
//! 5. [`Tensor::backward`](tensor::Tensor::backward) visits the nodes in reverse order and returns
//!    [`Gradients`](tensor::Gradients).
//! 6. [`Optimizer::step`](train::Optimizer::step) clips the gradients and updates every trainable [`Parameter`](parameter::Parameter).
//! 7. [`Trainer::run`](train::Trainer::run) logs [`Metrics`](train::Metrics). Every `eval_every` steps it calls
//!    [`evaluate`](train::evaluate()) on text that the model has not seen.
//! 8. A [`Monitor`](train::Monitor) displays the progress; the [`Recorder`](train::Recorder) writes the metrics and samples.
//! 9. [`RunDirectory::save`](train::RunDirectory::save) writes the parameters and moments to `state.safetensors`, atomically.
//! 10. [`checkpoint::save`] writes the model in the layout of Hugging Face for other programs. The run continues, or is
//!     resumed later with bit-identical results.
//!
//! # Conventions
//!
//! Letters have the same meaning everywhere: `B` batch, `T` tokens, `V` vocabulary, `H` hidden size, `N` query heads, `K`
//! key/value heads, `D` head dimension, `E` experts, `A` experts per token (active), `I` intermediate size, `L` layers, `W`
//! window, `r` rank of an adapter. The gradient with respect to `x` is named `dx`.
//!
//! The modules are declared in the order in which the book first quotes them, which is a good order to read them in. The
//! order does not follow the dependencies: the table in `tests/architecture.rs` says which module may import which, and a test
//! makes sure that there is no cycle.
#![warn(missing_docs)]

pub use ndarray;

pub mod error;
pub mod tokenizer;
pub mod tensor;
pub mod ops;
pub mod layers;
pub mod kernels;
pub mod parameter;
pub mod model;
pub mod config;
pub mod train;
pub mod data;
pub mod files;
pub mod collective;
pub mod generate;
pub mod mxfp4;
pub mod profile;
pub mod stored;
pub mod checkpoint;
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
