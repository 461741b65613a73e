//! The `config.json` of OpenAI's own layout, which is in the directory `original/` of a download: sixteen numbers, named
//! as in `gpt_oss.torch.model.ModelConfig`. All other properties are the same in every gpt-oss.
//! <https://github.com/openai/gpt-oss>

use super::error::{ConfigError, ConfigResult};
use super::hugging_face;
use super::keys::{ConfigKeys, shortest_decimal};
use super::{ModelConfig, Yarn};
use serde_json::{Value, json};

/// A key that only this layout has.
const MARK: &str = "initial_context_length";

/// Returns whether a file has this layout.
pub fn matches_layout(keys: &ConfigKeys) -> bool {
    !keys.map.contains_key("model_type") && keys.map.contains_key(MARK)
}

/// Reads a configuration. It is not checked for contradictions yet.
pub fn parse(mut keys: ConfigKeys) -> ConfigResult<ModelConfig> {
    let original_context = keys.required(MARK)?;
    let factor = keys.number("rope_scaling_factor")?.unwrap_or(32.0);
    let layers = keys.required("num_hidden_layers")?;
    let window = keys.required("sliding_window")?;
    let yarn = Yarn {
        factor,
        beta_fast: keys.number("rope_ntk_beta")?.unwrap_or(32.0),
        beta_slow: keys.number("rope_ntk_alpha")?.unwrap_or(1.0),
        original_context,
        truncate: false,
        attention_factor: None,
    };
    let vocab_size = keys.required("vocab_size")?;
    // The ids of <|return|>, <|endoftext|> and <|call|>, as in the generation_config.json on Hugging Face.
    let eos_token_ids = [200_002, 199_999, 200_012].into_iter().filter(|&id| (id as usize) < vocab_size).collect();
    Ok(ModelConfig {
        vocab_size,
        hidden_size: keys.required("hidden_size")?,
        layers,
        heads: keys.required("num_attention_heads")?,
        kv_heads: keys.required("num_key_value_heads")?,
        head_dim: keys.required("head_dim")?,
        experts: keys.required("num_experts")?,
        experts_per_token: keys.required("experts_per_token")?,
        intermediate_size: keys.required("intermediate_size")?,
        // The number of layers is checked later. Here it must not size a huge allocation.
        windows: (0..layers.min(1 << 16)).map(|layer| (layer % 2 == 0).then_some(window)).collect(),
        context: (original_context as f64 * factor.max(1.0)) as usize,
        tied: false,
        rope_theta: keys.number("rope_theta")?.unwrap_or(150_000.0),
        yarn: (factor > 1.0).then_some(yarn),
        swiglu_limit: keys.number("swiglu_limit")?.unwrap_or(7.0) as f32,
        eos_token_ids,
        ..ModelConfig::gpt_oss_20b()
    })
}

/// Returns the text of the file. It does not contain the end tokens, the settings for training, and whether the output
/// projection is tied to the embedding; a checkpoint in this layout then stores the matrix twice.
///
/// # Errors
/// If any other value differs from the one that this layout implies.
pub fn render(config: &ModelConfig) -> ConfigResult<String> {
    let yarn = config.yarn.as_ref();
    let plain = Yarn { factor: 1.0, original_context: config.context, ..Yarn::gpt_oss() };
    let yarn = yarn.unwrap_or(&plain);
    let file = json!({
        "num_hidden_layers": config.layers,
        "num_experts": config.experts,
        "experts_per_token": config.experts_per_token,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "swiglu_limit": shortest_decimal(config.swiglu_limit),
        "head_dim": config.head_dim,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "sliding_window": config.windows.iter().flatten().next().unwrap_or(&0),
        MARK: yarn.original_context,
        "rope_theta": config.rope_theta,
        "rope_scaling_factor": yarn.factor,
        "rope_ntk_alpha": yarn.beta_slow,
        "rope_ntk_beta": yarn.beta_fast,
    });
    let text = serde_json::to_string_pretty(&file).expect("a JSON value renders") + "\n";
    // The file must describe the same model when it is read again.
    let read = parse(ConfigKeys::parse(&text)?)?;
    let expected = ModelConfig {
        tied: read.tied,
        eos_token_ids: read.eos_token_ids.clone(),
        router_aux_loss_coef: read.router_aux_loss_coef,
        other: read.other.clone(),
        ..config.clone()
    };
    let [read, expected] = [read, expected].map(|config| serde_json::from_str::<Value>(&hugging_face::render(&config)));
    let (read, expected) = (read?, expected?);
    match expected.as_object().into_iter().flatten().find(|(key, value)| read.get(key.as_str()) != Some(value)) {
        Some((key, value)) => Err(ConfigError::NotInOpenAiLayout { key: key.clone(), value: value.to_string() }),
        None => Ok(text),
    }
}
