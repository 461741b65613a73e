//! The `config.json` of OpenAI's own layout, the directory `original/` of a download: sixteen numbers, as
//! `gpt_oss.torch.model.ModelConfig` names them. What it does not say is the same in every gpt-oss.
//! <https://github.com/openai/gpt-oss>

use super::json::{self, Keys, Parsed};
use super::{ModelConfig, Yarn};
use serde_json::{Value, json};

/// A key that only this layout has.
pub const MARK: &str = "initial_context_length";

/// A configuration from the keys of the file.
pub fn parse(keys: &mut Keys) -> Parsed<ModelConfig> {
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
    // <|return|>, <|endoftext|> and <|call|> of o200k_harmony, as Hugging Face's generation_config.json has them.
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
        // Checked again later; here it only must not size an allocation.
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

/// The text of the file. Lost are the tokens that end a text, what only training reads, and whether the output
/// projection is the embedding: it then stands there twice.
pub fn render(config: &ModelConfig) -> Parsed<String> {
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
        "swiglu_limit": json::short(config.swiglu_limit),
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
    // Read back, it has to be the same model.
    let read = json::parse(&text)?;
    let lost = ModelConfig {
        tied: read.tied,
        eos_token_ids: read.eos_token_ids.clone(),
        router_aux_loss_coef: read.router_aux_loss_coef,
        other: read.other.clone(),
        ..config.clone()
    };
    let [said, meant] = [read, lost].map(|config| serde_json::from_str::<Value>(&json::render(&config)));
    let (said, meant) = (said.expect("JSON that was rendered"), meant.expect("JSON that was rendered"));
    match meant.as_object().into_iter().flatten().find(|(key, value)| said.get(key.as_str()) != Some(value)) {
        Some((key, value)) => Err(format!("{key} is {value}, which a config.json in OpenAI's layout cannot say")),
        None => Ok(text),
    }
}
