//! The messages of ranks that train together, and the share of each.
//!
//! The micro-batches of a step are divided among the ranks: micro-batch i belongs to rank i mod R. Each rank computes the
//! gradient of its micro-batches with the whole model, and the gradients are added in the order of the micro-batches. So R ranks
//! take the same step as one process that computes all micro-batches, bit for bit.
//!
//! The optimizer is divided, too (ZeRO, stage 1): each rank has a share of the numbers, and for these alone it adds up the
//! gradients, keeps the moments and makes the update. Then all ranks send each other the weights of their shares.
//! Rajbhandari et al. 2019, <https://arxiv.org/abs/1910.02054>
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use super::optimizer::{Moments, Optimizer};
use super::pace::{Pace, Times};
use crate::collective::{Collective, Messages, copy_to, part, to_bytes, to_numbers};
use crate::error::Result;
use crate::layers::Layer;
use crate::model::{Totals, Transformer};
use crate::ops::load_balancing::ExpertLoad;
use crate::parameter::Parameter;
use crate::profile;
use crate::tensor::{Gradients, slice};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// The bytes that a rank sends to others. The time is also that of waiting for them.
const EXCHANGE: profile::Op = profile::Op::per_number("exchange", 0, 1);

/// The ranks that train together, and the share of each.
#[derive(Clone)]
pub struct Together {
    ranks: Arc<dyn Collective>,
    /// The share of each rank: a range of every trainable parameter.
    shares: Vec<Vec<Range<usize>>>,
    times: Arc<Mutex<Times>>,
}

// ANCHOR: shares
/// Divides the numbers of all trainable parameters, in their order, among `size` ranks. A unit, which the optimizer does not
/// divide, belongs to the rank in whose part of the numbers it begins.
fn shares(parameters: &[&Parameter], optimizer: &Optimizer, size: usize) -> Vec<Vec<Range<usize>>> {
    let total: usize = parameters.iter().map(|parameter| parameter.value().count()).sum();
    let mut shares = vec![Vec::new(); size];
    let mut before = 0; // the numbers of the parameters before this one
    for parameter in parameters {
        let (count, unit) = (parameter.value().count(), optimizer.unit(parameter));
        let start = |rank| part(total, rank, size).start.saturating_sub(before).next_multiple_of(unit).min(count);
        for (rank, share) in shares.iter_mut().enumerate() {
            share.push(start(rank)..if rank + 1 == size { count } else { start(rank + 1) });
        }
        before += count;
    }
    shares
}
// ANCHOR_END: shares

/// Returns the parameters that have gradients.
pub fn trainable(model: &Transformer) -> Vec<&Parameter> {
    model.parameters().into_iter().filter(|parameter| parameter.is_trainable()).collect()
}

impl Together {
    /// Divides a model and its optimizer among ranks. All ranks get the weights of rank 0, and each gets its share of the moments.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn new(ranks: Arc<dyn Collective>, model: &mut Transformer, optimizer: &mut Optimizer) -> Result<Self> {
        let shares = shares(&trainable(model), optimizer, ranks.size());
        let first = ranks.rank() == 0;
        let state =
            shares.iter().map(|share| if first { state(model, optimizer, share) } else { Vec::new() }).collect();
        optimizer.restrict(&shares[ranks.rank()]);
        let together = Self { ranks, shares, times: Arc::default() };
        let message = together.exchange(state)?.swap_remove(0);
        let mut rest = &message[..];
        let mut take = |numbers: &mut [f32]| {
            let taken;
            (taken, rest) = rest.split_at(4 * numbers.len());
            copy_to(numbers, taken);
        };
        let mut parameters = model.parameters_mut();
        parameters.retain(|parameter| parameter.is_trainable());
        parameters.into_iter().for_each(|parameter| take(parameter.tensor_mut().data_mut()));
        optimizer
            .moments_mut()
            .iter_mut()
            .for_each(|Moments { m, v }| [m, v].into_iter().for_each(|numbers| take(numbers)));
        Ok(together)
    }

    /// Returns the ranks.
    pub fn ranks(&self) -> &dyn Collective {
        &*self.ranks
    }

    /// Sends `messages[r]` to each rank r. Returns the message from each rank.
    ///
    /// # Errors
    /// If a rank is gone, here and in all that follows.
    pub fn exchange(&self, messages: Messages) -> Result<Messages> {
        let others = messages.iter().enumerate().filter(|(rank, _)| *rank != self.ranks.rank());
        let _timer = EXCHANGE.start(others.map(|(_, message)| message.len()).sum());
        let start = Instant::now();
        let received = self.ranks().all_to_all(messages);
        self.times().exchanging += start.elapsed();
        received
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().expect("nothing panics here")
    }

    /// Takes the time of a step.
    ///
    /// # Errors
    /// Those of the step.
    pub fn timed<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let (start, before) = (Instant::now(), self.times().exchanging);
        let done = step()?;
        let mut times = self.times();
        times.steps += 1;
        times.stepping += start.elapsed();
        let exchanging = times.exchanging - before;
        times.exchanging_in_steps += exchanging;
        Ok(done)
    }

    /// Returns the pace of all ranks; `None` if they have taken no step.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn pace(&self) -> Result<Option<Pace>> {
        let Times { steps, stepping, exchanging_in_steps, .. } = *self.times();
        if steps == 0 {
            return Ok(None);
        }
        let (step, exchange) = (stepping / steps, exchanging_in_steps / steps);
        let computing = self.in_order(&[[(step - exchange).as_secs_f64(), 0.0]], self.ranks.size())?;
        let computing = computing.into_iter().map(|[seconds, _]| seconds).collect();
        Ok(Some(Pace { step: step.as_secs_f64(), computing }))
    }

    /// Sends the same message to all ranks. Returns the message from each rank.
    fn gather(&self, message: &[u8]) -> Result<Messages> {
        self.exchange(vec![message.to_vec(); self.ranks.size()])
    }

    /// Returns the share of this rank.
    pub fn share(&self) -> &[Range<usize>] {
        &self.shares[self.ranks.rank()]
    }

    /// Returns whether the i-th of many equal pieces of work is done by this rank.
    pub fn is_own(&self, i: usize) -> bool {
        i % self.ranks.size() == self.ranks.rank()
    }

    /// Returns two numbers for each of `count` pieces of work, in order, given those of this rank's pieces.
    pub fn in_order(&self, own: &[[f64; 2]], count: usize) -> Result<Vec<[f64; 2]>> {
        let bytes: Vec<u8> = own.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        let of_ranks: Vec<Vec<f64>> = self.gather(&bytes)?.iter().map(|bytes| to_f64(bytes)).collect();
        let size = self.ranks.size();
        Ok((0..count).map(|i| [0, 1].map(|k| of_ranks[i % size][i / size * 2 + k])).collect())
    }

    /// Returns whether any rank says yes.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn any(&self, yes: bool) -> Result<bool> {
        Ok(self.gather(&[u8::from(yes)])?.iter().any(|answer| answer == &[1]))
    }

    /// Adds up the targets and the visits of all ranks.
    pub fn sum_of_totals(&self, own: &Totals) -> Result<Totals> {
        let numbers = [own.targets, own.load.tokens].into_iter().chain(own.load.visits.iter().copied());
        let bytes: Vec<u8> = numbers.flat_map(|number| (number as u64).to_le_bytes()).collect();
        let mut sum = Totals::default();
        for bytes in self.gather(&bytes)? {
            let (numbers, _) = bytes.as_chunks::<8>();
            let mut numbers = numbers.iter().map(|&bytes| u64::from_le_bytes(bytes) as usize);
            sum.targets += numbers.next().unwrap_or(0);
            let tokens = numbers.next().unwrap_or(0);
            sum.load.add(&ExpertLoad { tokens, visits: numbers.collect() });
        }
        Ok(sum)
    }

    // ANCHOR: divided
    /// Returns the gradients of each rank's share, one parameter after another.
    pub fn divided(&self, parameters: &[&Parameter], gradients: &Gradients) -> Messages {
        let of = |share: &Vec<Range<usize>>| {
            let parts = parameters.iter().zip(share).filter_map(|(parameter, range)| {
                let gradient = gradients.get(parameter.tensor()).map(slice)?;
                Some(to_bytes(&gradient[range.clone()]))
            });
            parts.collect::<Vec<_>>().concat()
        };
        self.shares.iter().map(of).collect()
    }
    // ANCHOR_END: divided

    /// Joins the sums of squares of each parameter's pieces, which belong to several ranks.
    pub fn squares(&self, own: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let flat = own.iter().flat_map(|squares| [squares.len() as f64].into_iter().chain(squares.iter().copied()));
        let bytes: Vec<u8> = flat.flat_map(f64::to_le_bytes).collect();
        let mut all = vec![Vec::new(); own.len()];
        for bytes in self.gather(&bytes)? {
            let mut numbers = to_f64(&bytes).into_iter();
            for squares in &mut all {
                let count = numbers.next().unwrap_or(0.0) as usize;
                squares.extend(numbers.by_ref().take(count));
            }
        }
        Ok(all)
    }

    /// Sends the weights of this rank's share to all others, and takes theirs.
    pub fn share_weights(&self, mut parameters: Vec<&mut Parameter>) -> Result<()> {
        let own = parameters.iter().zip(self.share());
        let own: Vec<_> = own.map(|(parameter, range)| to_bytes(&parameter.tensor().data()[range.clone()])).collect();
        for (share, message) in self.shares.iter().zip(self.gather(&own.concat())?) {
            let mut rest = &message[..];
            for (parameter, range) in parameters.iter_mut().zip(share) {
                let weights;
                (weights, rest) = rest.split_at(4 * range.len());
                copy_to(&mut parameter.tensor_mut().data_mut()[range.clone()], weights);
            }
        }
        Ok(())
    }

    /// Returns an optimizer with the moments of all numbers on rank 0, to be saved; with none of them on the others.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn gathered(&self, model: &Transformer, optimizer: &Optimizer) -> Result<Optimizer> {
        let own = optimizer.moments().iter().flat_map(|Moments { m, v }| [to_bytes(m), to_bytes(v)]);
        let mut messages = vec![Vec::new(); self.ranks.size()];
        messages[0] = own.collect::<Vec<_>>().concat();
        let messages = self.exchange(messages)?;
        let mut numbers: Vec<_> = messages.iter().map(|message| to_numbers(message)).collect();
        let mut moments = Vec::new();
        for (i, parameter) in trainable(model).into_iter().enumerate() {
            let mut joined = Moments { m: Vec::new(), v: Vec::new() };
            for (numbers, shares) in numbers.iter_mut().zip(&self.shares) {
                let count = shares[i].len();
                joined.m.extend(numbers.by_ref().take(count));
                joined.v.extend(numbers.by_ref().take(if optimizer.method().has_squares(parameter.role()) {
                    count
                } else {
                    0
                }));
            }
            moments.push(joined);
        }
        Ok(optimizer.with_moments(moments))
    }
}

/// Returns all weights, and the moments of a share.
fn state(model: &Transformer, optimizer: &Optimizer, share: &[Range<usize>]) -> Vec<u8> {
    let weights = trainable(model).into_iter().map(|parameter| to_bytes(parameter.tensor().data()));
    let part = |numbers: &[f32], range: &Range<usize>| numbers.get(range.clone()).map_or(Vec::new(), to_bytes);
    let moments = optimizer.moments().iter().zip(share);
    let moments = moments.flat_map(|(Moments { m, v }, range)| [part(m, range), part(v, range)]);
    weights.chain(moments).collect::<Vec<_>>().concat()
}

fn to_f64(bytes: &[u8]) -> Vec<f64> {
    let (numbers, _) = bytes.as_chunks::<8>();
    numbers.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
}
