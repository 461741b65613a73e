//! The numbers that make a model: `config.json`, and the presets.
//!
//! The file is the one that transformers writes, in its version 4 form (`rope_theta` and `rope_scaling`) and its
//! version 5 form (`rope_parameters`). Keys that ossia does not know are kept and written back.
//! <https://huggingface.co/docs/transformers/model_doc/gpt_oss>

mod json;
mod openai;

use crate::error::{Error, Result};
use std::path::Path;

/// Rotary scaling after YaRN (Peng et al. 2023, <https://arxiv.org/abs/2309.00071>).
#[derive(Debug, Clone, PartialEq)]
pub struct Yarn {
    /// How many times longer the context becomes: 32.
    pub factor: f64,
    /// Rotations within the original context above which a frequency is kept: 32.
    pub beta_fast: f64,
    /// Rotations below which a frequency is divided by `factor`: 1.
    pub beta_slow: f64,
    /// The context of the model before it was stretched: 4,096.
    pub original_context: usize,
    /// Whether the borders of the ramp are rounded to whole dimensions. gpt-oss: no.
    pub truncate: bool,
    /// What cos and sin are multiplied with. `None`: 0.1·ln(factor) + 1.
    pub attention_factor: Option<f64>,
}

impl Yarn {
    /// The settings of gpt-oss-20b and -120b.
    pub fn gpt_oss() -> Self {
        Self {
            factor: 32.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            original_context: 4_096,
            truncate: false,
            attention_factor: None,
        }
    }
}

/// A thousand times what the largest gpt-oss has: sums of sizes stay far from overflow.
const MOST_PARAMETERS: f64 = 1e14;

/// One gpt-oss architecture. Letters as everywhere in ossia (B, T, V, H, N, K, D, E, A, I, L, W).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// V, rows of the embedding.
    pub vocab_size: usize,
    /// H
    pub hidden_size: usize,
    /// L
    pub layers: usize,
    /// N, query heads.
    pub heads: usize,
    /// K, key/value heads.
    pub kv_heads: usize,
    /// D; N·D need not be H.
    pub head_dim: usize,
    /// E
    pub experts: usize,
    /// A, experts that work on one token.
    pub experts_per_token: usize,
    /// I, the inner width of one expert.
    pub intermediate_size: usize,
    /// Layers with one dense SwiGLU in place of experts. gpt-oss has none.
    pub dense_layers: Vec<usize>,
    /// The inner width of those.
    pub dense_intermediate_size: usize,
    /// For each layer: W where it slides, `None` where it sees everything.
    pub windows: Vec<Option<usize>>,
    /// The longest text that the model is made for, in tokens.
    pub context: usize,
    /// Whether the output projection is the embedding.
    pub tied: bool,
    /// θ of RoPE.
    pub rope_theta: f64,
    /// Stretched positions.
    pub yarn: Option<Yarn>,
    /// ε of RMSNorm.
    pub rms_norm_eps: f32,
    /// α of clamped SwiGLU: 1.702.
    pub swiglu_alpha: f32,
    /// Where clamped SwiGLU clamps: 7.
    pub swiglu_limit: f32,
    /// How much of the load-balancing loss training adds; 0 for none.
    pub router_aux_loss_coef: f32,
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// Everything else that stood in the file.
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ModelConfig {
    /// The names that [`ModelConfig::preset`] knows.
    pub const PRESETS: [&str; 6] = ["nano", "tiny", "small", "children-stories", "gpt-oss-20b", "gpt-oss-120b"];

    /// An architecture by name.
    ///
    /// # Errors
    /// If there is none of that name; the message lists them.
    pub fn preset(name: &str) -> Result<Self> {
        Ok(match name {
            "nano" => Self::nano(),
            "tiny" => Self::tiny(),
            "small" => Self::small(),
            "children-stories" => Self::children_stories(),
            "gpt-oss-20b" => Self::gpt_oss_20b(),
            "gpt-oss-120b" => Self::gpt_oss_120b(),
            _ => return Err(Error::argument(format!("no preset {name:?}; there are {}", Self::PRESETS.join(", ")))),
        })
    }

    // ANCHOR: presets
    /// 2.05 M parameters: four minutes on a laptop.
    pub fn nano() -> Self {
        Self::family(4, 128, (4, 2, 32), (8, 2), 128, 2_048, 256)
    }

    /// 11.5 M parameters: half an hour.
    pub fn tiny() -> Self {
        Self::family(6, 256, (8, 2, 32), (8, 2), 256, 4_096, 256)
    }

    /// 59.9 M parameters: a weekend.
    pub fn small() -> Self {
        Self::family(8, 512, (8, 2, 64), (8, 2), 512, 8_192, 512)
    }

    /// About 300 M parameters with the vocabulary of gpt-oss; experts on every other layer only.
    pub fn children_stories() -> Self {
        let base = Self::family(12, 768, (16, 4, 48), (8, 2), 768, 201_088, 8_192);
        Self { dense_layers: vec![0, 1, 3, 5, 7, 9, 11], dense_intermediate_size: 3_072, ..base }
    }

    /// OpenAI's gpt-oss-20b: 20.9 B parameters, 3.6 B active.
    pub fn gpt_oss_20b() -> Self {
        Self::gpt_oss(24, 32)
    }

    /// OpenAI's gpt-oss-120b: 116.8 B parameters, 5.1 B active.
    pub fn gpt_oss_120b() -> Self {
        Self::gpt_oss(36, 128)
    }
    // ANCHOR_END: presets

    fn gpt_oss(layers: usize, experts: usize) -> Self {
        let base = Self::family(layers, 2_880, (64, 8, 64), (experts, 4), 2_880, 201_088, 131_072);
        Self {
            tied: false,
            yarn: Some(Yarn::gpt_oss()),
            eos_token_ids: vec![200_002],
            router_aux_loss_coef: 0.9,
            ..base
        }
    }

    /// What all presets share: window 128 on even layers, sinks, θ 150,000, ε 10⁻⁵, limit 7.
    fn family(
        layers: usize,
        hidden_size: usize,
        (heads, kv_heads, head_dim): (usize, usize, usize),
        (experts, experts_per_token): (usize, usize),
        intermediate_size: usize,
        vocab_size: usize,
        context: usize,
    ) -> Self {
        Self {
            vocab_size,
            hidden_size,
            layers,
            heads,
            kv_heads,
            head_dim,
            experts,
            experts_per_token,
            intermediate_size,
            dense_layers: Vec::new(),
            dense_intermediate_size: 0,
            windows: (0..layers).map(|layer| (layer % 2 == 0).then_some(128)).collect(),
            context,
            tied: true,
            rope_theta: 150_000.0,
            yarn: None,
            rms_norm_eps: 1e-5,
            swiglu_alpha: 1.702,
            swiglu_limit: 7.0,
            router_aux_loss_coef: 0.01,
            eos_token_ids: Vec::new(),
            other: serde_json::Map::new(),
        }
    }

    /// Reads a `config.json`.
    ///
    /// # Errors
    /// One line with the file, the key, what was found and what was expected.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        json::parse(&text)
            .and_then(|config| config.check().map(|()| config))
            .map_err(|message| Error::file(path, message))
    }

    /// The text of a `config.json` in transformers' version 5 form, which version 4.55 and later read too.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// The text of a `config.json` in OpenAI's own layout.
    ///
    /// # Errors
    /// One line with a key whose value every model of that layout has otherwise.
    pub fn to_openai_json(&self) -> Result<String> {
        openai::render(self).map_err(Error::argument)
    }

    // ANCHOR: initial_std
    /// Standard deviation of the random start of a weight with `inputs` inputs, so that a sum over them neither grows
    /// nor fades.
    pub fn initial_std(&self, inputs: usize) -> f32 {
        (1.0 / inputs as f32).sqrt()
    }

    /// The same for a weight that writes into the residual stream. 2L of them do: each begins so small that all of
    /// them together do not drown the token that the stream begins with.
    pub fn residual_std(&self, inputs: usize) -> f32 {
        self.initial_std(inputs) / (2.0 * self.layers as f32)
    }

    /// Standard deviation of the random embedding, which is also the output projection where they are tied: logits
    /// begin with a standard deviation of 1.
    pub fn embedding_std(&self) -> f32 {
        self.initial_std(self.hidden_size)
    }
    // ANCHOR_END: initial_std

    /// Whether the layer has one dense SwiGLU in place of experts.
    pub fn is_dense(&self, layer: usize) -> bool {
        self.dense_layers.contains(&layer)
    }

    /// What contradicts itself, in one line.
    fn check(&self) -> std::result::Result<(), String> {
        let positive = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("num_local_experts", self.experts),
            ("num_experts_per_tok", self.experts_per_token),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.context),
        ];
        // Generous: thirty times what the largest gpt-oss has. Products of these stay far from overflow.
        const LARGEST: usize = 1 << 22;
        for (key, value) in positive {
            if value == 0 || value > LARGEST {
                return Err(format!("{key} is {value}; expected 1 ..= {LARGEST}"));
            }
        }
        if self.layers > 4_096 {
            return Err(format!("num_hidden_layers is {}; expected at most 4096", self.layers));
        }
        let product = |factors: &[usize]| factors.iter().map(|&n| n as f64).product::<f64>();
        let inner = self.intermediate_size.max(self.dense_intermediate_size).max(self.heads * self.head_dim);
        let numbers = product(&[self.layers, self.experts, self.hidden_size, inner]);
        if numbers + product(&[self.vocab_size, self.hidden_size]) > MOST_PARAMETERS {
            return Err(format!("these sizes make more than {MOST_PARAMETERS:.0e} parameters"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(format!(
                "num_attention_heads is {}, which is not a multiple of num_key_value_heads, {}",
                self.heads, self.kv_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(format!("head_dim is {}; rotary positions need an even number", self.head_dim));
        }
        if self.experts_per_token > self.experts {
            return Err(format!(
                "num_experts_per_tok is {}, more than the {} experts of num_local_experts",
                self.experts_per_token, self.experts
            ));
        }
        if self.windows.contains(&Some(0)) {
            return Err("sliding_window is 0; expected at least 1".into());
        }
        if let Some(layer) = self.dense_layers.iter().find(|&&layer| layer >= self.layers) {
            return Err(format!("mlp_only_layers names layer {layer}; there are {}", self.layers));
        }
        if !self.dense_layers.is_empty() && !(1..=LARGEST).contains(&self.dense_intermediate_size) {
            return Err(format!(
                "dense_intermediate_size is {}; mlp_only_layers need one",
                self.dense_intermediate_size
            ));
        }
        self.check_numbers()
    }

    fn check_numbers(&self) -> std::result::Result<(), String> {
        let positive = |key: &str, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(format!("{key} is {value}; expected a positive number")),
        };
        positive("rms_norm_eps", f64::from(self.rms_norm_eps))?;
        positive("swiglu_alpha", f64::from(self.swiglu_alpha))?;
        positive("swiglu_limit", f64::from(self.swiglu_limit))?;
        positive("rope_theta", self.rope_theta - 1.0)
            .map_err(|_| format!("rope_theta is {}; expected more than 1", self.rope_theta))?;
        if !(self.router_aux_loss_coef >= 0.0 && self.router_aux_loss_coef.is_finite()) {
            return Err(format!("router_aux_loss_coef is {}; expected 0 or more", self.router_aux_loss_coef));
        }
        if let Some(id) = self.eos_token_ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            return Err(format!("eos_token_id is {id}, not below vocab_size, {}", self.vocab_size));
        }
        if let Some(yarn) = &self.yarn {
            positive("rope factor", yarn.factor - 1.0)
                .map_err(|_| format!("rope factor is {}; expected more than 1", yarn.factor))?;
            positive("beta_fast", yarn.beta_fast)?;
            positive("beta_slow", yarn.beta_slow)?;
            positive("original_max_position_embeddings", yarn.original_context as f64)?;
            positive("attention_factor", yarn.attention_factor.unwrap_or(1.0))?;
        }
        Ok(())
    }
}
