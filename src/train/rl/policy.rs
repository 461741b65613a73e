//! Rollouts as batches: what the model being trained thinks of what was written, and how it changes.
//!
//! Book: [reinforcement](../../../../../book/reinforcement.html)

use crate::data::IGNORE;
use crate::layers::Layer;
use crate::model::{Output, Totals, Transformer};
use crate::ops::attention::Sequences;
use crate::ops::cross_entropy::count;
use crate::ops::load_balancing::ExpertLoad;
use crate::tasks::Rollout;
use crate::tensor::Gradients;
use std::sync::Arc;

/// The most tokens in a micro-batch, unless a single rollout has more.
const TOKENS: usize = 4096;

/// Some rollouts, one after the other, as the inputs of a model.
pub struct PackedRollouts<'r> {
    rollouts: Vec<&'r Rollout>,
    ids: Vec<u32>,
    sequences: Sequences,
    /// The targets: tokens that the model wrote, and [`IGNORE`] for those of the prompt and of tools. (T,)
    targets: Vec<u32>,
    /// The experts of each layer, if the choices of the sampler are replayed.
    experts: Vec<Arc<[u32]>>,
}

impl<'r> PackedRollouts<'r> {
    // ANCHOR: packed
    /// Puts rollouts one after the other. With `replay`, tokens will visit the experts that they visited when they were drawn.
    ///
    /// # Panics
    /// If the experts are to be replayed and were not recorded.
    pub fn new(rollouts: Vec<&'r Rollout>, model: &Transformer, replay: bool) -> Self {
        let (mut ids, mut targets) = (Vec::new(), Vec::new());
        for rollout in &rollouts {
            let read = rollout.tokens.len() - 1; // nothing follows the last token
            ids.extend(&rollout.tokens[..read]);
            targets.extend(vec![IGNORE; rollout.prompt - 1]);
            let written = rollout.tokens[rollout.prompt..].iter().zip(&rollout.own);
            targets.extend(written.map(|(&token, own)| if *own { token } else { IGNORE }));
        }
        let sequences = Sequences::of_lengths(rollouts.iter().map(|rollout| rollout.tokens.len() - 1));
        let layers = if replay { model.config.layers - model.config.dense_layers.len() } else { 0 };
        let active = model.config.experts_per_token;
        let visited = |rollout: &&'r Rollout| &rollout.routing[..rollout.tokens.len() - 1];
        let of_layer = |layer: usize| -> Arc<[u32]> {
            let tokens = rollouts.iter().flat_map(visited);
            tokens.flat_map(|experts| &experts[layer * active..][..active]).copied().collect()
        };
        let experts = (0..layers).map(of_layer).collect();
        Self { rollouts, ids, sequences, targets, experts }
    }
    // ANCHOR_END: packed

    /// Divides rollouts into micro-batches of about 4,096 tokens.
    pub fn all(rollouts: &[&'r Rollout], model: &Transformer, replay: bool) -> Vec<Self> {
        let (mut batches, mut batch, mut tokens) = (Vec::new(), Vec::new(), 0);
        for rollout in rollouts {
            if tokens + rollout.tokens.len() > TOKENS && !batch.is_empty() {
                batches.push(Self::new(std::mem::take(&mut batch), model, replay));
                tokens = 0;
            }
            tokens += rollout.tokens.len();
            batch.push(*rollout);
        }
        if !batch.is_empty() {
            batches.push(Self::new(batch, model, replay));
        }
        batches
    }

    /// Returns the rollouts.
    pub fn rollouts(&self) -> &[&'r Rollout] {
        &self.rollouts
    }

    /// Returns the experts that the sampler recorded for each token; none if it did not.
    pub fn routing(&self) -> Vec<&Arc<[u32]>> {
        let read = |rollout: &&'r Rollout| &rollout.routing[..rollout.routing.len().min(rollout.tokens.len() - 1)];
        self.rollouts.iter().flat_map(read).collect()
    }

    /// Runs a model on the rollouts.
    pub fn forward(&self, model: &Transformer) -> Output {
        match self.experts.is_empty() {
            true => model.forward_packed(&self.ids, &self.sequences),
            false => model.forward_replayed(&self.ids, &self.sequences, &self.experts),
        }
    }

    /// Returns ln π of each token that the model wrote, rollout by rollout.
    pub fn log_probabilities(&self, model: &Transformer, output: &Output) -> Vec<Vec<f32>> {
        let losses = model.token_losses(&output.hidden, &self.targets);
        let own = |row: &usize| self.targets[*row] != IGNORE;
        self.sequences.iter().map(|rows| rows.filter(own).map(|row| -losses[row]).collect()).collect()
    }

    /// Returns a weight for each target from those of the tokens that the model wrote.
    fn spread(&self, weights: &[Vec<f32>]) -> Vec<f32> {
        let mut spread = vec![0.0; self.targets.len()];
        for (rows, weights) in self.sequences.iter().zip(weights) {
            let own = rows.filter(|row| self.targets[*row] != IGNORE);
            own.zip(weights).for_each(|(row, weight)| spread[row] = *weight);
        }
        spread
    }
}

/// Returns ln π of the tokens of each rollout that the model wrote.
pub fn log_probabilities(model: &Transformer, batches: &[PackedRollouts]) -> Vec<Vec<f32>> {
    let model = model.detached();
    batches.iter().flat_map(|batch| batch.log_probabilities(&model, &batch.forward(&model))).collect()
}

// ANCHOR: gradients
/// Returns the loss Σ w · (−ln π) and its gradients. `weights` has those of the tokens of each rollout, in the order of the batches.
pub fn gradients(model: &Transformer, batches: &[PackedRollouts], weights: &[Vec<f32>]) -> (f32, Gradients) {
    let totals = totals(model, batches);
    let (mut gradients, mut loss_sum, mut first) = (Gradients::default(), 0.0, 0);
    for batch in batches {
        let weights = &weights[first..first + batch.rollouts.len()];
        first += batch.rollouts.len();
        let output = batch.forward(model);
        let loss = model.policy_loss(&output, &batch.targets, &batch.spread(weights), &totals);
        drop(output);
        loss_sum += loss.cross_entropy;
        gradients.accumulate(loss.total.backward());
    }
    (loss_sum, gradients)
}
// ANCHOR_END: gradients

/// Counts what the load-balancing loss of all micro-batches is divided by, if there is one.
fn totals(model: &Transformer, batches: &[PackedRollouts]) -> Totals {
    let counted = batches.iter().map(|batch| count(&batch.targets)).sum();
    let mut load = ExpertLoad { visits: vec![0; model.config.experts], tokens: 0 };
    if model.config.router_aux_loss_coef != 0.0 {
        let model = model.detached();
        load = ExpertLoad::default();
        batches.iter().for_each(|batch| load.add(&model.totals(&batch.forward(&model), &batch.targets).load));
    }
    Totals { targets: counted, drafted: 0, load }
}
