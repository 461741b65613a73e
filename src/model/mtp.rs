//! The drafts of a model with a module for multi-token prediction.
//!
//! Book: [drafts](../../../../book/drafts.html)

use super::{Output, Transformer};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::layers::{KvCache, Layer, Mtp};
use crate::ops::attention::Sequences;
use crate::ops::cross_entropy::{IGNORE, count};
use crate::ops::embedding::embedding;
use crate::parameter::{Scope, Source};
use crate::tensor::{Tensor, array};

/// The predictions of the module for multi-token prediction for a batch.
pub struct Draft {
    /// The input of the output projection. Row i predicts the target of row i + 1. (T, H)
    pub hidden: Tensor,
    /// The factor of its loss.
    pub weight: f32,
    sequences: Sequences,
}

impl Draft {
    /// Returns the targets of the module: those of the next row of the same sequence. (T,)
    pub fn targets(&self, targets: &[u32]) -> Vec<u32> {
        shifted(targets, IGNORE, &self.sequences)
    }
}

/// Returns the value of the next row of the same sequence, for each row; `last` if there is none.
fn shifted(rows: &[u32], last: u32, sequences: &Sequences) -> Vec<u32> {
    let one = |range: std::ops::Range<usize>| rows[range.start + 1..range.end].iter().copied().chain([last]);
    sequences.iter().flat_map(one).collect()
}

/// Counts the targets of the module in a batch, of sequences with these lengths.
pub fn count_drafted(targets: &[u32], sequences: &Sequences) -> usize {
    count(&shifted(targets, IGNORE, sequences))
}

impl Transformer {
    /// Returns the module for multi-token prediction, if the model has one.
    pub fn mtp(&self) -> Option<&Mtp> {
        self.mtp.as_ref()
    }

    /// Adds a module that is not trained yet.
    ///
    /// # Errors
    /// Those of the source.
    pub fn add_mtp(&mut self, config: &ModelConfig, source: &mut dyn Source) -> Result<()> {
        self.mtp = Some(Mtp::new(&mut Scope::new(source).child("mtp"), config)?);
        Ok(())
    }

    // ANCHOR: with_draft
    /// Adds the predictions of the module to the results of a forward pass over `ids` (T,), so that the loss contains theirs, times
    /// `weight`. The gradient flows through the hidden states and embeddings into the whole model.
    pub fn with_draft(&self, mut output: Output, ids: &[u32], sequences: &Sequences, weight: f32) -> Output {
        let Some(mtp) = &self.mtp else { return output };
        let next = embedding(&shifted(ids, 0, sequences), &self.embedding); // the last token of a sequence is followed by none
        let angles = self.rotary.angles(sequences.places().into_iter().map(|(_, position)| position));
        let (hidden, block) = mtp.forward(&output.hidden, &next, &angles, sequences, &mut []);
        output.routing.extend(block.routing);
        output.draft = Some(Draft { hidden, weight, sequences: sequences.clone() });
        output
    }
    // ANCHOR_END: with_draft

    /// Returns an empty cache for [`draft`](Self::draft).
    pub fn draft_cache(&self) -> KvCache {
        KvCache::with_spare(&[None], &self.config, 0)
    }

    /// The hidden states of tokens that follow those in the cache (T, H), and the tokens after them (T,) → the hidden states of the
    /// module (T, H). Panics if the model has no module.
    pub fn draft(&self, hidden: &[f32], next: &[u32], cache: &mut KvCache) -> Tensor {
        let mtp = self.mtp.as_ref().expect("a model with a module for multi-token prediction");
        let hidden = Tensor::constant(array(&[next.len(), self.config.hidden_size], hidden.to_vec()));
        let angles = self.rotary.angles(cache.len()..cache.len() + next.len());
        let next_rows = embedding(next, &self.embedding);
        let sequences = Sequences::equal(1, next.len());
        mtp.forward(&hidden, &next_rows, &angles, &sequences, &mut [cache.layer_mut(0)]).0
    }

    /// Returns whether the module is there and trained.
    pub fn trains_mtp(&self) -> bool {
        self.mtp.as_ref().is_some_and(|mtp| mtp.parameters().iter().any(|parameter| parameter.is_trainable()))
    }
}
