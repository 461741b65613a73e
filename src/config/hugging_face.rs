//! The `config.json` of transformers: its keys, types and defaults. [`ModelConfig`] explains the values.

use super::error::{ConfigError, ConfigResult};
use super::keys::{ConfigKeys, shortest_decimal};
use super::{ModelConfig, Yarn};
use serde_json::{Value, json};

/// Two keys for one number. If a file has both, transformers uses the first one.
const ALIASES: [[&str; 2]; 2] = [["num_experts", "num_local_experts"], ["num_experts_per_tok", "experts_per_token"]];

/// Returns a line for every number that the text of a file has under two keys with different values.
pub fn contradictions(text: &str) -> Vec<String> {
    let file: Value = serde_json::from_str(text).unwrap_or_default();
    let contradiction = |[first, second]: [&str; 2]| {
        let (a, b) = (file.get(first)?, file.get(second)?);
        (a != b).then(|| format!("{first} is {a} and {second} is {b}; transformers and ossia use {first}"))
    };
    ALIASES.into_iter().filter_map(contradiction).collect()
}

/// Reads a configuration. It is not checked for contradictions yet.
pub fn parse(mut keys: ConfigKeys) -> ConfigResult<ModelConfig> {
    keys.only("model_type", &json!("gpt_oss"))?;
    keys.only("hidden_act", &json!("silu"))?;
    keys.only("attention_bias", &json!(true))?;
    keys.take("dtype");
    keys.take("torch_dtype");
    keys.take("architectures");
    if keys.map.get("quantization_config").is_some_and(Value::is_null) {
        keys.take("quantization_config");
    }
    let layers = keys.required("num_hidden_layers")?;
    let heads = keys.required("num_attention_heads")?;
    let hidden_size = keys.required("hidden_size")?;
    let context = keys.integer("max_position_embeddings")?.unwrap_or(131_072);
    let (rope_theta, yarn) = rope(&mut keys, context)?;
    Ok(ModelConfig {
        vocab_size: keys.required("vocab_size")?,
        hidden_size,
        layers,
        heads,
        kv_heads: keys.integer("num_key_value_heads")?.unwrap_or(heads),
        head_dim: keys.integer("head_dim")?.unwrap_or(hidden_size / heads.max(1)),
        experts: keys.one_of(ALIASES[0])?,
        experts_per_token: keys.one_of(ALIASES[1])?,
        intermediate_size: keys.required("intermediate_size")?,
        dense_layers: dense_layers(&mut keys)?,
        dense_intermediate_size: keys.integer("dense_intermediate_size")?.unwrap_or(0),
        windows: windows(&mut keys, layers)?,
        context,
        tied: keys.flag("tie_word_embeddings")?.unwrap_or(false),
        rope_theta,
        yarn,
        rms_norm_eps: keys.number("rms_norm_eps")?.unwrap_or(1e-5) as f32,
        swiglu_alpha: keys.number("swiglu_alpha")?.unwrap_or(1.702) as f32,
        swiglu_limit: keys.number("swiglu_limit")?.unwrap_or(7.0) as f32,
        router_aux_loss_coef: keys.number("router_aux_loss_coef")?.unwrap_or(0.001) as f32,
        mtp_layers: keys.integer("num_nextn_predict_layers")?.unwrap_or(0),
        eos_token_ids: eos_token_ids(&mut keys)?,
        other: keys.map,
    })
}

/// Reads `layer_types`. If it is missing, even layers have a sliding window, as in transformers.
fn windows(keys: &mut ConfigKeys, layers: usize) -> ConfigResult<Vec<Option<usize>>> {
    let window = keys.integer("sliding_window")?;
    let needed = || window.ok_or_else(|| missing("sliding_window", "a layer is sliding_attention"));
    let Some(types) = keys.take("layer_types") else {
        // The number of layers is checked later. Here it must not size a huge allocation.
        return (0..layers.min(1 << 16))
            .map(|layer| if layer % 2 == 0 { needed().map(Some) } else { Ok(None) })
            .collect();
    };
    let Some(list) = types.as_array() else { return keys.unexpected("layer_types", &types, "a list") };
    if list.len() != layers {
        return Err(ConfigError::LayerTypes { entries: list.len(), layers });
    }
    let one = |kind: &Value| match kind.as_str() {
        Some("sliding_attention") => needed().map(Some),
        Some("full_attention") => Ok(None),
        _ => keys.unexpected("layer_types", kind, "sliding_attention or full_attention"),
    };
    list.iter().map(one).collect()
}

fn dense_layers(keys: &mut ConfigKeys) -> ConfigResult<Vec<usize>> {
    let Some(value) = keys.take("mlp_only_layers") else { return Ok(Vec::new()) };
    let layers = value.as_array().and_then(|list| list.iter().map(|n| n.as_u64().map(|n| n as usize)).collect());
    layers.map_or_else(|| keys.unexpected("mlp_only_layers", &value, "a list of layer numbers"), Ok)
}

fn eos_token_ids(keys: &mut ConfigKeys) -> ConfigResult<Vec<u32>> {
    let Some(value) = keys.take("eos_token_id") else { return Ok(Vec::new()) };
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids = match &value {
        Value::Array(list) => list.iter().map(id).collect(),
        one => id(one).map(|id| vec![id]),
    };
    ids.map_or_else(|| keys.unexpected("eos_token_id", &value, "a token id or a list of them"), Ok)
}

/// Reads θ and YaRN. If the file has neither form of scaling, the YaRN of gpt-oss applies, as in transformers.
fn rope(keys: &mut ConfigKeys, context: usize) -> ConfigResult<(f64, Option<Yarn>)> {
    if keys.map.get("rope_scaling").is_some_and(Value::is_null) && !keys.map.contains_key("rope_parameters") {
        return Err(ConfigError::AmbiguousScaling);
    }
    let theta = keys.number("rope_theta")?;
    let scaling = keys.object("rope_scaling", "rope_scaling.")?;
    let parameters = keys.object("rope_parameters", "rope_parameters.")?;
    if let (Some(a), Some(b)) = (&scaling, &parameters)
        && let Some((key, value)) =
            a.map.iter().find(|(key, value)| b.map.get(*key).is_some_and(|other| other != *value))
    {
        return Err(ConfigError::Conflict {
            first: format!("rope_scaling.{key}"),
            a: value.to_string(),
            second: format!("rope_parameters.{key}"),
            b: b.map[key].to_string(),
        });
    }
    let default_theta = theta.unwrap_or(150_000.0);
    let Some(mut rope) = scaling.or(parameters) else { return Ok((default_theta, Some(Yarn::gpt_oss()))) };
    let theta = rope.number("rope_theta")?.unwrap_or(default_theta);
    let kind = rope.take("rope_type").or(rope.take("type")).unwrap_or(json!("default"));
    let yarn = match kind.as_str() {
        Some("default") => None,
        Some("yarn") => {
            let factor = rope.number("factor")?;
            Some(Yarn {
                factor: factor.ok_or_else(|| missing(format!("{}factor", rope.prefix), "yarn requires it"))?,
                beta_fast: rope.number("beta_fast")?.unwrap_or(32.0),
                beta_slow: rope.number("beta_slow")?.unwrap_or(1.0),
                original_context: rope.integer("original_max_position_embeddings")?.unwrap_or(context),
                truncate: rope.flag("truncate")?.unwrap_or(true),
                attention_factor: rope.number("attention_factor")?,
            })
        }
        _ => return rope.unexpected("rope_type", &kind, "default or yarn"),
    };
    match rope.map.keys().next() {
        Some(key) => Err(ConfigError::UnknownKey(format!("{}{key}", rope.prefix))),
        None => Ok((theta, yarn)),
    }
}

fn missing(key: impl Into<String>, reason: &'static str) -> ConfigError {
    ConfigError::Missing { key: key.into(), reason }
}

/// Returns the value of `rope_parameters`.
fn rope_parameters(config: &ModelConfig) -> Value {
    let mut rope = json!({ "rope_type": "default", "rope_theta": config.rope_theta });
    if let Some(yarn) = &config.yarn {
        rope = json!({
            "rope_type": "yarn",
            "rope_theta": config.rope_theta,
            "factor": yarn.factor,
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            "original_max_position_embeddings": yarn.original_context,
            "truncate": yarn.truncate,
        });
        if let Some(factor) = yarn.attention_factor {
            rope["attention_factor"] = json!(factor);
        }
    }
    rope
}

/// Returns the text of a `config.json`.
pub fn render(config: &ModelConfig) -> String {
    let layer_type = |window: &Option<usize>| if window.is_some() { "sliding_attention" } else { "full_attention" };
    let mut file = json!({
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "dtype": "float32",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "num_local_experts": config.experts,
        "num_experts_per_tok": config.experts_per_token,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.context,
        "layer_types": config.windows.iter().map(layer_type).collect::<Vec<_>>(),
        "sliding_window": config.windows.iter().flatten().next(),
        "tie_word_embeddings": config.tied,
        "rope_parameters": rope_parameters(config),
        "rms_norm_eps": shortest_decimal(config.rms_norm_eps),
        "swiglu_alpha": shortest_decimal(config.swiglu_alpha),
        "swiglu_limit": shortest_decimal(config.swiglu_limit),
        "router_aux_loss_coef": shortest_decimal(config.router_aux_loss_coef),
        "attention_bias": true,
        "hidden_act": "silu",
        "eos_token_id": end_tokens(config),
    });
    if config.mtp_layers > 0 {
        file["num_nextn_predict_layers"] = json!(config.mtp_layers); // the name that DeepSeek-V3 gave it
    }
    if !config.dense_layers.is_empty() {
        file["mlp_only_layers"] = json!(config.dense_layers);
        file["dense_intermediate_size"] = json!(config.dense_intermediate_size);
    }
    for (key, value) in &config.other {
        file[key] = value.clone();
    }
    serde_json::to_string_pretty(&file).expect("a JSON value renders") + "\n"
}

fn end_tokens(config: &ModelConfig) -> Value {
    match config.eos_token_ids.as_slice() {
        [] => Value::Null,
        [id] => json!(id),
        ids => json!(ids),
    }
}

/// Returns the text of a `generation_config.json`.
pub fn render_generation(config: &ModelConfig) -> String {
    let mut file = json!({ "do_sample": true, "eos_token_id": end_tokens(config) });
    for key in ["bos_token_id", "pad_token_id"] {
        if let Some(id) = config.other.get(key) {
            file[key] = id.clone();
        }
    }
    serde_json::to_string_pretty(&file).expect("a JSON value renders") + "\n"
}
