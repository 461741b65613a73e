//! `config.json` in and out: keys, types, defaults. What the numbers mean stands in [`super`].

use super::{ModelConfig, Yarn, openai};
use serde_json::{Map, Value, json};

pub(super) type Parsed<T> = Result<T, String>;

/// The keys of the file. Each is taken out as it is read; what is left at the end is kept as it is.
pub(super) struct Keys {
    map: Map<String, Value>,
    /// Stands before a key in a message: `rope_parameters.`
    prefix: &'static str,
}

impl Keys {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    fn wrong<T>(&self, key: &str, found: &Value, expected: &str) -> Parsed<T> {
        let mut found = found.to_string();
        if found.len() > 60 {
            found = format!("{}…", found.chars().take(60).collect::<String>());
        }
        Err(format!("{}{key} is {found}; expected {expected}", self.prefix))
    }

    pub fn whole(&mut self, key: &str) -> Parsed<Option<usize>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) => Ok(Some(n)),
            None => self.wrong(key, &value, "a whole number"),
        }
    }

    pub fn required(&mut self, key: &str) -> Parsed<usize> {
        self.whole(key)?.ok_or_else(|| format!("{}{key} is missing; expected a whole number", self.prefix))
    }

    /// One number under one of two names; under both, they have to agree.
    fn one_of(&mut self, other: &str, usual: &str) -> Parsed<usize> {
        match (self.whole(other)?, self.whole(usual)?) {
            (Some(a), Some(b)) if a != b => Err(format!("{other} is {a} and {usual} is {b}; expected one number")),
            (a, b) => b.or(a).ok_or_else(|| format!("{usual} is missing; expected a whole number")),
        }
    }

    pub fn number(&mut self, key: &str) -> Parsed<Option<f64>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_f64() {
            Some(n) => Ok(Some(n)),
            None => self.wrong(key, &value, "a number"),
        }
    }

    fn flag(&mut self, key: &str) -> Parsed<Option<bool>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_bool() {
            Some(flag) => Ok(Some(flag)),
            None => self.wrong(key, &value, "true or false"),
        }
    }

    fn object(&mut self, key: &'static str, prefix: &'static str) -> Parsed<Option<Keys>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Keys { map, prefix })),
            Some(other) => self.wrong(key, &other, "an object"),
        }
    }

    /// A key that may hold only one value, because ossia computes only that.
    fn only(&mut self, key: &str, accepted: &Value) -> Parsed<()> {
        match self.take(key) {
            Some(value) if value != *accepted => self.wrong(key, &value, &format!("{accepted}, as gpt-oss has it")),
            _ => Ok(()),
        }
    }
}

/// A configuration from the text of a `config.json`; not yet checked for contradictions.
pub fn parse(text: &str) -> Parsed<ModelConfig> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    let Value::Object(map) = value else { return Err("expected a JSON object".into()) };
    let mut keys = Keys { map, prefix: "" };
    if !keys.map.contains_key("model_type") && keys.map.contains_key(openai::MARK) {
        return openai::parse(&mut keys);
    }
    keys.only("model_type", &json!("gpt_oss"))?;
    keys.only("hidden_act", &json!("silu"))?;
    keys.only("attention_bias", &json!(true))?;
    keys.take("dtype");
    keys.take("torch_dtype");
    keys.take("architectures");
    let layers = keys.required("num_hidden_layers")?;
    let heads = keys.required("num_attention_heads")?;
    let hidden_size = keys.required("hidden_size")?;
    let context = keys.whole("max_position_embeddings")?.unwrap_or(131_072);
    let (rope_theta, yarn) = rope(&mut keys, context)?;
    Ok(ModelConfig {
        vocab_size: keys.required("vocab_size")?,
        hidden_size,
        layers,
        heads,
        kv_heads: keys.whole("num_key_value_heads")?.unwrap_or(heads),
        head_dim: keys.whole("head_dim")?.unwrap_or(hidden_size / heads.max(1)),
        experts: keys.one_of("num_experts", "num_local_experts")?,
        experts_per_token: keys.one_of("experts_per_token", "num_experts_per_tok")?,
        intermediate_size: keys.required("intermediate_size")?,
        dense_layers: dense_layers(&mut keys)?,
        dense_intermediate_size: keys.whole("dense_intermediate_size")?.unwrap_or(0),
        windows: windows(&mut keys, layers)?,
        context,
        tied: keys.flag("tie_word_embeddings")?.unwrap_or(false),
        rope_theta,
        yarn,
        rms_norm_eps: keys.number("rms_norm_eps")?.unwrap_or(1e-5) as f32,
        swiglu_alpha: keys.number("swiglu_alpha")?.unwrap_or(1.702) as f32,
        swiglu_limit: keys.number("swiglu_limit")?.unwrap_or(7.0) as f32,
        router_aux_loss_coef: keys.number("router_aux_loss_coef")?.unwrap_or(0.001) as f32,
        eos_token_ids: eos_token_ids(&mut keys)?,
        other: keys.map,
    })
}

/// `layer_types`, or the alternation that transformers assumes: even layers slide.
fn windows(keys: &mut Keys, layers: usize) -> Parsed<Vec<Option<usize>>> {
    let window = keys.whole("sliding_window")?;
    let needed = || window.ok_or_else(|| "sliding_window is missing; a layer is sliding_attention".to_string());
    let Some(types) = keys.take("layer_types") else {
        // Checked again later; here it only must not size an allocation.
        return (0..layers.min(1 << 16))
            .map(|layer| if layer % 2 == 0 { needed().map(Some) } else { Ok(None) })
            .collect();
    };
    let Some(list) = types.as_array() else { return keys.wrong("layer_types", &types, "a list") };
    if list.len() != layers {
        return Err(format!("layer_types has {} entries; num_hidden_layers is {layers}", list.len()));
    }
    let one = |kind: &Value| match kind.as_str() {
        Some("sliding_attention") => needed().map(Some),
        Some("full_attention") => Ok(None),
        _ => keys.wrong("layer_types", kind, "sliding_attention or full_attention"),
    };
    list.iter().map(one).collect()
}

fn dense_layers(keys: &mut Keys) -> Parsed<Vec<usize>> {
    let Some(value) = keys.take("mlp_only_layers") else { return Ok(Vec::new()) };
    let layers = value.as_array().and_then(|list| list.iter().map(|n| n.as_u64().map(|n| n as usize)).collect());
    layers.map_or_else(|| keys.wrong("mlp_only_layers", &value, "a list of layer numbers"), Ok)
}

fn eos_token_ids(keys: &mut Keys) -> Parsed<Vec<u32>> {
    let Some(value) = keys.take("eos_token_id") else { return Ok(Vec::new()) };
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids = match &value {
        Value::Array(list) => list.iter().map(id).collect(),
        one => id(one).map(|id| vec![id]),
    };
    ids.map_or_else(|| keys.wrong("eos_token_id", &value, "a token id or a list of them"), Ok)
}

/// θ and YaRN. A file without either form means gpt-oss's own YaRN, as in transformers.
fn rope(keys: &mut Keys, context: usize) -> Parsed<(f64, Option<Yarn>)> {
    if keys.map.get("rope_scaling").is_some_and(Value::is_null) && !keys.map.contains_key("rope_parameters") {
        return Err("rope_scaling is null, which transformers 4 reads as no scaling and transformers 5 as YaRN; \
                    expected rope_parameters with rope_type default or yarn"
            .into());
    }
    let theta = keys.number("rope_theta")?;
    let scaling = keys.object("rope_scaling", "rope_scaling.")?;
    let parameters = keys.object("rope_parameters", "rope_parameters.")?;
    if let (Some(a), Some(b)) = (&scaling, &parameters)
        && let Some((key, value)) =
            a.map.iter().find(|(key, value)| b.map.get(*key).is_some_and(|other| other != *value))
    {
        let other = &b.map[key];
        return Err(format!("rope_scaling.{key} is {value} and rope_parameters.{key} is {other}; expected one"));
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
                factor: factor.ok_or_else(|| format!("{}factor is missing; yarn needs one", rope.prefix))?,
                beta_fast: rope.number("beta_fast")?.unwrap_or(32.0),
                beta_slow: rope.number("beta_slow")?.unwrap_or(1.0),
                original_context: rope.whole("original_max_position_embeddings")?.unwrap_or(context),
                truncate: rope.flag("truncate")?.unwrap_or(true),
                attention_factor: rope.number("attention_factor")?,
            })
        }
        _ => return rope.wrong("rope_type", &kind, "default or yarn"),
    };
    match rope.map.keys().next() {
        Some(key) => Err(format!("{}{key} is not known to ossia; it could change the result", rope.prefix)),
        None => Ok((theta, yarn)),
    }
}

/// The text of a `config.json`.
pub fn render(config: &ModelConfig) -> String {
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
        "rope_parameters": rope,
        "rms_norm_eps": short(config.rms_norm_eps),
        "swiglu_alpha": short(config.swiglu_alpha),
        "swiglu_limit": short(config.swiglu_limit),
        "router_aux_loss_coef": short(config.router_aux_loss_coef),
        "attention_bias": true,
        "hidden_act": "silu",
        "eos_token_id": match config.eos_token_ids.as_slice() {
            [] => Value::Null,
            [id] => json!(id),
            ids => json!(ids),
        },
    });
    if !config.dense_layers.is_empty() {
        file["mlp_only_layers"] = json!(config.dense_layers);
        file["dense_intermediate_size"] = json!(config.dense_intermediate_size);
    }
    for (key, value) in &config.other {
        file[key] = value.clone();
    }
    serde_json::to_string_pretty(&file).expect("a JSON value renders") + "\n"
}

/// The shortest decimal that reads back as this `f32`: 1e-5, not 9.999999747378752e-6.
pub fn short(x: f32) -> f64 {
    x.to_string().parse().expect("a float's own text")
}
