//! The configuration of a model: `config.json`, and the presets.
//!
//! The file is that of transformers, in the form of its version 4 (`rope_theta` and `rope_scaling`) or 5
//! (`rope_parameters`). Unknown keys are kept and written back.
//! <https://huggingface.co/docs/transformers/model_doc/gpt_oss>

mod error;
mod keys;
mod check;
mod hugging_face;
mod openai;

use crate::error::{Error, Result};
use crate::files::read_text;
use keys::ConfigKeys;
use std::path::Path;

/// The parameters of YaRN, which extends the context of rotary embeddings (Peng et al. 2023, <https://arxiv.org/abs/2309.00071>).
#[derive(Debug, Clone, PartialEq)]
pub struct Yarn {
    /// The factor by which the context becomes longer: 32.
    pub factor: f64,
    /// The number of rotations within the original context above which a frequency is kept: 32.
    pub beta_fast: f64,
    /// The number of rotations below which a frequency is divided by `factor`: 1.
    pub beta_slow: f64,
    /// The context of the model before the extension: 4,096.
    pub original_context: usize,
    /// Whether the borders of the ramp are rounded to whole dimensions, which gpt-oss does not do.
    pub truncate: bool,
    /// The factor of cos and sin. `None` stands for 0.1·ln(factor) + 1.
    pub attention_factor: Option<f64>,
}

impl Yarn {
    /// Returns the parameters of gpt-oss-20b and gpt-oss-120b.
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

/// The architecture of a gpt-oss model. The letters are those of the whole crate (V, H, N, K, D, E, A, I, L, W).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// V: the number of token ids, which is the number of rows of the embedding.
    pub vocab_size: usize,
    /// H: the width of the residual stream.
    pub hidden_size: usize,
    /// L: the number of layers.
    pub layers: usize,
    /// N: the number of query heads.
    pub heads: usize,
    /// K: the number of key/value heads.
    pub kv_heads: usize,
    /// D: the dimension of a head. N·D may differ from H.
    pub head_dim: usize,
    /// E: the number of experts.
    pub experts: usize,
    /// A: the number of experts that process each token.
    pub experts_per_token: usize,
    /// I: the inner width of an expert.
    pub intermediate_size: usize,
    /// The layers with a single dense SwiGLU instead of experts. gpt-oss has none.
    pub dense_layers: Vec<usize>,
    /// The inner width of the dense layers.
    pub dense_intermediate_size: usize,
    /// The sliding window W of each layer; `None` if the layer has full attention.
    pub windows: Vec<Option<usize>>,
    /// The longest text that the model supports, in tokens.
    pub context: usize,
    /// Whether the output projection is tied to the embedding.
    pub tied: bool,
    /// The base θ of RoPE.
    pub rope_theta: f64,
    /// The parameters of YaRN, if the context is extended.
    pub yarn: Option<Yarn>,
    /// The ε of RMSNorm.
    pub rms_norm_eps: f32,
    /// The α of clamped SwiGLU: 1.702.
    pub swiglu_alpha: f32,
    /// The limit at which SwiGLU clamps its inputs: 7.
    pub swiglu_limit: f32,
    /// The weight of the load-balancing loss in training; 0 disables it.
    pub router_aux_loss_coef: f32,
    /// The number of modules for multi-token prediction: 0, or 1 that predicts the token after the next one. gpt-oss has none.
    pub mtp_layers: usize,
    /// The tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// All other keys of the file.
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ModelConfig {
    /// The names of the presets; see [`ModelConfig::preset`].
    pub const PRESETS: [&str; 6] = ["nano", "tiny", "small", "children-stories", "gpt-oss-20b", "gpt-oss-120b"];

    /// Returns a preset by name.
    ///
    /// # Errors
    /// If there is no preset with this name. The message lists the presets.
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
    /// 2.05 M parameters, which a laptop trains in a few minutes.
    pub fn nano() -> Self {
        Self::family(4, 128, (4, 2, 32), (8, 2), 128, 2_048, 256)
    }

    /// 11.5 M parameters, which a laptop trains in half an hour.
    pub fn tiny() -> Self {
        Self::family(6, 256, (8, 2, 32), (8, 2), 256, 4_096, 256)
    }

    /// 59.9 M parameters, which a laptop trains in a weekend.
    pub fn small() -> Self {
        Self::family(8, 512, (8, 2, 64), (8, 2), 512, 8_192, 512)
    }

    /// About 300 M parameters with the vocabulary of gpt-oss. Only every other layer has experts.
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

    /// Makes a configuration with the values that all presets share: window 128 on even layers, θ 150,000, ε 10⁻⁵, limit 7.
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
            mtp_layers: 0,
            eos_token_ids: Vec::new(),
            other: serde_json::Map::new(),
        }
    }

    /// Reads a `config.json`.
    ///
    /// # Errors
    /// If the file cannot be read, or a key has an unexpected value. The message names the file, the key, what was found
    /// and what was expected.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path)?;
        Self::from_json(&text, path)
    }

    /// Parses the text of a `config.json`. `path` is only used in messages.
    ///
    /// # Errors
    /// If the text is malformed, or a number in it is out of its range.
    pub fn from_json(text: &str, path: impl AsRef<Path>) -> Result<Self> {
        Self::parse(text).map_err(|error| Error::invalid(path, error))
    }

    /// Returns a line for every number that the text of a `config.json` has under two keys with different values, where
    /// [`load`](Self::load) uses one of them.
    pub fn contradictions(text: &str) -> Vec<String> {
        hugging_face::contradictions(text)
    }

    fn parse(text: &str) -> error::ConfigResult<Self> {
        let keys = ConfigKeys::parse(text)?;
        let config = if openai::matches_layout(&keys) { openai::parse(keys)? } else { hugging_face::parse(keys)? };
        config.check()?;
        Ok(config)
    }

    /// Returns the text of a `config.json` in the form of transformers 5, which version 4.55 and later read too.
    pub fn to_json(&self) -> String {
        hugging_face::render(self)
    }

    /// Returns the text of a `generation_config.json`, from which transformers takes the tokens that begin and end a text.
    pub fn generation_config_json(&self) -> String {
        hugging_face::render_generation(self)
    }

    /// Returns the text of a `config.json` in OpenAI's own layout.
    ///
    /// # Errors
    /// If a value differs from the one that all models in this layout have.
    pub fn to_openai_json(&self) -> Result<String> {
        openai::render(self).map_err(Error::unusable)
    }

    // ANCHOR: initial_std
    /// Returns the initial standard deviation of a weight with `inputs` inputs. With it, the output has the same variance
    /// as the input.
    pub fn initial_std(&self, inputs: usize) -> f32 {
        (1.0 / inputs as f32).sqrt()
    }

    /// Returns the initial standard deviation of a matrix that writes into the residual stream. It is 2L times smaller,
    /// because the results of 2L such matrices are added, and their sum should not grow with the number of layers.
    pub fn residual_std(&self, inputs: usize) -> f32 {
        self.initial_std(inputs) / (2.0 * self.layers as f32)
    }

    /// Returns the initial standard deviation of the embedding. If the output projection is tied to it, the initial
    /// logits have a standard deviation of 1.
    pub fn embedding_std(&self) -> f32 {
        self.initial_std(self.hidden_size)
    }
    // ANCHOR_END: initial_std

    /// Returns whether the layer has a single dense SwiGLU instead of experts.
    pub fn is_dense(&self, layer: usize) -> bool {
        self.dense_layers.contains(&layer)
    }
}
