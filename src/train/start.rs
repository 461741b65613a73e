//! The model with which a run begins: random, or one that was trained before.
//!
//! Book: [training](../../../../book/training.html)

use super::memory::{bytes_to_train, limit};
use super::note::{Note, Notes};
use super::settings::RunSettings;
use crate::checkpoint::{self, TensorFile};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::layers::{Layer, Target, lora};
use crate::model::Transformer;
use crate::mxfp4::BLOCK;
use crate::parameter::{Parameter, Random, Role, Roles};
use crate::tensor::Tensor;
use crate::tokenizer::Tokenizer;
use std::path::Path;

/// Returns the configuration and the tokenizer of a model that is to be trained further. If it has weights in MXFP4 and the memory
/// is too small to train them on so many ranks of this machine, freezes them.
///
/// # Errors
/// If the model cannot be opened.
pub fn open(path: &Path, frozen: &mut Roles, ranks: usize, notes: Notes) -> Result<(ModelConfig, Tokenizer)> {
    let (model, tokenizer) = checkpoint::open(path)?;
    let mxfp4 = model.parameters().iter().any(|parameter| parameter.value().mxfp4().is_some());
    if mxfp4 && !frozen.contains(Role::Expert) {
        let (needed, memory) = (bytes_to_train(&model.config, *frozen, ranks), limit(Path::new("/")));
        let trained = memory.is_none_or(|memory| needed <= memory);
        if !trained {
            *frozen = frozen.with(Role::Expert);
        }
        notes(Note::Quantized { trained, needed, memory });
    }
    Ok((model.config, tokenizer))
}

/// Checks that a model has the parameters that are to be frozen, and others.
///
/// # Errors
/// If the model lacks one of the roles, or if nothing would be trained.
pub fn check_frozen(config: &ModelConfig, frozen: Roles) -> Result<()> {
    let sparse = config.dense_layers.len() < config.layers;
    let has = |role| match role {
        Role::Head => !config.tied,
        Role::Expert | Role::Router => sparse,
        _ => true,
    };
    if let Some(role) = frozen.iter().find(|&role| !has(role)) {
        return Err(Error::argument(format!("--freeze {}: this model has none", role.name())));
    }
    match Role::ALL.into_iter().any(|role| has(role) && !frozen.contains(role)) {
        true => Ok(()),
        false => Err(Error::argument("--freeze: nothing is left to be trained")),
    }
}

/// Checks that the experts of a model can be trained for a number format.
///
/// # Errors
/// If the model has no experts, if they are frozen, or if their rows are not whole blocks.
pub fn check_quantized(config: &ModelConfig, settings: &RunSettings) -> Result<()> {
    if settings.settings.qat.is_none() {
        return Ok(());
    }
    let refused = |why: &str| Err(Error::argument(format!("--qat mxfp4: {why}")));
    if config.dense_layers.len() == config.layers {
        return refused("this model has no experts");
    }
    if settings.freeze.contains(Role::Expert) {
        return refused("the experts are frozen");
    }
    match [config.hidden_size, config.intermediate_size].into_iter().find(|rows| !rows.is_multiple_of(BLOCK)) {
        Some(inputs) => refused(&format!("rows of {inputs} numbers are not whole blocks of {BLOCK}")),
        None => Ok(()),
    }
}

/// Returns the model with which a run begins.
///
/// # Errors
/// If the model cannot be read, or is no longer the one that the configuration describes.
pub fn starting_model(settings: &RunSettings, config: &ModelConfig) -> Result<Transformer> {
    let Some(path) = &settings.init else {
        let mut model = Transformer::random(config, settings.settings.seed);
        let frozen = model.parameters_mut().into_iter().filter(|parameter| settings.freeze.contains(parameter.role()));
        frozen.for_each(Parameter::detach);
        return Ok(model);
    };
    let mut model = checkpoint::load_to_train(path, settings.freeze)?;
    let before = &model.config;
    let other = before.layers != config.layers || before.vocab_size != config.vocab_size;
    if other || before.hidden_size != config.hidden_size || before.experts != config.experts {
        return Err(Error::file(path, "is not the model with which the run was started"));
    }
    if config.mtp_layers > model.config.mtp_layers {
        model.add_mtp(config, &mut Random::new(settings.settings.seed))?;
    }
    model.config = config.clone();
    if let Some(adapter) = &settings.lora {
        let chosen = |weight: &Parameter| adapter.targets.contains(&Target::of(weight));
        lora::attach(&mut model, adapter, &chosen, &mut Random::new(settings.settings.seed))?;
        model.adapter = Some(adapter.clone());
    }
    Ok(model)
}

/// Returns the model of a run that was saved: trained parameters come from the state, frozen ones from the model with which the run
/// began.
///
/// # Errors
/// Those of [`starting_model`], and if the state lacks a parameter.
pub fn saved_model(settings: &RunSettings, config: &ModelConfig, state: &TensorFile) -> Result<Transformer> {
    let mut model = starting_model(settings, config)?;
    for parameter in model.parameters_mut().into_iter().filter(|parameter| parameter.is_trainable()) {
        let saved = state.tensor(parameter.name(), Some(parameter.value().shape()))?;
        *parameter.tensor_mut() = Tensor::parameter(saved);
    }
    Ok(model)
}
