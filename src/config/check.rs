//! Checks that the values of a configuration are in range and fit together.

use super::ModelConfig;
use super::error::{ConfigError, ConfigResult};

/// The largest value of a single size, thirty times more than the largest gpt-oss needs. Products of sizes stay far from
/// overflow.
const LARGEST: usize = 1 << 22;

/// The largest number of parameters, a thousand times more than the largest gpt-oss has.
const MOST_PARAMETERS: f64 = 1e14;

/// The largest number of layers.
const MOST_LAYERS: usize = 4_096;

impl ModelConfig {
    /// Returns the first contradiction in the configuration, if there is one.
    pub(super) fn check(&self) -> ConfigResult<()> {
        self.check_sizes()?;
        self.check_shapes()?;
        self.check_layers()?;
        self.check_numbers()?;
        self.check_yarn()
    }

    /// Checks each size, and the number of parameters.
    fn check_sizes(&self) -> ConfigResult<()> {
        let sizes = [
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
        if let Some((key, value)) = sizes.into_iter().find(|(_, value)| !(1..=LARGEST).contains(value)) {
            return Err(ConfigError::unexpected(key, value, format!("1 ..= {LARGEST}")));
        }
        if self.mtp_layers > 1 {
            return Err(ConfigError::unexpected("num_nextn_predict_layers", self.mtp_layers, "0 or 1"));
        }
        if self.layers > MOST_LAYERS {
            return Err(ConfigError::unexpected("num_hidden_layers", self.layers, format!("at most {MOST_LAYERS}")));
        }
        let product = |factors: &[usize]| factors.iter().map(|&n| n as f64).product::<f64>();
        let inner = self.intermediate_size.max(self.dense_intermediate_size).max(self.heads * self.head_dim);
        let numbers = product(&[self.layers, self.experts, self.hidden_size, inner]);
        match numbers + product(&[self.vocab_size, self.hidden_size]) > MOST_PARAMETERS {
            true => Err(ConfigError::TooManyParameters(MOST_PARAMETERS)),
            false => Ok(()),
        }
    }

    /// Checks that the sizes fit each other.
    fn check_shapes(&self) -> ConfigResult<()> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(ConfigError::HeadGroups { heads: self.heads, kv_heads: self.kv_heads });
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(ConfigError::OddHeadDim(self.head_dim));
        }
        match self.experts_per_token > self.experts {
            true => Err(ConfigError::TooFewExperts { per_token: self.experts_per_token, experts: self.experts }),
            false => Ok(()),
        }
    }

    /// Checks the properties of single layers.
    fn check_layers(&self) -> ConfigResult<()> {
        if self.windows.contains(&Some(0)) {
            return Err(ConfigError::unexpected("sliding_window", 0, "at least 1"));
        }
        if let Some(&layer) = self.dense_layers.iter().find(|&&layer| layer >= self.layers) {
            return Err(ConfigError::NoSuchLayer { layer, layers: self.layers });
        }
        match !self.dense_layers.is_empty() && !(1..=LARGEST).contains(&self.dense_intermediate_size) {
            true => Err(ConfigError::DenseSize(self.dense_intermediate_size)),
            false => Ok(()),
        }
    }

    /// Checks the real numbers and the token ids.
    fn check_numbers(&self) -> ConfigResult<()> {
        positive("rms_norm_eps", f64::from(self.rms_norm_eps))?;
        positive("swiglu_alpha", f64::from(self.swiglu_alpha))?;
        positive("swiglu_limit", f64::from(self.swiglu_limit))?;
        more_than_one("rope_theta", self.rope_theta)?;
        if !(self.router_aux_loss_coef >= 0.0 && self.router_aux_loss_coef.is_finite()) {
            return Err(ConfigError::unexpected("router_aux_loss_coef", self.router_aux_loss_coef, "0 or more"));
        }
        match self.eos_token_ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            Some(&id) => Err(ConfigError::EndToken { id, vocab_size: self.vocab_size }),
            None => Ok(()),
        }
    }

    fn check_yarn(&self) -> ConfigResult<()> {
        let Some(yarn) = &self.yarn else { return Ok(()) };
        at_least("rope factor", yarn.factor, 1.0)?;
        positive("beta_fast", yarn.beta_fast)?;
        positive("beta_slow", yarn.beta_slow)?;
        positive("original_max_position_embeddings", yarn.original_context as f64)?;
        // Scores contain the square of the factor, which has to stay far from the limits of f32.
        match yarn.attention_factor.filter(|factor| !(1e-6..=1e6).contains(factor)) {
            Some(factor) => Err(ConfigError::unexpected("attention_factor", factor, "1e-6 to 1e6")),
            None => Ok(()),
        }
    }
}

fn positive(key: &str, value: f64) -> ConfigResult<()> {
    match (value as f32).is_finite() && value as f32 > 0.0 {
        true => Ok(()),
        false => Err(ConfigError::unexpected(key, value, "a number that is positive and finite in f32")),
    }
}

fn more_than_one(key: &str, value: f64) -> ConfigResult<()> {
    match (value as f32).is_finite() && value > 1.0 {
        true => Ok(()),
        false => Err(ConfigError::unexpected(key, value, "more than 1, and finite in f32")),
    }
}

fn at_least(key: &str, value: f64, least: f64) -> ConfigResult<()> {
    match (value as f32).is_finite() && value >= least {
        true => Ok(()),
        false => Err(ConfigError::unexpected(key, value, format!("at least {least}, and finite in f32"))),
    }
}
