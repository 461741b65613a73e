//! The names of parameters in files, in each of the two layouts.
//!
//! The names of ossia are `embedding.weight`, `layers.{i}.attention.q.weight` and so on. Hugging Face's layout has
//! other names for the same shapes. OpenAI's own layout (the directory `original/` of a download) also stacks q, k and
//! v in one matrix.

use crate::config::ModelConfig;
use std::ops::Range;

/// The names and shapes of the tensors in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Hugging Face's: `GptOssForCausalLM.save_pretrained`.
    HuggingFace,
    /// OpenAI's: `gpt_oss.torch`.
    OpenAi,
}

/// The location of a parameter in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of the tensor.
    pub tensor: String,
    /// The rows of the parameter and the number of all rows, if the tensor has others.
    pub rows: Option<(Range<usize>, usize)>,
}

/// The names of a layer's parameters in ossia, in Hugging Face's layout and in OpenAI's layout. The first match is used.
const PARTS: [(&str, &str, &str); 12] = [
    ("attention_norm.weight", "input_layernorm.weight", "attn.norm.scale"),
    ("mlp_norm.weight", "post_attention_layernorm.weight", "mlp.norm.scale"),
    ("attention.sinks", "self_attn.sinks", "attn.sinks"),
    ("attention.q.", "self_attn.q_proj.", "attn.qkv."),
    ("attention.k.", "self_attn.k_proj.", "attn.qkv."),
    ("attention.v.", "self_attn.v_proj.", "attn.qkv."),
    ("attention.o.", "self_attn.o_proj.", "attn.out."),
    ("router.", "mlp.router.", "mlp.gate."),
    ("experts.gate_up.", "mlp.experts.gate_up_proj.", "mlp.mlp1_"),
    ("experts.down.", "mlp.experts.down_proj.", "mlp.mlp2_"),
    // Dense layers, which gpt-oss does not have, are named as transformers names a dense SwiGLU elsewhere.
    ("mlp.gate_up.", "mlp.gate_up_proj.", "mlp.dense1."),
    ("mlp.down.", "mlp.down_proj.", "mlp.dense2."),
];

/// Returns the name of a parameter in a Hugging Face checkpoint: `layers.0.attention.q.weight` →
/// `model.layers.0.self_attn.q_proj.weight`.
pub fn file_name(parameter: &str) -> String {
    name_in(Layout::HuggingFace, parameter)
}

/// Returns whether a parameter, or a tensor in a file, belongs to the module for multi-token prediction. It has the same name in both,
/// since neither Hugging Face nor OpenAI have names for it.
pub fn is_of_mtp(name: &str) -> bool {
    name.starts_with("mtp.")
}

fn name_in(layout: Layout, parameter: &str) -> String {
    match (parameter, layout) {
        ("embedding.weight", Layout::HuggingFace) => return "model.embed_tokens.weight".into(),
        ("norm.weight", Layout::HuggingFace) => return "model.norm.weight".into(),
        ("head.weight", Layout::HuggingFace) => return "lm_head.weight".into(),
        ("norm.weight", Layout::OpenAi) => return "norm.scale".into(),
        ("head.weight", Layout::OpenAi) => return "unembedding.weight".into(),
        ("embedding.weight", Layout::OpenAi) => return parameter.into(),
        _ if is_of_mtp(parameter) => return parameter.into(),
        _ => {}
    }
    let mut parts = parameter.splitn(3, '.').skip(1);
    let (layer, part) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let renamed = PARTS.iter().find_map(|(ours, hugging_face, openai)| {
        let theirs = if layout == Layout::HuggingFace { hugging_face } else { openai };
        Some(format!("{theirs}{}", part.strip_prefix(ours)?))
    });
    let part = renamed.unwrap_or_else(|| panic!("{parameter} has no name in a checkpoint"));
    // Checkpoints store stacked experts as plain parameters: `gate_up_proj_bias`, not `gate_up_proj.bias`.
    let part = match part.strip_prefix("mlp.experts.") {
        Some(expert) => format!("mlp.experts.{}", expert.replace(".weight", "").replace(".bias", "_bias")),
        None => part,
    };
    match layout {
        Layout::HuggingFace => format!("model.layers.{layer}.{part}"),
        Layout::OpenAi => format!("block.{layer}.{part}"),
    }
}

// ANCHOR: place
/// Returns the location of a parameter.
pub fn place(layout: Layout, parameter: &str, config: &ModelConfig) -> Place {
    let tensor = name_in(layout, parameter);
    let (query, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let rows = match parameter.rsplit('.').nth(1) {
        Some("q") => 0..query,
        Some("k") => query..query + kv,
        Some("v") => query + kv..query + 2 * kv,
        _ => return Place { tensor, rows: None },
    };
    Place { tensor, rows: (layout == Layout::OpenAi).then_some((rows, query + 2 * kv)) }
}
// ANCHOR_END: place

/// Returns the names of the codes and the scales of a weight in MXFP4.
pub fn mxfp4_names(layout: Layout, tensor: &str) -> (String, String) {
    let join = if layout == Layout::HuggingFace { '_' } else { '.' };
    (format!("{tensor}{join}blocks"), format!("{tensor}{join}scales"))
}
