//! Size reports: the parameters of each component of a model, how many of them process one token, and their memory.

use crate::config::ModelConfig;
use crate::layers::Component;
use crate::model::Transformer;
use crate::mxfp4::BLOCK;

/// The size of all layers of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    /// `embedding`, `attention`, `router`, `experts`, `dense`, `norms`, `head`, or `total`.
    pub name: &'static str,
    /// The number of parameters.
    pub parameters: usize,
    /// The bytes that the parameters take as they are.
    pub bytes: usize,
}

impl Size {
    /// Returns the bytes that the parameters would take in bf16.
    pub fn bf16_bytes(&self) -> usize {
        2 * self.parameters
    }
}

/// The sizes of the components of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every component that the model has, in the order of the model.
    pub components: Vec<Size>,
    /// The parameters that process one token: those of A of E experts, without the embedding unless it is also the output
    /// projection.
    pub active: usize,
}

impl Report {
    /// Returns the size of a component; 0 if the model has none.
    pub fn component(&self, component: Component) -> Size {
        let name = name_of(component);
        let none = Size { name, parameters: 0, bytes: 0 };
        self.components.iter().find(|size| size.name == name).cloned().unwrap_or(none)
    }

    /// Returns the size of the whole model.
    pub fn total(&self) -> Size {
        let sum = |count: fn(&Size) -> usize| self.components.iter().map(count).sum();
        Size { name: "total", parameters: sum(|size| size.parameters), bytes: sum(|size| size.bytes) }
    }

    fn new(config: &ModelConfig, components: Vec<Size>) -> Self {
        let mut report = Self { components, active: 0 };
        let experts = report.component(Component::Experts).parameters;
        let idle = experts / config.experts * (config.experts - config.experts_per_token);
        // OpenAI's model card counts the output projection as active and the embedding as not.
        let lookup = if config.tied { 0 } else { report.component(Component::Embedding).parameters };
        report.active = report.total().parameters - idle - lookup;
        report
    }
}

fn name_of(component: Component) -> &'static str {
    match component {
        Component::Embedding => "embedding",
        Component::Norms => "norms",
        Component::Attention => "attention",
        Component::Router => "router",
        Component::Experts => "experts",
        Component::Dense => "dense",
        Component::Head => "head",
        Component::Mtp => "multi-token prediction",
    }
}

/// Reports the size of a model as it is in memory and in its files.
pub fn report(model: &Transformer) -> Report {
    let mut components: Vec<Size> = Vec::new();
    for (component, layer) in model.components() {
        let name = name_of(component);
        let at = components.iter().position(|size| size.name == name).unwrap_or_else(|| {
            components.push(Size { name, parameters: 0, bytes: 0 });
            components.len() - 1
        });
        layer.visit(&mut |parameter| {
            components[at].parameters += parameter.value().count();
            components[at].bytes += parameter.value().bytes();
        });
    }
    Report::new(&model.config, components)
}

/// Reports the size of a model that is only a configuration, in the formats in which OpenAI publishes gpt-oss: the
/// weights of experts in MXFP4 if their rows are whole blocks, everything else in bf16.
pub fn published(config: &ModelConfig) -> Report {
    let (h, i, e) = (config.hidden_size, config.intermediate_size, config.experts);
    let (query, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
    let dense = (0..config.layers).filter(|&layer| config.is_dense(layer)).count();
    let sparse = config.layers - dense;
    let inner = config.dense_intermediate_size;
    let expert_weights = sparse * e * (h * 2 * i + i * h);
    let attention = linear(h, query) + 2 * linear(h, kv) + linear(query, h) + config.heads;
    let feed_forward = match config.is_dense(config.layers - 1) {
        true => linear(h, 2 * inner) + linear(inner, h),
        false => linear(h, e) + e * (linear(h, 2 * i) + linear(i, h)),
    };
    let experts = sparse * e * (linear(h, 2 * i) + linear(i, h));
    // ANCHOR: counts
    let counts = [
        (Component::Embedding, config.vocab_size * h),
        (Component::Norms, (2 * config.layers + 1) * h),
        (Component::Attention, config.layers * attention),
        (Component::Router, sparse * linear(h, e)),
        (Component::Experts, experts),
        (Component::Dense, dense * (linear(h, 2 * inner) + linear(inner, h))),
        (Component::Head, if config.tied { 0 } else { config.vocab_size * h }),
        (Component::Mtp, config.mtp_layers * (5 * h + 2 * h * h + attention + feed_forward)),
    ];
    // ANCHOR_END: counts
    let whole_blocks = h.is_multiple_of(BLOCK) && i.is_multiple_of(BLOCK);
    let bytes = |component: Component, parameters: usize| match component {
        Component::Experts if whole_blocks => {
            expert_weights / BLOCK * (BLOCK / 2 + 1) + 2 * (parameters - expert_weights)
        }
        _ => 2 * parameters,
    };
    let present = counts.into_iter().filter(|(_, parameters)| *parameters > 0);
    let size =
        |(component, parameters)| Size { name: name_of(component), parameters, bytes: bytes(component, parameters) };
    Report::new(config, present.map(size).collect())
}

/// Returns how many numbers the KV cache of `context` tokens has in all layers. A sliding layer keeps its window.
pub fn cache_numbers(config: &ModelConfig, context: usize) -> usize {
    let kept = config.windows.iter().map(|window| window.map_or(context, |window| window.min(context)));
    kept.sum::<usize>() * 2 * config.kv_heads * config.head_dim
}
