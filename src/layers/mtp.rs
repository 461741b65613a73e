//! Multi-token prediction: one more block, which predicts the token after the next one.
//!
//! ```text
//! h′ᵢ = Block( M · [ RMSNorm(hᵢ) ; RMSNorm(embedding of tᵢ₊₁) ] )        logits of tᵢ₊₂ = head( RMSNorm(h′ᵢ) )
//! ```
//!
//! hᵢ is the output of the model at token i, after its last norm. Embedding and head are those of the model. In training, its
//! loss is a second task for the model. When a text is generated, it drafts tokens that the model then checks several at a time.
//! DeepSeek-AI 2024, DeepSeek-V3, section 2.2, <https://arxiv.org/abs/2412.19437>
//!
//! Book: [drafts](../../../../book/drafts.html)

use super::{Angles, Block, Layer, LayerCache, RmsNorm, Weight};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::layers::block::BlockOutput;
use crate::ops::attention::Sequences;
use crate::ops::shape::concat;
use crate::parameter::{Parameter, Role, Scope};
use crate::tensor::Tensor;

/// The module that predicts the token after the next one.
#[derive(Clone)]
pub struct Mtp {
    hidden_norm: RmsNorm,
    token_norm: RmsNorm,
    projection: Weight, // (H, 2H)
    block: Block,
    norm: RmsNorm,
}

/// Adapters and quantization-aware training leave the module as it is: it only drafts.
impl Layer for Mtp {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Parameter)) {
        self.hidden_norm.visit(f);
        self.token_norm.visit(f);
        self.projection.visit(f);
        self.block.visit(f);
        self.norm.visit(f);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Parameter)) {
        self.hidden_norm.visit_mut(f);
        self.token_norm.visit_mut(f);
        self.projection.visit_mut(f);
        self.block.visit_mut(f);
        self.norm.visit_mut(f);
    }
}

impl Mtp {
    /// Creates a module for a model of this configuration. Its block has full attention, and experts if the last layer of the model
    /// has some.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(scope: &mut Scope, config: &ModelConfig) -> Result<Self> {
        let (hidden, eps) = (config.hidden_size, config.rms_norm_eps);
        let dense_layers = if config.is_dense(config.layers - 1) { vec![0] } else { Vec::new() };
        let of_block = ModelConfig { windows: vec![None], dense_layers, ..config.clone() };
        Ok(Self {
            hidden_norm: RmsNorm::new(&mut scope.child("hidden_norm"), hidden, eps)?,
            token_norm: RmsNorm::new(&mut scope.child("token_norm"), hidden, eps)?,
            projection: Weight::new(
                &mut scope.child("projection"),
                &[hidden, 2 * hidden],
                Role::Matrix,
                config.initial_std(2 * hidden),
            )?,
            block: Block::new(&mut scope.child("block"), &of_block, 0)?,
            norm: RmsNorm::new(&mut scope.child("norm"), hidden, eps)?,
        })
    }

    // ANCHOR: forward
    /// hidden (T, H), and the embeddings of the tokens after those (T, H) → the input of the head (T, H), and the output of the block
    pub fn forward(
        &self,
        hidden: &Tensor,
        next: &Tensor,
        angles: &Angles,
        sequences: &Sequences,
        caches: &mut [&mut LayerCache],
    ) -> (Tensor, BlockOutput) {
        let both = concat(&[&self.hidden_norm.forward(hidden), &self.token_norm.forward(next)], 1);
        let x = self.projection.forward(&both, None);
        let out = self.block.forward(&x, angles, sequences, caches, None);
        (self.norm.forward(&out.hidden), out)
    }
    // ANCHOR_END: forward
}
