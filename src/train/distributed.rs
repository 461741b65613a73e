//! A step of training on several ranks.
//!
//! It does what [`Trainer::step`] does on one rank, bit for bit: the gradients of all micro-batches are added in their order, and
//! each rank does this for the numbers of its share. The tests compare the files of whole runs.
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use super::buckets::Sending;
use super::evaluate::{Evaluation, EvaluationSet, nats_of};
use super::shares::trainable;
use super::together::Together;
use super::trainer::{StepReport, Trainer};
use crate::collective::caught;
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::model::{Output, Totals};
use crate::ops::load_balancing::ExpertLoad;
use crate::tensor::Gradients;

impl Trainer {
    // ANCHOR: step
    /// Takes one optimizer step with the other ranks.
    pub(super) fn step_together(&mut self, together: &Together) -> Result<StepReport> {
        let (step, count) = (self.step_count() + 1, self.settings.accumulate);
        let batches: Vec<Batch> = (0..count).filter_map(|i| self.batches.next_if(together.is_own(i))).collect();
        self.check_ids(&batches)?;
        let (totals, mut output) = self.count_together(&batches, together)?;
        let (mut losses, mut present) = (Vec::new(), vec![false; trainable(&self.model).len()]);
        let mut sums = vec![Vec::new(); present.len()]; // of the gradients of this rank's share
        for round in 0..count.div_ceil(together.ranks().size()) {
            let (mut sending, parameters) = (Sending::new(together), trainable(&self.model));
            let mut gradients = None; // of no micro-batch, if others have one more
            if let Some(batch) = batches.get(round) {
                let send = &mut |gradients: &Gradients| sending.send_complete(&parameters, gradients);
                let (loss, new) = together.compute(|| self.micro_batch(batch, output.take(), &totals, send))?;
                losses.push(loss);
                let has: Vec<bool> = parameters.iter().map(|p| new.get(p.tensor()).is_some()).collect();
                assert!(round == 0 || present == has, "all batches use the same parameters");
                (gradients, present) = (Some(new), has);
            }
            sending.finish(&parameters, gradients.as_ref(), &present, &mut sums)?;
        }
        let losses = together.in_order(&losses, count)?;
        if losses.iter().any(|terms| !terms.iter().sum::<f64>().is_finite()) {
            return Err(Error::NotFinite { step, tensor: "the loss".into() });
        }
        let total = |k: usize| losses.iter().map(|loss| loss[k] as f32).sum();
        let lr = self.settings.learning_rate(step);
        let grad_norm = self.update_together(together, &sums, &present, lr)?;
        let (loss, load_balancing) = (total(0), total(1));
        let draft_loss = self.model.trains_mtp().then(|| total(2));
        Ok(StepReport { loss, load_balancing, draft_loss, grad_norm, lr, expert_load: totals.load.visits })
    }
    // ANCHOR_END: step

    /// Counts the targets and the visits of a step, over all ranks. A rank with a single micro-batch needs no forward pass only
    /// for counting: returns its output.
    fn count_together(&self, batches: &[Batch], together: &Together) -> Result<(Totals, Option<Output>)> {
        let single = self.settings.accumulate <= together.ranks().size();
        let (own, output) = together.compute(|| match batches {
            [batch] if single => {
                let (output, targets) = self.forward(&self.model, batch);
                let mut totals = self.model.totals(&output, targets);
                if output.routing.is_empty() {
                    totals.load = ExpertLoad::default();
                }
                (totals, Some(output))
            }
            _ => (self.totals(batches), None),
        })?;
        Ok((together.sum_of_totals(&own)?, output))
    }

    /// Returns the losses of a micro-batch, and the gradients. Calls `send` with the gradients so far, during the backward pass.
    fn micro_batch(
        &self,
        batch: &Batch,
        output: Option<Output>,
        totals: &Totals,
        send: &mut (dyn FnMut(&Gradients) + Send),
    ) -> ([f64; 3], Gradients) {
        let output = output.unwrap_or_else(|| self.forward(&self.model, batch).0);
        let loss = self.model.partial_loss(&output, batch.targets.as_slice().expect("row-major"), totals);
        drop(output);
        let terms = [loss.cross_entropy, loss.load_balancing, loss.draft.unwrap_or(0.0)].map(f64::from);
        (terms, loss.total.backward_observed(send))
    }

    // ANCHOR: update
    /// Updates the share of this rank, and takes the weights of the others. `sums` has the gradients of the share. `present` says
    /// which parameters have one.
    fn update_together(&mut self, together: &Together, sums: &[Vec<f32>], present: &[bool], lr: f64) -> Result<f64> {
        let gradients = sums.iter().zip(present).map(|(sum, present)| present.then_some(&sum[..]));
        let gradients: Vec<Option<&[f32]>> = gradients.collect();
        let mut parameters = self.model.parameters_mut();
        parameters.retain(|parameter| parameter.is_trainable());
        let units: Vec<usize> = parameters.iter().map(|parameter| self.optimizer.unit(parameter)).collect();
        let squares = together.squares(&units, &gradients)?;
        let norm = self.optimizer.norm(&parameters, &squares)?;
        self.optimizer.update(&mut parameters, &gradients, lr, norm);
        together.share_weights(parameters)?;
        Ok(norm)
    }
    // ANCHOR_END: update

    /// Measures the model on the validation text, of which each rank measures its share.
    pub(super) fn evaluate_together(
        &self,
        together: &Together,
        set: &EvaluationSet,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Evaluation> {
        let (model, all) = (self.measured().detached(), set.windows.tokens());
        let (mut count, mut before, mut own) = (0_usize, 0, Vec::new());
        for (i, batch) in set.windows.evaluation(self.settings.batch_size).enumerate() {
            count += 1;
            before += batch.counted();
            if together.is_own(i) {
                own.push([caught(|| Ok(nats_of(&model, &batch)))?, batch.counted() as f64]);
                progress(before, all); // the others have done about as much
            }
        }
        if own.len() < count.div_ceil(together.ranks().size()) {
            caught(|| {
                model.serve_once(); // the others have a batch more
                Ok(())
            })?;
        }
        let measured = together.in_order(&own, count)?;
        let (mut nats, mut tokens) = (0.0, 0);
        for [batch, counted] in measured {
            nats += batch;
            tokens += counted as usize;
        }
        Ok(Evaluation::of(set, nats, tokens))
    }
}
