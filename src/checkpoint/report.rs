//! How many parameters each part of a model has, how many of them work on one token, and the memory that they take.

use crate::config::ModelConfig;
use crate::layers::Parameter;
use crate::model::Transformer;
use crate::mxfp4::BLOCK;

/// A part of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `embedding`, `attention`, `router`, `experts`, `dense`, `norms`, `head`
    pub name: &'static str,
    /// Its numbers.
    pub parameters: usize,
    /// Bytes that they take as they are.
    pub bytes: usize,
}

impl Part {
    /// Bytes that they would take in bf16.
    pub fn bf16_bytes(&self) -> usize {
        2 * self.parameters
    }
}

/// The parts of a model, and their sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every part that the model has, in the order of the model.
    pub parts: Vec<Part>,
    /// Parameters that work on one token: A of E experts, and not the embedding's other rows where it only looks up.
    pub active: usize,
}

impl Report {
    /// The part of this name; empty if the model has none.
    pub fn part(&self, name: &'static str) -> Part {
        let none = Part { name, parameters: 0, bytes: 0 };
        self.parts.iter().find(|part| part.name == name).cloned().unwrap_or(none)
    }

    /// All parts together.
    pub fn total(&self) -> Part {
        let sum = |count: fn(&Part) -> usize| self.parts.iter().map(count).sum();
        Part { name: "total", parameters: sum(|part| part.parameters), bytes: sum(|part| part.bytes) }
    }

    fn new(config: &ModelConfig, parts: Vec<Part>) -> Self {
        let mut report = Self { parts, active: 0 };
        let idle = report.part("experts").parameters / config.experts * (config.experts - config.experts_per_token);
        // OpenAI's model card counts the output projection as active, and the lookup table not.
        let lookup = if config.tied { 0 } else { report.part("embedding").parameters };
        report.active = report.total().parameters - idle - lookup;
        report
    }
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

/// The parts of a model as it is in memory and in its files.
pub fn report(model: &Transformer) -> Report {
    let mut parts: Vec<Part> = Vec::new();
    model.clone().visit(&mut |name, parameter| {
        let (parameters, bytes) = match parameter {
            Parameter::Trained(tensor) => (tensor.data().len(), 4 * tensor.data().len()),
            Parameter::Frozen(stored) => (stored.numbers().count(), stored.numbers().bytes()),
        };
        let name = part_of(&name);
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => (part.parameters, part.bytes) = (part.parameters + parameters, part.bytes + bytes),
            None => parts.push(Part { name, parameters, bytes }),
        }
    });
    Report::new(&model.config, parts)
}

/// The parts of a model that is only a configuration, in the form in which OpenAI publishes gpt-oss: the weights of
/// experts in MXFP4 where their rows are whole blocks, everything else in bf16.
pub fn published(config: &ModelConfig) -> Report {
    let (h, i, e) = (config.hidden_size, config.intermediate_size, config.experts);
    let (query, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
    let dense = (0..config.layers).filter(|&layer| config.is_dense(layer)).count();
    let sparse = config.layers - dense;
    let inner = config.dense_intermediate_size;
    let expert_weights = sparse * e * (h * 2 * i + i * h);
    let experts = sparse * e * (linear(h, 2 * i) + linear(i, h));
    // ANCHOR: counts
    let counts = [
        ("embedding", config.vocab_size * h),
        ("norms", (2 * config.layers + 1) * h),
        ("attention", config.layers * (linear(h, query) + 2 * linear(h, kv) + linear(query, h) + config.heads)),
        ("router", sparse * linear(h, e)),
        ("experts", experts),
        ("dense", dense * (linear(h, 2 * inner) + linear(inner, h))),
        ("head", if config.tied { 0 } else { config.vocab_size * h }),
    ];
    // ANCHOR_END: counts
    let whole_blocks = h.is_multiple_of(BLOCK) && i.is_multiple_of(BLOCK);
    let bytes = |name: &str, parameters: usize| match name {
        "experts" if whole_blocks => expert_weights / BLOCK * (BLOCK / 2 + 1) + 2 * (parameters - expert_weights),
        _ => 2 * parameters,
    };
    let parts = counts.into_iter().filter(|(_, parameters)| *parameters > 0);
    Report::new(
        config,
        parts.map(|(name, parameters)| Part { name, parameters, bytes: bytes(name, parameters) }).collect(),
    )
}

/// Keys and values of a text of `context` tokens, of all layers; a sliding layer keeps its window.
pub fn cache_numbers(config: &ModelConfig, context: usize) -> usize {
    let kept = config.windows.iter().map(|window| window.map_or(context, |window| window.min(context)));
    kept.sum::<usize>() * 2 * config.kv_heads * config.head_dim
}
