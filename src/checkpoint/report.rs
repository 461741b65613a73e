//! How many parameters each part of a model has, and how many work on one token.

use crate::model::Transformer;

/// A part of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `embedding`, `attention`, `router`, `experts`, `dense`, `norms`, `head`
    pub name: &'static str,
    /// Its numbers.
    pub parameters: usize,
}

/// Counts of numbers; a number is 4 bytes as f32, 2 as bf16.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every part that the model has.
    pub parts: Vec<Part>,
    /// All parameters.
    pub total: usize,
    /// Those that work on one token: A of E experts, and not the embedding's other rows where it only looks up.
    pub active: usize,
    /// Keys and values of a text, of all layers.
    pub cache_numbers: usize,
}

/// Which part a parameter belongs to.
fn part_of(name: &str) -> &'static str {
    let has = |part: &str| name.contains(part);
    match name {
        "embedding.weight" => "embedding",
        "head.weight" => "head",
        _ if has("norm") => "norms",
        _ if has(".attention.") => "attention",
        _ if has(".router.") => "router",
        _ if has(".experts.") => "experts",
        _ => "dense",
    }
}

/// The counts of a model, with a cache of `context` tokens.
pub fn report(model: &Transformer, context: usize) -> Report {
    let config = &model.config;
    let mut parts: Vec<Part> = Vec::new();
    for (name, tensor) in model.parameters() {
        let (name, parameters) = (part_of(&name), tensor.data().len());
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.parameters += parameters,
            None => parts.push(Part { name, parameters }),
        }
    }
    let total = parts.iter().map(|part| part.parameters).sum();
    let count = |name: &str| parts.iter().find(|part| part.name == name).map_or(0, |part| part.parameters);
    let idle_experts = count("experts") / config.experts * (config.experts - config.experts_per_token);
    // OpenAI's model card counts the output projection as active, and the lookup table not.
    let lookup = if config.tied { 0 } else { count("embedding") };
    let kept = config.windows.iter().map(|window| window.map_or(context, |window| window.min(context)));
    let cache_numbers = kept.sum::<usize>() * 2 * config.kv_heads * config.head_dim;
    Report { total, active: total - idle_experts - lookup, parts, cache_numbers }
}
