//! The layout of Hugging Face's `GptOssForCausalLM`: `config.json` and `model.safetensors`.
//!
//! Shapes are the same here and there; only names differ. Dense layers, which gpt-oss does not have, are named as
//! transformers names a dense SwiGLU elsewhere.

use super::safetensors::{TensorFile, write_tensors};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::files::{create_directory, write_atomically};
use crate::layers::{Init, Source};
use crate::model::Transformer;
use crate::tensor::Tensor;
use std::collections::HashSet;
use std::path::Path;

/// The configuration.
pub const CONFIG: &str = "config.json";
/// The weights.
pub const WEIGHTS: &str = "model.safetensors";
/// The vocabulary and the merges.
pub const TOKENIZER: &str = "tokenizer.json";
/// How transformers is to open them.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// What our parts are called there; the first that fits counts.
const NAMES: [(&str, &str); 12] = [
    ("attention_norm.", "input_layernorm."),
    ("mlp_norm.", "post_attention_layernorm."),
    ("attention.sinks", "self_attn.sinks"),
    ("attention.q.", "self_attn.q_proj."),
    ("attention.k.", "self_attn.k_proj."),
    ("attention.v.", "self_attn.v_proj."),
    ("attention.o.", "self_attn.o_proj."),
    ("router.", "mlp.router."),
    ("experts.gate_up.", "mlp.experts.gate_up_proj."),
    ("experts.down.", "mlp.experts.down_proj."),
    ("mlp.gate_up.", "mlp.gate_up_proj."),
    ("mlp.down.", "mlp.down_proj."),
];

/// The name of a parameter in the file: `layers.0.attention.q.weight` → `model.layers.0.self_attn.q_proj.weight`.
pub fn file_name(parameter: &str) -> String {
    match parameter {
        "embedding.weight" => return "model.embed_tokens.weight".into(),
        "norm.weight" => return "model.norm.weight".into(),
        "head.weight" => return "lm_head.weight".into(),
        _ => {}
    }
    let (layer, part) =
        parameter.match_indices('.').nth(1).map_or(("", parameter), |(at, _)| parameter.split_at(at + 1));
    let renamed = NAMES.iter().find_map(|(ours, theirs)| Some(format!("{theirs}{}", part.strip_prefix(ours)?)));
    let part = renamed.unwrap_or_else(|| panic!("{parameter} has no name in a checkpoint"));
    // Stacked experts are bare parameters there, without a module around each.
    let part = match part.strip_prefix("mlp.experts.") {
        Some(expert) => format!("mlp.experts.{}", expert.replace(".weight", "").replace(".bias", "_bias")),
        None => part,
    };
    format!("model.{layer}{part}")
}

/// A checkpoint as a source of parameters.
struct Checkpoint {
    file: TensorFile,
    used: HashSet<String>,
}

impl Source for Checkpoint {
    fn parameter(&mut self, name: String, shape: &[usize], _init: Init) -> Result<Tensor> {
        let name = file_name(&name);
        let numbers = self.file.tensor(&name, Some(shape))?;
        self.used.insert(name);
        Ok(Tensor::parameter(numbers))
    }
}

/// Opens a model directory.
///
/// # Errors
/// One line with the file, and the key or tensor, that is missing, malformed or contradicts the configuration.
pub fn load(directory: impl AsRef<Path>) -> Result<Transformer> {
    let directory = directory.as_ref();
    let config = ModelConfig::load(directory.join(CONFIG))?;
    if config.other.contains_key("quantization_config") {
        let message = "quantization_config: quantized weights cannot be read yet; expected f32 weights";
        return Err(Error::file(directory.join(CONFIG), message));
    }
    let path = directory.join(WEIGHTS);
    let mut checkpoint = Checkpoint { file: TensorFile::open(&path)?, used: HashSet::new() };
    let model = Transformer::new(&config, &mut checkpoint)?;
    match checkpoint.file.names()?.into_iter().find(|name| !checkpoint.used.contains(name)) {
        Some(name) => Err(Error::file(path, format!("tensor {name}: no part of the model that config.json describes"))),
        None => Ok(model),
    }
}

/// Writes `config.json` and `model.safetensors`, each atomically.
///
/// # Errors
/// What the system says.
pub fn save(model: &Transformer, directory: &Path) -> Result<()> {
    create_directory(directory)?;
    write_atomically(&directory.join(CONFIG), model.config.to_json().as_bytes())?;
    let parameters = model.parameters();
    let tensors = parameters.iter().map(|(name, tensor)| (file_name(name), tensor.shape(), tensor.data()));
    write_tensors(&directory.join(WEIGHTS), tensors, &[("format", "pt".into())])
}
