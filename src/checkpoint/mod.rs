//! Model directories, in and out. The only place that knows file names and the names of tensors in files.

mod safetensors;
mod directory;
mod names;
mod load;
mod save;
pub mod report;

pub use self::safetensors::{Entry, TensorFile, TensorToWrite, write_tensors};
pub use ::safetensors::Dtype;
pub use directory::{INDEX, WEIGHTS};
pub use load::{Arithmetic, CONFIG, load, load_trainable, load_with};
pub use names::{Layout, file_name};
pub use save::{Form, SaveOptions, save, save_as};

/// The vocabulary and the merges.
pub const TOKENIZER: &str = "tokenizer.json";
/// How transformers is to open them.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
