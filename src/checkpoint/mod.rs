//! Model directories: loading, saving, and what a model consists of.
//!
//! This is the only module that knows the names of files and the names of tensors in files.
//!
//! Book: [weights](../../../book/weights.html)

mod safetensors;
mod locate;
mod directory;
mod names;
mod load;
mod save;
mod tokenizer;
mod adapter;
pub mod report;

pub use self::adapter::{ADAPTER_CONFIG, load_adapter, save_adapter};
pub use self::safetensors::{Entry, TensorFile, TensorToWrite, write_tensors};
pub use ::safetensors::Dtype;
pub use directory::INDEX;
pub use load::{Arithmetic, check, describe, load, load_from_memory, load_to_train, load_trainable, load_with, notes};
pub use locate::{CONFIG, WEIGHTS, locate};
pub use names::{Layout, file_name};
pub use save::{Form, SaveOptions, config_as_saved, save, save_as, save_weights};
pub use tokenizer::{
    CHAT_TEMPLATE, SYSTEM, TOKENIZER, TOKENIZER_CONFIG, copy_tokenizer, open, open_from_memory, open_with,
    save_tokenizer,
};
