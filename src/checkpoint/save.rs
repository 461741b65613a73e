//! Saving: writes a model directory as the model is, in bf16, or with experts in MXFP4, in either layout.
//!
//! The bytes of a tensor are computed while the file is written and dropped afterwards, so that a model larger than the
//! memory can be converted.

use super::adapter::save_adapter;
use super::directory::write;
use super::load::check;
use super::locate::CONFIG;
use super::names::{Layout, mxfp4_names, place};
use super::safetensors::TensorToWrite;
use super::tokenizer::save_tokenizer;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::files::{create_directory, write_atomically};
use crate::kernels::memory::little_endian;
use crate::kernels::parallel;
use crate::layers::Layer;
use crate::model::Transformer;
use crate::mxfp4::BLOCK;
use crate::parameter::{Role, Value};
use crate::stored::{Numbers, Rows};
use crate::tokenizer::Tokenizer;
use ::safetensors::tensor::Dtype;
use half::bf16;
use serde_json::json;
use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The file from which transformers takes the tokens that begin and end a text.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// The number format of the tensors to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// f32 for what is in memory; stored weights keep their format.
    AsItIs,
    /// bf16 for everything: two bytes per number.
    Bf16,
    /// MXFP4 for the matrices of experts (17 bytes per 32 numbers) and bf16 for the rest, as OpenAI publishes gpt-oss.
    Mxfp4,
}

/// The options of [`save_as`].
#[derive(Debug, Clone, Copy)]
pub struct SaveOptions {
    /// The number format.
    pub form: Form,
    /// The names and shapes of the tensors.
    pub layout: Layout,
    /// The largest size of a shard in bytes. A shard has at least one tensor. `None` writes a single file.
    pub shard_bytes: Option<u64>,
}

/// Writes a model directory that the command line, transformers and [`open`](super::open) can open: `config.json`,
/// `model.safetensors` in Hugging Face's layout and in the formats that the model has, and the tokenizer.
///
/// # Errors
/// If a stored weight of the model has a damaged scale, and those of the operating system.
pub fn save(model: &Transformer, tokenizer: &Tokenizer, directory: &Path) -> Result<()> {
    save_weights(model, directory)?;
    save_tokenizer(tokenizer, directory, model.config.context)
}

/// Like [`save`], without a tokenizer. Of a model with an adapter, writes only the adapter.
///
/// # Errors
/// Those of [`save`].
pub fn save_weights(model: &Transformer, directory: &Path) -> Result<()> {
    if model.adapter.is_some() {
        return save_adapter(model, directory);
    }
    let options = SaveOptions { form: Form::AsItIs, layout: Layout::HuggingFace, shard_bytes: None };
    save_as(model, directory, options).map(|_| ())
}

/// Writes `config.json` and the weights, each file atomically, and returns how many bytes the weights take.
///
/// # Errors
/// If MXFP4 is asked for and a weight of an expert is not finite, or its rows are not whole blocks; if OpenAI's layout is
/// asked for and cannot describe the model; if a stored weight has a damaged scale; and those of the operating system.
pub fn save_as(model: &Transformer, directory: &Path, options: SaveOptions) -> Result<u64> {
    if model.adapter.is_some() {
        return Err(Error::argument("the model has an adapter, which has to be merged before it is saved"));
    }
    let config = match options.layout {
        Layout::HuggingFace => config_of(model, options.form).to_json(),
        Layout::OpenAi => model.config.to_openai_json()?,
    };
    check(model)?;
    let mut tensors: Vec<(String, TensorToWrite)> = Vec::new();
    for (name, weight) in weights(model, options.layout) {
        for (name, tensor) in tensors_of(name, weight, options, &model.config)? {
            match tensors.iter_mut().rev().find(|(other, _)| *other == name) {
                Some((_, above)) => above.append(tensor),
                None => tensors.push((name, tensor)),
            }
        }
    }
    create_directory(directory)?;
    let bytes = write(directory, tensors, options.shard_bytes)?;
    if options.layout == Layout::HuggingFace {
        write_atomically(&directory.join(GENERATION_CONFIG), model.config.generation_config_json().as_bytes())?;
    }
    write_atomically(&directory.join(CONFIG), config.as_bytes())?;
    Ok(bytes)
}

/// Returns the configuration that [`save`] writes: it says whether experts are in MXFP4.
pub fn config_as_saved(model: &Transformer) -> ModelConfig {
    config_of(model, Form::AsItIs)
}

/// Returns the configuration of the model in the given form.
fn config_of(model: &Transformer, form: Form) -> ModelConfig {
    let mut config = model.config.clone();
    let quantized = model.parameters().iter().any(|parameter| parameter.value().mxfp4().is_some());
    match (form, quantized) {
        (Form::Bf16, _) | (Form::AsItIs, false) => _ = config.other.shift_remove("quantization_config"),
        (Form::Mxfp4, _) | (Form::AsItIs, true) => {
            config.other.entry("quantization_config").or_insert_with(|| {
                let kept = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"];
                json!({ "quant_method": "mxfp4", "modules_to_not_convert": kept })
            });
        }
    }
    if form != Form::AsItIs {
        config.other.insert("dtype".into(), json!("bfloat16"));
    }
    config
}

/// Returns all weights under ossia's names. OpenAI's layout has an output projection even if it is the embedding.
fn weights(model: &Transformer, layout: Layout) -> Vec<(&str, Weight)> {
    let mut weights = Vec::new();
    for parameter in model.parameters() {
        let weight = Weight { value: parameter.value().clone(), experts: parameter.role() == Role::Expert };
        if parameter.role() == Role::Embedding && model.config.tied && layout == Layout::OpenAi {
            weights.push(("head.weight", weight.clone()));
        }
        weights.push((parameter.name(), weight));
    }
    weights
}

/// Returns the tensors that a parameter becomes: one, or two with codes and scales.
fn tensors_of(
    name: &str,
    weight: Weight,
    options: SaveOptions,
    config: &ModelConfig,
) -> Result<Vec<(String, TensorToWrite<'static>)>> {
    let SaveOptions { form, layout, .. } = options;
    let file_name = place(layout, name, config).tensor;
    if let Some((codes, scales)) = weight.value.mxfp4().filter(|_| form != Form::Bf16) {
        let (codes, scales) = (codes.clone(), scales.clone());
        let bytes: [BytesOf; 2] = [Box::new(move || codes.to_vec()), Box::new(move || scales.to_vec())];
        return Ok(mxfp4_tensors(mxfp4_names(layout, &file_name), weight.value.shape(), bytes));
    }
    if form == Form::Mxfp4 && weight.experts {
        let inputs = weight.value.inputs();
        if !inputs.is_multiple_of(BLOCK) {
            let message = format!("{file_name}: rows of {inputs} numbers are not whole blocks of {BLOCK}");
            return Err(Error::argument(message));
        }
        weight.check_finite(&file_name)?;
        let shape = weight.shape(Rows::Outputs);
        return Ok(mxfp4_tensors(mxfp4_names(layout, &file_name), &shape, encoded_once(weight)));
    }
    let row = if layout == Layout::OpenAi { Rows::Outputs } else { Rows::Inputs };
    let (shape, (dtype, bytes)) = (weight.shape(row), weight.bytes(form, row));
    Ok(vec![(file_name, TensorToWrite { dtype, shape, bytes: Box::new(move || Cow::Owned(bytes())) })])
}

/// Computes the bytes of a tensor.
type BytesOf = Box<dyn Fn() -> Vec<u8>>;

/// Returns the codes and the scales of experts. They are encoded together: the first call encodes, and keeps the result
/// of the second until it is asked for.
fn encoded_once(weight: Weight) -> [BytesOf; 2] {
    let weight = Arc::new(weight);
    let kept: Arc<Mutex<[Option<Vec<u8>>; 2]>> = Arc::default();
    let bytes_of = |which: usize| -> BytesOf {
        let (weight, kept) = (weight.clone(), kept.clone());
        Box::new(move || {
            let mut kept = kept.lock().expect("encoding does not panic");
            kept[which].take().unwrap_or_else(|| {
                let quantized = weight.value.to_mxfp4();
                let (codes, scales) = quantized.mxfp4().expect("just quantized");
                *kept = [codes, scales].map(|bytes| Some(bytes.to_vec()));
                kept[which].take().expect("just encoded")
            })
        })
    };
    [bytes_of(0), bytes_of(1)]
}

/// The tensors of codes and scales of experts with `shape` (E, out, in).
fn mxfp4_tensors(
    (codes_name, scales_name): (String, String),
    shape: &[usize],
    [codes, scales]: [BytesOf; 2],
) -> Vec<(String, TensorToWrite<'static>)> {
    let scales_shape = vec![shape[0], shape[1], shape[2] / BLOCK];
    let codes_shape = [&scales_shape[..], &[BLOCK / 2]].concat();
    let tensor = |shape: Vec<usize>, bytes: BytesOf| TensorToWrite {
        dtype: Dtype::U8,
        shape,
        bytes: Box::new(move || Cow::Owned(bytes())),
    };
    vec![(codes_name, tensor(codes_shape, codes)), (scales_name, tensor(scales_shape, scales))]
}

/// The value of a parameter. The matrices of experts are written with a row per input (Hugging Face, not quantized) or
/// a row per output (OpenAI, and MXFP4). All other parameters have the same layout in both.
#[derive(Clone)]
struct Weight {
    value: Value,
    experts: bool,
}

impl Weight {
    /// Returns whether the numbers are laid out with this kind of row already.
    fn has(&self, row: Rows) -> bool {
        !self.experts || self.value.rows() == row
    }

    /// Returns the shape with this kind of row.
    fn shape(&self, row: Rows) -> Vec<usize> {
        match *self.value.shape() {
            [experts, rows, columns] if !self.has(row) => vec![experts, columns, rows],
            ref shape => shape.to_vec(),
        }
    }

    fn check_finite(&self, name: &str) -> Result<()> {
        let finite = |i| self.value.expand_matrix(i).iter().all(|x| x.is_finite());
        match parallel::map(self.value.shape()[0], finite).iter().position(|finite| !finite) {
            Some(expert) => Err(Error::argument(format!("{name}: expert {expert} has a number that is not finite"))),
            None => Ok(()),
        }
    }

    /// Returns the type in which the numbers are written, and a function that computes the bytes.
    fn bytes(self, form: Form, row: Rows) -> (Dtype, BytesOf) {
        let stored = self.value.stored().and_then(|weight| match weight.numbers() {
            Numbers::F32(bytes) => Some((Dtype::F32, bytes.clone())),
            Numbers::Bf16(bytes) => Some((Dtype::BF16, bytes.clone())),
            Numbers::Mxfp4 { .. } | Numbers::Int8(_) => None,
        });
        let dtype = match (form, &stored) {
            (Form::AsItIs, Some((dtype, _))) => *dtype,
            (Form::AsItIs, None) => Dtype::F32,
            _ => Dtype::BF16,
        };
        if let Some((_, bytes)) = stored.filter(|(stored_as, _)| *stored_as == dtype && self.has(row)) {
            return (dtype, Box::new(move || bytes.to_vec()));
        }
        let numbers = move || match self.has(row) {
            true => self.value.to_f32(),
            false => parallel::map(self.value.shape()[0], |i| self.value.expand_expert(i, row)).concat(),
        };
        match dtype {
            Dtype::F32 => (dtype, Box::new(move || little_endian(&numbers()).into_owned())),
            _ => (dtype, Box::new(move || numbers().iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect())),
        }
    }
}
