//! Writing a model directory: as the model is, in bf16, or with experts in MXFP4; in either layout.
//!
//! Bytes are made tensor by tensor while the file is written, so that a model larger than the memory can be converted.

use super::directory::write;
use super::load::CONFIG;
use super::names::{Layout, mxfp4_names, place};
use super::safetensors::Part;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::files::{create_directory, write_atomically};
use crate::kernels::parallel;
use crate::layers::Parameter;
use crate::model::Transformer;
use crate::mxfp4::{BLOCK, Codes, encode_blocks};
use crate::stored::{Numbers, Rows, Stored};
use crate::tensor::Tensor;
use ::safetensors::tensor::Dtype;
use half::bf16;
use serde_json::json;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// How numbers are to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// What is in memory as f32, what is frozen as it lies.
    AsItIs,
    /// Everything as bf16, two bytes a number.
    Bf16,
    /// Experts as MXFP4, 17 bytes for 32 numbers, and the rest as bf16: how OpenAI publishes gpt-oss.
    Mxfp4,
}

/// What [`save_as`] makes of a model.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// How its numbers are written.
    pub form: Form,
    /// Whose names and shapes they get.
    pub layout: Layout,
    /// In how large files, in bytes: one tensor at least in each. `None`: in one.
    pub shard_bytes: Option<u64>,
}

/// Writes `config.json` and `model.safetensors`, each atomically, as the model is and in Hugging Face's layout.
///
/// # Errors
/// What the system says.
pub fn save(model: &Transformer, directory: &Path) -> Result<()> {
    let written = Written { form: Form::AsItIs, layout: Layout::HuggingFace, shard_bytes: None };
    save_as(model, directory, written).map(|_| ())
}

/// Writes `config.json` and the weights, each file atomically, and says how many bytes the weights are.
///
/// # Errors
/// A weight that is not finite, or rows of experts that are not whole blocks, where MXFP4 is asked for; a model that
/// OpenAI's layout has no words for, where that is asked for; what the system says.
pub fn save_as(model: &Transformer, directory: &Path, written: Written) -> Result<u64> {
    let config = match written.layout {
        Layout::HuggingFace => config_of(model, written.form).to_json(),
        Layout::OpenAi => model.config.to_openai_json()?,
    };
    let mut tensors: Vec<(String, Part)> = Vec::new();
    for (name, weight) in weights(model, written.layout) {
        for (name, part) in parts(&name, weight, written, &model.config)? {
            match tensors.iter_mut().rev().find(|(other, _)| *other == name) {
                Some((_, above)) => above.append(part),
                None => tensors.push((name, part)),
            }
        }
    }
    create_directory(directory)?;
    let bytes = write(directory, tensors, written.shard_bytes)?;
    write_atomically(&directory.join(CONFIG), config.as_bytes())?;
    Ok(bytes)
}

/// The configuration of a model that has this form.
fn config_of(model: &Transformer, form: Form) -> ModelConfig {
    let mut config = model.config.clone();
    let quantized = weights(model, Layout::HuggingFace)
        .iter()
        .any(|(_, held)| matches!(held, Held::Stored(stored) if matches!(stored.numbers(), Numbers::Mxfp4 { .. })));
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

/// A parameter, in memory or in a file.
#[derive(Clone)]
enum Held {
    Tensor(Tensor),
    Stored(Arc<Stored>),
}

/// All of them under our names. OpenAI's layout has an output projection of its own even where it is the embedding.
fn weights(model: &Transformer, layout: Layout) -> Vec<(String, Held)> {
    let mut weights = Vec::new();
    model.clone().visit(&mut |name, parameter| {
        let held = match parameter {
            Parameter::Trained(tensor) => Held::Tensor(tensor.clone()),
            Parameter::Frozen(stored) => Held::Stored(stored.clone()),
        };
        if name == "embedding.weight" && model.config.tied && layout == Layout::OpenAi {
            weights.push(("head.weight".into(), held.clone()));
        }
        weights.push((name, held));
    });
    weights
}

/// The tensors that a parameter becomes: one, or codes and scales.
fn parts(name: &str, held: Held, written: Written, config: &ModelConfig) -> Result<Vec<(String, Part<'static>)>> {
    let Written { form, layout, .. } = written;
    let file_name = place(layout, name, config).tensor;
    if let Held::Stored(stored) = &held
        && let Numbers::Mxfp4 { codes, scales } = stored.numbers()
        && form != Form::Bf16
    {
        let bytes = [codes.clone(), scales.clone()].map(|bytes| move || bytes.to_vec());
        return Ok(mxfp4_parts(mxfp4_names(layout, &file_name), stored.shape(), bytes));
    }
    let stack = Stack::new(held);
    if form == Form::Mxfp4 && stack.shape.len() == 3 {
        let &[experts, inputs, outputs] = stack.shape.as_slice() else { unreachable!("a stack of matrices") };
        if !inputs.is_multiple_of(BLOCK) {
            let message = format!("{file_name}: rows of {inputs} numbers are not whole blocks of {BLOCK}");
            return Err(Error::argument(message));
        }
        let stack = Arc::new(stack);
        stack.check_finite(&file_name)?;
        let (codes, scales) = (stack.clone(), stack);
        let bytes: [Box<dyn Fn() -> Vec<u8>>; 2] = [
            Box::new(move || codes.encode().into_iter().flat_map(|(codes, _)| codes.into_iter().flatten()).collect()),
            Box::new(move || scales.encode().into_iter().flat_map(|(_, scales)| scales).collect()),
        ];
        return Ok(mxfp4_parts(mxfp4_names(layout, &file_name), &[experts, outputs, inputs], bytes));
    }
    let row = if layout == Layout::OpenAi { Rows::Outputs } else { Rows::Inputs };
    let (shape, (dtype, bytes)) = (stack.shape_with(row), stack.bytes(form, row));
    Ok(vec![(file_name, Part { dtype, shape, bytes: Box::new(move || Cow::Owned(bytes())) })])
}

/// Codes and scales of experts, `shape` (E, out, in).
fn mxfp4_parts<F: Fn() -> Vec<u8> + 'static>(
    (codes_name, scales_name): (String, String),
    shape: &[usize],
    bytes: [F; 2],
) -> Vec<(String, Part<'static>)> {
    let scales_shape = vec![shape[0], shape[1], shape[2] / BLOCK];
    let codes_shape = [&scales_shape[..], &[BLOCK / 2]].concat();
    let named = [codes_name, scales_name].into_iter().zip([codes_shape, scales_shape]).zip(bytes);
    named
        .map(|((name, shape), bytes)| {
            (name, Part { dtype: Dtype::U8, shape, bytes: Box::new(move || Cow::Owned(bytes())) })
        })
        .collect()
}

/// The numbers of a parameter in the order of Hugging Face's unquantized layout: experts with a row per input.
struct Stack {
    held: Held,
    shape: Vec<usize>,
}

impl Stack {
    fn new(held: Held) -> Self {
        let shape = match &held {
            Held::Tensor(tensor) => tensor.shape().to_vec(),
            Held::Stored(stored) => match *stored.shape() {
                [experts, _, _] => vec![experts, stored.inputs(), stored.outputs()],
                _ => stored.shape().to_vec(),
            },
        };
        Self { held, shape }
    }

    /// What a row of its matrices is.
    fn row(&self) -> Rows {
        match &self.held {
            Held::Tensor(_) => Rows::Inputs,
            Held::Stored(stored) => stored.row(),
        }
    }

    /// Whether the numbers lie in the order of a layout that has this row. All but experts lie as both have them.
    fn lies(&self, row: Rows) -> bool {
        self.shape.len() != 3 || self.row() == row
    }

    /// The shape in a layout that has this row.
    fn shape_with(&self, row: Rows) -> Vec<usize> {
        match (self.shape.as_slice(), row) {
            (&[experts, inputs, outputs], Rows::Outputs) => vec![experts, outputs, inputs],
            (shape, _) => shape.to_vec(),
        }
    }

    /// Matrix `i`, as it lies.
    fn matrix(&self, i: usize) -> Vec<f32> {
        match &self.held {
            Held::Tensor(tensor) => {
                let size: usize = self.shape[1..].iter().product();
                tensor.data()[i * size..][..size].to_vec()
            }
            Held::Stored(stored) => {
                let matrix = stored.matrix(i);
                let mut numbers = vec![0.0; matrix.dim().0 * matrix.dim().1];
                matrix.expand(&mut numbers);
                numbers
            }
        }
    }

    /// Matrix `i` of a stack of experts with a row per output, or per input.
    fn expert(&self, i: usize, row: Rows) -> Vec<f32> {
        let (inputs, outputs) = (self.shape[1], self.shape[2]);
        let numbers = self.matrix(i);
        match (self.row(), row) {
            (Rows::Inputs, Rows::Outputs) => transposed(&numbers, inputs, outputs),
            (Rows::Outputs, Rows::Inputs) => transposed(&numbers, outputs, inputs),
            _ => numbers,
        }
    }

    fn check_finite(&self, name: &str) -> Result<()> {
        let finite = |i| self.matrix(i).iter().all(|x| x.is_finite());
        match parallel::map(self.shape[0], finite).iter().position(|finite| !finite) {
            Some(expert) => Err(Error::argument(format!("{name}: expert {expert} has a number that is not finite"))),
            None => Ok(()),
        }
    }

    /// Codes and scales of every expert.
    fn encode(&self) -> Vec<(Vec<Codes>, Vec<u8>)> {
        parallel::map(self.shape[0], |i| encode_blocks(&self.expert(i, Rows::Outputs)))
    }

    /// The type in which the numbers are written, and what makes the bytes.
    fn bytes(self, form: Form, row: Rows) -> (Dtype, Box<dyn Fn() -> Vec<u8>>) {
        let mut dtype = if form == Form::AsItIs { Dtype::F32 } else { Dtype::BF16 };
        if let Held::Stored(stored) = &self.held {
            let (lies_as, bytes) = match stored.numbers() {
                Numbers::F32(bytes) => (Dtype::F32, Some(bytes.clone())),
                Numbers::Bf16(bytes) => (Dtype::BF16, Some(bytes.clone())),
                Numbers::Mxfp4 { .. } | Numbers::Int8(_) => (dtype, None),
            };
            dtype = if form == Form::AsItIs { lies_as } else { dtype };
            if let Some(bytes) = bytes.filter(|_| lies_as == dtype && self.lies(row)) {
                return (dtype, Box::new(move || bytes.to_vec()));
            }
        }
        let numbers = move || match &self.held {
            Held::Tensor(tensor) if self.lies(row) => tensor.data().to_vec(),
            Held::Stored(stored) if self.lies(row) => stored.to_f32(),
            _ => parallel::map(self.shape[0], |i| self.expert(i, row)).concat(),
        };
        match dtype {
            Dtype::F32 => (dtype, Box::new(move || numbers().iter().flat_map(|x| x.to_le_bytes()).collect())),
            _ => (dtype, Box::new(move || numbers().iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect())),
        }
    }
}

/// (rows, columns) → (columns, rows)
fn transposed(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| numbers[row * columns + column])).collect()
}
