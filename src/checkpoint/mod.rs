//! Model directories, in and out. The only place that knows file names and the names of tensors in files.

mod safetensors;
mod hugging_face;
pub mod report;

pub use self::safetensors::{TensorFile, write_tensors};
pub use hugging_face::{CONFIG, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, file_name, load, save};
