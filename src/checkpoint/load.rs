//! Loading: a model directory as a source of parameters.

use super::directory::Tensors;
use super::locate::{CONFIG, adapter_message, locate};
use super::names::{Layout, mxfp4_names, place};
use super::safetensors::Entry;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::files::read_text;
use crate::layers::{KvFormat, Layer};
use crate::model::Transformer;
use crate::mxfp4::BLOCK;
use crate::parameter::{Request, Role, Roles, Source, Value};
use crate::stored::{Bytes, Numbers, Precision, Rows, StoredWeight};
use crate::tensor::{Array, Tensor, array};
use ::safetensors::tensor::Dtype;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The arithmetic of a model that is not trained. By default, every weight has exactly the value in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arithmetic {
    /// The precision of products with weights in MXFP4 or int8.
    pub precision: Precision,
    /// Whether the weights of attention, dense layers and the output projection are rounded to int8 when they are
    /// loaded. The router, norms, biases and sinks keep their format, and so does an embedding that is not also the
    /// output projection, because each token reads a single row of it.
    pub dense_int8: bool,
    /// The format to which keys and values are rounded.
    pub kv_format: KvFormat,
}

/// Opens a model directory to be run. Weights stay in their files, in their format.
///
/// # Errors
/// One line with the file, and the key or tensor, that is missing, malformed or contradicts the configuration.
pub fn load(directory: impl AsRef<Path>) -> Result<Transformer> {
    load_with(directory, Arithmetic::default())
}

/// Like [`load`], for a model that computes in another arithmetic.
///
/// # Errors
/// Those of [`load`]; and if a weight to be rounded has rows that are not whole blocks of 32.
pub fn load_with(directory: impl AsRef<Path>, arithmetic: Arithmetic) -> Result<Transformer> {
    open(directory.as_ref(), Use::Run(arithmetic))
}

/// Opens a model directory to be trained. Every parameter in f32 or bf16 becomes f32 in memory. Weights in MXFP4 stay
/// in their file and are frozen.
///
/// # Errors
/// Those of [`load`].
pub fn load_trainable(directory: impl AsRef<Path>) -> Result<Transformer> {
    open(directory.as_ref(), Use::Train { frozen: Roles::default(), expand: false })
}

/// Opens a model directory to be trained further. Every parameter becomes f32 in memory, also those in MXFP4, except those with a
/// frozen role: their matrices stay in their file, in its format.
///
/// # Errors
/// Those of [`load`], and if a scale of a weight that is expanded is damaged.
pub fn load_to_train(directory: impl AsRef<Path>, frozen: Roles) -> Result<Transformer> {
    open(directory.as_ref(), Use::Train { frozen, expand: true })
}

/// Opens a model directory to be described: reads the configuration and the headers of the files, and no weight. Parameters
/// that are not left in their file have the right shape and no meaning.
///
/// # Errors
/// Those of [`load`].
pub fn describe(directory: impl AsRef<Path>) -> Result<Transformer> {
    open(directory.as_ref(), Use::Describe)
}

/// Checks what [`load`] does not read: the scales of weights in MXFP4. The model directory is damaged if one is not a number.
///
/// Programs that use all weights anyway call this first. A generator does not: it checks the logits, which are not finite
/// if a damaged weight was used, and then calls this to find the weight.
///
/// # Errors
/// One line with the file, the tensor, and the scale.
pub fn check(model: &Transformer) -> Result<()> {
    model.parameters().into_iter().filter_map(|parameter| parameter.value().stored()).try_for_each(StoredWeight::check)
}

/// The purpose for which a model is opened.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// To be trained, except parameters with a frozen role; weights in MXFP4 only if they are to be expanded.
    Train {
        frozen: Roles,
        expand: bool,
    },
    Run(Arithmetic),
    Describe,
}

fn open(directory: &Path, purpose: Use) -> Result<Transformer> {
    open_noting(directory, purpose, &mut |_| {})
}

/// Returns a line for everything that [`load`] does not use or that contradicts itself, and where it does as transformers
/// does: numbers under two keys, tensors that the index places elsewhere, left-overs of older versions.
///
/// # Errors
/// Those of [`load`].
pub fn notes(directory: impl AsRef<Path>) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    open_noting(directory.as_ref(), Use::Describe, &mut |note| notes.push(note))?;
    Ok(notes)
}

fn open_noting(directory: &Path, purpose: Use, note: &mut dyn FnMut(String)) -> Result<Transformer> {
    let directory = &locate(directory)?;
    let path = directory.join(CONFIG);
    let text = read_text(&path)?;
    let config = ModelConfig::from_json(&text, &path)?;
    let tensors = || Tensors::open(directory, config.mtp_layers > 0);
    build(&path, &text, &config, tensors, purpose, note)
}

/// Opens a model whose files are in memory, as in a program without a file system. `config` is the text of `config.json`,
/// and `weights` are the bytes of `model.safetensors`. Weights are not copied.
///
/// # Errors
/// Those of [`load`].
pub fn load_from_memory(config: &str, weights: Bytes) -> Result<Transformer> {
    let path = Path::new(CONFIG);
    let read = ModelConfig::from_json(config, path)?;
    build(path, config, &read, || Tensors::in_memory(weights), Use::Run(Arithmetic::default()), &mut |_| {})
}

/// Builds a model from the text of its configuration, which was read from `path`, and from its tensors.
fn build(
    path: &Path,
    text: &str,
    config: &ModelConfig,
    tensors: impl FnOnce() -> Result<Tensors>,
    purpose: Use,
    note: &mut dyn FnMut(String),
) -> Result<Transformer> {
    ModelConfig::contradictions(text).into_iter().for_each(&mut *note);
    if let Some(quantization) = config.other.get("quantization_config") {
        let method = quantization.get("quant_method").unwrap_or(&serde_json::Value::Null);
        if method != "mxfp4" {
            let message = format!("quantization_config.quant_method is {method}; expected \"mxfp4\"");
            return Err(Error::file(path, message));
        }
    }
    let tensors = tensors()?;
    tensors.notes().iter().cloned().for_each(&mut *note);
    let layout = if tensors.get("norm.scale").is_some() { Layout::OpenAi } else { Layout::HuggingFace };
    let mut checkpoint = Checkpoint { tensors, layout, config, purpose, used: HashSet::new() };
    let mut model = Transformer::new(config, &mut checkpoint)?;
    if let Use::Run(arithmetic) = purpose {
        model.set_kv_format(arithmetic.kv_format)?;
    }
    checkpoint.check_unused(note)?;
    Ok(model)
}

struct Checkpoint<'c> {
    tensors: Tensors,
    layout: Layout,
    config: &'c ModelConfig,
    purpose: Use,
    used: HashSet<String>,
}

impl Checkpoint<'_> {
    /// Checks the tensors that no parameter has used. Some are harmless and noted.
    fn check_unused(&self, note: &mut dyn FnMut(String)) -> Result<()> {
        for name in self.tensors.names().filter(|&name| !self.used.contains(name)) {
            if name.ends_with("rotary_emb.inv_freq") {
                note(format!("tensor {name} is left out: the frequencies follow from config.json"));
            } else if self.config.tied && self.layout == Layout::HuggingFace && name == "lm_head.weight" {
                self.check_tied(name)?;
                note(format!("tensor {name} is left out: it equals the embedding, to which config.json ties it"));
            } else {
                return Err(self.tensors.wrong(name, self.foreign(name).unwrap_or_else(no_part)));
            }
        }
        Ok(())
    }

    /// Checks that an output projection which is stored although it is tied to the embedding equals the embedding.
    fn check_tied(&self, name: &str) -> Result<()> {
        let embedding = self.tensors.get(&place(self.layout, "embedding.weight", self.config).tensor);
        match self.tensors.get(name).zip(embedding) {
            Some(((head, _), (embedding, _))) if head.dtype == embedding.dtype && *head.bytes == *embedding.bytes => {
                Ok(())
            }
            _ => Err(self.tensors.wrong(name, "differs from the embedding, to which tie_word_embeddings ties it")),
        }
    }

    /// Describes a tensor of another program's layout.
    fn foreign(&self, name: &str) -> Option<String> {
        let has = |part: &str| name.contains(part);
        if has("lora_") || name.starts_with("base_model.") {
            return Some(adapter_message("the tensor"));
        }
        let per_expert = has(".experts.") && name.split('.').skip_while(|&part| part != "experts").any(is_number);
        per_expert.then(|| {
            "is of a single expert, as unsloth names them; ossia reads transformers' names, with all experts of a layer in \
             one tensor (gate_up_proj, down_proj): save the model with save_pretrained_merged"
                .into()
        })
    }

    /// Returns a tensor of the given shape.
    fn entry(&mut self, name: &str, shape: &[usize]) -> Result<Entry> {
        let Some((entry, _)) = self.tensors.get(name) else {
            // A file of another program lacks the tensor, and has others instead.
            let foreign = self.tensors.names().find_map(|name| Some((name, self.foreign(name)?)));
            return Err(match foreign {
                Some((name, message)) => self.tensors.wrong(name, message),
                None => self.tensors.wrong(name, "missing; do config.json and the weights belong together?"),
            });
        };
        if entry.shape != shape {
            return Err(self.tensors.wrong(name, format!("shape {:?}; config.json makes it {shape:?}", entry.shape)));
        }
        self.used.insert(name.to_string());
        Ok(entry.clone())
    }

    /// Returns the entry of a parameter of the given shape. If the parameter shares a tensor with others, the entry has
    /// only its rows.
    fn part(&mut self, parameter: &str, shape: &[usize]) -> Result<(String, Entry)> {
        let place = place(self.layout, parameter, self.config);
        let Some((rows, all)) = place.rows else {
            let entry = self.entry(&place.tensor, shape)?;
            return Ok((place.tensor, entry));
        };
        let mut entry = self.entry(&place.tensor, &[&[all], &shape[1..]].concat())?;
        let row = entry.bytes.len() / all;
        entry.bytes = entry.bytes.slice(rows.start * row..rows.end * row);
        entry.shape = shape.to_vec();
        Ok((place.tensor, entry))
    }

    fn to_array(&self, name: &str, entry: &Entry) -> Result<Array> {
        entry.to_array().ok_or_else(|| self.wrong_type(name, entry))
    }

    fn wrong_type(&self, name: &str, entry: &Entry) -> Error {
        self.tensors.wrong(name, format!("type {:?}; expected F32, BF16 or F16", entry.dtype))
    }

    /// Returns whether parameters with this role are trained.
    fn trains(&self, role: Role) -> bool {
        matches!(self.purpose, Use::Train { frozen, .. } if !frozen.contains(role))
    }

    fn tensor(&self, role: Role, numbers: Array) -> Tensor {
        if self.trains(role) { Tensor::parameter(numbers) } else { Tensor::constant(numbers) }
    }

    /// Returns the value of a matrix that is not trained, in the requested arithmetic. `tensor` is its name in the
    /// file.
    fn stored(&self, role: Role, tensor: &str, mut weight: StoredWeight) -> Result<Value> {
        if let Use::Run(arithmetic) = self.purpose {
            // A token reads only one row of an embedding that is not also the output projection.
            let dense = matches!(role, Role::Matrix | Role::Head) || (role == Role::Embedding && self.config.tied);
            if arithmetic.dense_int8 && dense {
                let columns = weight.columns();
                if !columns.is_multiple_of(BLOCK) {
                    let what = format!("rows of {columns} are not whole blocks of {BLOCK}, as int8 needs");
                    return Err(self.tensors.wrong(tensor, what));
                }
                weight = weight.to_int8();
            }
            weight = weight.with_precision(arithmetic.precision);
        }
        Ok(weight.into())
    }

    // ANCHOR: mxfp4
    /// Returns experts in MXFP4; `None` if they have another format. `shape` is (E, in, out).
    fn mxfp4(&mut self, name: &str, shape: &[usize]) -> Result<Option<StoredWeight>> {
        let (codes_name, scales_name) = mxfp4_names(self.layout, name);
        let &[experts, inputs, outputs] = shape else { return Ok(None) };
        if self.tensors.get(&codes_name).is_none() && self.tensors.get(&scales_name).is_none() {
            return Ok(None);
        }
        if !inputs.is_multiple_of(BLOCK) {
            return Err(self.tensors.wrong(&codes_name, format!("rows of {inputs} are not whole blocks of {BLOCK}")));
        }
        let blocks = inputs / BLOCK;
        let codes = self.entry(&codes_name, &[experts, outputs, blocks, BLOCK / 2])?;
        let scales = self.entry(&scales_name, &[experts, outputs, blocks])?;
        for (name, entry) in [(&codes_name, &codes), (&scales_name, &scales)] {
            if entry.dtype != Dtype::U8 {
                return Err(self.tensors.wrong(name, format!("type {:?}; expected U8", entry.dtype)));
            }
        }
        let numbers = Numbers::Mxfp4 { codes: codes.bytes, scales: scales.bytes };
        let weight = StoredWeight::new(&[experts, outputs, inputs], Rows::Outputs, numbers);
        let path = self.tensors.get(&scales_name).map_or(PathBuf::new(), |(_, path)| path.to_path_buf());
        Ok(Some(weight.with_source(path, scales_name)))
    }
    // ANCHOR_END: mxfp4
}

impl Source for Checkpoint<'_> {
    fn value(&mut self, request: Request) -> Result<Value> {
        let Request { name, shape, role, .. } = request;
        if !role.is_matrix() {
            let (tensor, entry) = self.part(name, shape)?;
            let numbers = match self.purpose {
                Use::Describe if entry.is_supported() => array(shape, vec![0.0; shape.iter().product()]),
                _ => self.to_array(&tensor, &entry)?,
            };
            return Ok(self.tensor(role, numbers).into());
        }
        let tensor = place(self.layout, name, self.config).tensor;
        if let Some(weight) = self.mxfp4(&tensor, shape)? {
            if !(self.trains(role) && matches!(self.purpose, Use::Train { expand: true, .. })) {
                return self.stored(role, &tensor, weight);
            }
            weight.check()?;
            let rows = array(weight.shape(), Value::from(weight.clone()).to_f32()); // (E, out, in)
            return Ok(self.tensor(role, rows.permuted_axes([0, 2, 1].as_slice())).into());
        }
        // ANCHOR: orientation
        // Experts that are not quantized: Hugging Face has a row per input, OpenAI a row per output.
        let (shape_in_file, row) = match (shape, self.layout) {
            (&[experts, inputs, outputs], Layout::OpenAi) => (vec![experts, outputs, inputs], Rows::Outputs),
            (&[_, _, _], Layout::HuggingFace) => (shape.to_vec(), Rows::Inputs),
            _ => (shape.to_vec(), Rows::Outputs),
        };
        // ANCHOR_END: orientation
        let (tensor, entry) = self.part(name, &shape_in_file)?;
        // F16 is widened, because the kernels do not compute with it.
        let numbers = entry.widened().ok_or_else(|| self.wrong_type(&tensor, &entry))?;
        if !self.trains(role) && StoredWeight::fits(&shape_in_file, &numbers) {
            return self.stored(role, &tensor, StoredWeight::new(&shape_in_file, row, numbers));
        }
        // To be trained; or f32 at an odd address, which no current writer produces.
        let numbers = self.to_array(&tensor, &entry)?;
        let transposed = role == Role::Expert && row == Rows::Outputs;
        let numbers = if transposed { numbers.permuted_axes([0, 2, 1].as_slice()) } else { numbers };
        Ok(self.tensor(role, numbers).into())
    }
}

fn no_part() -> String {
    "no part of the model that config.json describes".into()
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}
