//! Errors of a `config.json`.

/// A `config.json` that ossia cannot read, or that contradicts itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("expected a JSON object")]
    NotAnObject,
    #[error("{key} is {found}; expected {expected}")]
    Unexpected { key: String, found: String, expected: String },
    #[error("{key} is missing; {reason}")]
    Missing { key: String, reason: &'static str },
    #[error("{first} is {a} and {second} is {b}; expected one")]
    Conflict { first: String, a: String, second: String, b: String },
    #[error("{0} is not known to ossia; it could change the result")]
    UnknownKey(String),
    #[error("layer_types has {entries} entries; num_hidden_layers is {layers}")]
    LayerTypes { entries: usize, layers: usize },
    #[error(
        "rope_scaling is null, which transformers 4 reads as no scaling and transformers 5 as YaRN; expected \
         rope_parameters with rope_type default or yarn"
    )]
    AmbiguousScaling,
    #[error("these sizes make more than {0:.0e} parameters")]
    TooManyParameters(f64),
    #[error("num_attention_heads is {heads}, which is not a multiple of num_key_value_heads, {kv_heads}")]
    HeadGroups { heads: usize, kv_heads: usize },
    #[error("head_dim is {0}; rotary positions need an even number")]
    OddHeadDim(usize),
    #[error("num_experts_per_tok is {per_token}, more than the {experts} experts of num_local_experts")]
    TooFewExperts { per_token: usize, experts: usize },
    #[error("mlp_only_layers names layer {layer}; there are {layers} layers")]
    NoSuchLayer { layer: usize, layers: usize },
    #[error("dense_intermediate_size is {0}; mlp_only_layers needs a positive size")]
    DenseSize(usize),
    #[error("eos_token_id is {id}, not below vocab_size, {vocab_size}")]
    EndToken { id: u32, vocab_size: usize },
    #[error("{key} is {value}, which a config.json in OpenAI's layout cannot express")]
    NotInOpenAiLayout { key: String, value: String },
}

impl ConfigError {
    /// A key whose value is not the expected one. A long value is cut short in the message.
    pub fn unexpected(key: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> Self {
        let mut found = found.to_string();
        if found.len() > 60 {
            found = format!("{}…", found.chars().take(60).collect::<String>());
        }
        Self::Unexpected { key: key.into(), found, expected: expected.into() }
    }
}

/// The result of reading or checking a configuration.
pub(super) type ConfigResult<T> = std::result::Result<T, ConfigError>;
