//! Writing a model directory in Hugging Face's layout.

use super::directory::WEIGHTS;
use super::load::CONFIG;
use super::names::file_name;
use super::safetensors::{Part, write_tensors};
use crate::error::Result;
use crate::files::{create_directory, write_atomically};
use crate::model::Transformer;
use std::path::Path;

/// Writes `config.json` and `model.safetensors`, each atomically: the parameters that are trained, as f32.
///
/// # Errors
/// What the system says.
pub fn save(model: &Transformer, directory: &Path) -> Result<()> {
    create_directory(directory)?;
    write_atomically(&directory.join(CONFIG), model.config.to_json().as_bytes())?;
    let parameters = model.parameters();
    let tensors = parameters.iter().map(|(name, tensor)| (file_name(name), Part::f32(tensor.shape(), tensor.data())));
    write_tensors(&directory.join(WEIGHTS), tensors, &[("format", "pt".into())])
}
