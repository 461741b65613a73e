//! Adapters as PEFT saves them: `adapter_config.json`, which says what is corrected, and `adapter_model.safetensors`.
//!
//! The names are those of the modules of transformers' model. The two matrices of the experts are parameters of one module, which
//! PEFT wraps once for each: the tensors of the inner wrapper, of `gate_up_proj`, have `base_layer` in their names. The pairs of all
//! experts stand in one matrix each: A (E·r, in), with the rows of an expert one after the other, and B (out, r·E), with the columns of
//! all experts for each of the r.
//! <https://huggingface.co/docs/peft/package_reference/lora>, <https://github.com/huggingface/peft> `src/peft/tuners/lora/layer.py`

use super::locate::ADAPTER;
use super::names::file_name;
use super::safetensors::{TensorFile, TensorToWrite, write_tensors};
use crate::error::{Error, Result};
use crate::files::{create_directory, read_text, write_atomically};
use crate::layers::{Adapter, Layer, Target, lora};
use crate::model::Transformer;
use crate::parameter::{Request, Source, Value};
use crate::tensor::{Array, Tensor, array, slice};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The file that says what an adapter corrects.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

/// Writes the adapter of a model.
///
/// # Errors
/// Those of the operating system. Panics if the model has no adapter.
pub fn save_adapter(model: &Transformer, directory: &Path) -> Result<()> {
    let adapter = model.adapter.as_ref().expect("a model with an adapter");
    create_directory(directory)?;
    let parameters = model.parameters();
    let corrections = parameters.iter().filter_map(|parameter| Some((tensor_name(parameter.name())?, parameter)));
    let arrays: Vec<(String, Array)> =
        corrections.map(|(name, parameter)| (name, to_peft(parameter.name(), parameter.value()))).collect();
    let tensors = arrays.iter().map(|(name, array)| (name.clone(), TensorToWrite::f32(array.shape(), slice(array))));
    write_tensors(&directory.join(ADAPTER), tensors, &[("format", "pt".into())])?;
    let config = serde_json::to_string_pretty(&config_of(adapter, model)).expect("plain values");
    write_atomically(&directory.join(ADAPTER_CONFIG), format!("{config}\n").as_bytes())
}

/// Returns the content of `adapter_config.json`.
fn config_of(adapter: &Adapter, model: &Transformer) -> Json {
    let has = |target| adapter.targets.contains(&target);
    let dense = !model.config.dense_layers.is_empty();
    let (mut modules, mut parameters) = (Vec::new(), Vec::new());
    if has(Target::Attention) {
        modules.extend(["q_proj", "k_proj", "v_proj", "o_proj"]);
    }
    if has(Target::Experts) {
        parameters.extend(["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]);
        modules.extend(if dense { &["mlp.gate_up_proj", "mlp.down_proj"][..] } else { &[] });
    }
    if has(Target::Router) {
        parameters.push("mlp.router.weight");
    }
    if has(Target::Head) {
        modules.push("lm_head");
    }
    json!({
        "base_model_name_or_path": adapter.base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": adapter.rank,
        "target_modules": modules,
        "target_parameters": (!parameters.is_empty()).then_some(parameters),
        "task_type": "CAUSAL_LM",
        "use_rslora": false,
    })
}

/// Returns the name that a parameter of a correction has in the file of PEFT; `None` for another parameter.
fn tensor_name(parameter: &str) -> Option<String> {
    let (weight, factor) = parameter.rsplit_once(".lora_")?;
    let module = file_name(&format!("{weight}.weight"));
    let module = module.trim_end_matches(".weight");
    let wrapper = match module.strip_suffix(".gate_up_proj").filter(|experts| experts.ends_with(".experts")) {
        Some(experts) => format!("{experts}.base_layer"),
        None => module.replace(".experts.down_proj", ".experts"),
    };
    Some(format!("base_model.model.{wrapper}.lora_{}.weight", factor.to_uppercase()))
}

/// Returns a factor as PEFT lays it out: A (E, in, r) → (E·r, in), B (E, r, out) → (out, r·E).
fn to_peft(name: &str, value: &Value) -> Array {
    let numbers = array(value.shape(), value.to_f32());
    let &[first, second, third] = value.shape() else { return numbers };
    let (axes, shape) = match name.ends_with("lora_a") {
        true => ([0, 2, 1], [first * third, second]),
        false => ([2, 1, 0], [third, second * first]),
    };
    array(&shape, numbers.permuted_axes(&axes[..]).iter().copied().collect())
}

/// Opens the adapter of a model, and attaches it. All parameters are frozen.
///
/// # Errors
/// One line with the file, and the key or the tensor, that is missing, or does not belong to this model.
pub fn load_adapter(model: &mut Transformer, directory: &Path) -> Result<()> {
    let path = directory.join(ADAPTER_CONFIG);
    let (mut adapter, gate_up_alone) = read_config(&path)?;
    let mut source =
        AdapterFile { file: TensorFile::open(directory.join(ADAPTER))?, gate_up_alone, used: BTreeSet::new() };
    let (mut chosen, mut targets) = (BTreeSet::new(), Vec::new());
    model.visit_weights(&mut |weight| {
        let (parameter, target) = (weight.parameter(), Target::of(weight.parameter()));
        let weight = parameter.name().trim_end_matches(".weight");
        if source.name_of(&format!("{weight}.lora_a")).is_some_and(|name| source.file.entry(&name).is_some()) {
            chosen.insert(parameter.name().to_string());
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    });
    adapter.targets = targets;
    lora::attach(model, &adapter, &|weight| chosen.contains(weight.name()), &mut source)?;
    source.check_unused()?;
    model.adapter = Some(adapter);
    Ok(())
}

/// Reads `adapter_config.json`: the adapter, still without targets, and whether of the experts only `gate_up_proj` is corrected.
fn read_config(path: &Path) -> Result<(Adapter, bool)> {
    let config: Map<String, Json> = serde_json::from_str(&read_text(path)?)
        .map_err(|e| Error::file(path, format!("not JSON: {e}")).caused_by(e))?;
    let get = |key: &str| config.get(key).filter(|value| !value.is_null());
    let wrong = |key: &str, expected: &str| {
        let found = get(key).map_or("missing".into(), Json::to_string);
        Error::file(path, format!("{key} is {found}; expected {expected}"))
    };
    if get("peft_type").and_then(Json::as_str) != Some("LORA") {
        return Err(wrong("peft_type", "\"LORA\""));
    }
    // What would change the result, and ossia does not compute.
    let is_set = |key: &str| get(key).is_some_and(|value| !matches!(value, Json::Bool(false)) && *value != json!({}));
    let unknown = [
        "use_dora",
        "use_rslora",
        "lora_bias",
        "fan_in_fan_out",
        "rank_pattern",
        "alpha_pattern",
        "modules_to_save",
        "trainable_token_indices",
        "layer_replication",
    ];
    if let Some(key) = unknown.into_iter().find(|key| is_set(key)) {
        return Err(wrong(key, "none: ossia does not know it"));
    }
    if get("bias").is_some_and(|bias| bias != "none") {
        return Err(wrong("bias", "\"none\""));
    }
    let rank = get("r").and_then(Json::as_u64).filter(|rank| (1..=65_535).contains(rank));
    let rank = rank.ok_or_else(|| wrong("r", "1 to 65535"))?;
    let alpha = get("lora_alpha").and_then(Json::as_f64).map(|alpha| alpha as f32).filter(|alpha| alpha.is_finite());
    let alpha = alpha.ok_or_else(|| wrong("lora_alpha", "a number"))?;
    let names = |key: &str| get(key).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let has = |end: &str| names("target_parameters").any(|name| name.ends_with(end));
    let base = get("base_model_name_or_path").and_then(Json::as_str).unwrap_or("").to_string();
    let adapter = Adapter { rank: rank as usize, alpha, targets: Vec::new(), base };
    Ok((adapter, has("experts.gate_up_proj") && !has("experts.down_proj")))
}

/// The factors in a file.
struct AdapterFile {
    file: TensorFile,
    gate_up_alone: bool,
    used: BTreeSet<String>,
}

impl AdapterFile {
    /// Returns the name that a factor has in the file. If only one parameter of the experts is corrected, there is one wrapper.
    fn name_of(&self, parameter: &str) -> Option<String> {
        let name = tensor_name(parameter)?;
        match (self.gate_up_alone, parameter.contains(".experts.down.")) {
            (false, _) => Some(name),
            (true, true) => None,
            (true, false) => Some(name.replace(".experts.base_layer.", ".experts.")),
        }
    }

    fn wrong(&self, tensor: &str, message: impl std::fmt::Display) -> Error {
        Error::file(self.file.path(), format!("tensor {tensor}: {message}"))
    }

    /// Checks that each tensor belongs to a weight of the model. An output projection may stand beside its adapter.
    fn check_unused(&self) -> Result<()> {
        let is_base = |name: &str| name.ends_with("lm_head.base_layer.weight");
        match self.file.names().find(|&name| !self.used.contains(name) && !is_base(name)) {
            Some(name) => Err(self.wrong(name, "corrects no weight of this model; is it the adapter of another one?")),
            None => Ok(()),
        }
    }
}

impl Source for AdapterFile {
    fn value(&mut self, request: Request) -> Result<Value> {
        let name = self.name_of(request.name).unwrap_or_default();
        let entry = self.file.entry(&name).ok_or_else(|| self.wrong(&name, "missing; is the file complete?"))?;
        let expected = match (request.shape, request.name.ends_with("lora_a")) {
            (&[experts, inputs, rank], true) => vec![experts * rank, inputs],
            (&[experts, rank, outputs], false) => vec![outputs, rank * experts],
            (shape, _) => shape.to_vec(),
        };
        if entry.shape != expected {
            let message =
                format!("shape {:?}; this model makes it {expected:?}: is it the adapter of another one?", entry.shape);
            return Err(self.wrong(&name, message));
        }
        let numbers = entry.to_array();
        let numbers =
            numbers.ok_or_else(|| self.wrong(&name, format!("type {:?}; expected F32, BF16 or F16", entry.dtype)))?;
        let numbers = from_peft(request.name, request.shape, numbers);
        self.used.insert(name);
        Ok(Tensor::constant(numbers).into())
    }
}

/// Undoes [`to_peft`]. `shape` is that of the result.
fn from_peft(name: &str, shape: &[usize], numbers: Array) -> Array {
    let &[experts, second, third] = shape else { return numbers };
    let (stacked, axes) = match name.ends_with("lora_a") {
        true => ([experts, third, second], [0, 2, 1]),
        false => ([third, second, experts], [2, 1, 0]),
    };
    let numbers = array(&stacked, numbers.iter().copied().collect());
    array(shape, numbers.permuted_axes(&axes[..]).iter().copied().collect())
}
