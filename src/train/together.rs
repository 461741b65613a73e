//! The messages of ranks that train together, and the share of each.
//!
//! The micro-batches of a step are divided among the ranks: micro-batch i belongs to rank i mod R. Each rank computes the
//! gradient of its micro-batches with the whole model, and the gradients are added in the order of the micro-batches. So R ranks
//! take the same step as one process that computes all micro-batches, bit for bit.
//!
//! The optimizer is divided, too: see [`Shares`]. Then all ranks send each other the weights of their shares.
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use super::optimizer::{Moments, Optimizer};
use super::pace::{Pace, Timed, Times};
use super::pieces;
use super::shares::{Shares, of_experts, trainable};
use crate::collective::{Alone, Collective, Group, Messages, add_to, caught, copy_to, to_bytes, to_numbers};
use crate::error::Result;
use crate::kernels::parallel;
use crate::layers::Layer;
use crate::model::{Totals, Transformer};
use crate::ops::load_balancing::ExpertLoad;
use crate::parameter::{Parameter, Value};
use crate::profile;
use crate::tensor::{Gradients, Tensor, array, slice};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use web_time::Instant;

/// The bytes that a rank sends to others.
const SENDING: profile::Op = profile::Op::per_number("sending", 0, 1);
/// The time of waiting for the messages of others.
const WAITING: profile::Op = profile::Op::per_number("exchange", 0, 0);

/// The ranks that train together, and the share of each.
#[derive(Clone)]
pub struct Together {
    ranks: Arc<Timed>,
    shares: Arc<Shares>,
    times: Arc<Mutex<Times>>,
    /// The whole values of frozen parameters of experts, if these are spread. They cost no memory if they are in a file.
    frozen: Arc<HashMap<String, Value>>,
}

impl Together {
    /// Divides a model and its optimizer among ranks, of which `group` each hold the experts together. All ranks get the weights
    /// of rank 0, and each gets its share of the moments.
    ///
    /// # Errors
    /// If a rank is gone, or the experts cannot be divided.
    pub fn new(
        ranks: Arc<dyn Collective>,
        group: usize,
        model: &mut Transformer,
        optimizer: &mut Optimizer,
    ) -> Result<Self> {
        let (shares, me) = (Shares::new(model, optimizer, ranks.size(), group), ranks.rank());
        let local: Vec<Range<usize>> = (0..shares.of(me).len()).map(|p| shares.local(p, me)).collect();
        let experts = of_experts(model);
        let frozen =
            model.parameters().into_iter().filter(|p| group > 1 && !p.is_trainable() && experts.contains(p.name()));
        let frozen = frozen.map(|parameter| (parameter.name().to_string(), parameter.value().clone())).collect();
        let (ranks, times) = (Arc::new(Timed::new(ranks)), Arc::default());
        let together = Self { ranks, shares: Arc::new(shares), times, frozen: Arc::new(frozen) };
        together.take_state(model, optimizer)?;
        if group > 1 {
            let group: Arc<dyn Collective> = Arc::new(Group::new(together.ranks.clone(), group));
            model.spread(&group)?;
        }
        optimizer.restrict(together.shares.of(me), &local);
        Ok(together)
    }

    /// Gives all ranks the weights of rank 0, and each the moments of its share, bucket by bucket, so that the messages are short.
    fn take_state(&self, model: &mut Transformer, optimizer: &mut Optimizer) -> Result<()> {
        let (shares, me) = (self.shares.clone(), self.ranks.rank());
        for bucket in shares.buckets() {
            let state = |rank| match me {
                0 => state(model, optimizer, &shares, bucket.clone(), rank),
                _ => Vec::new(),
            };
            let message = self.exchange((0..self.ranks.size()).map(state).collect())?.swap_remove(0);
            let mut rest = &message[..];
            let mut take = |numbers: &mut [f32], range: Range<usize>| {
                if !numbers.is_empty() {
                    let length = range.len();
                    copy_to(&mut numbers[range], cut(&mut rest, length));
                }
            };
            let mut parameters = model.parameters_mut();
            parameters.retain(|parameter| parameter.is_trainable());
            for p in bucket.clone() {
                take(parameters[p].tensor_mut().data_mut(), shares.held(p, me));
                let Moments { m, v } = &mut optimizer.moments_mut()[p];
                [m, v].into_iter().for_each(|numbers| take(numbers, shares.of(me)[p].clone()));
            }
        }
        Ok(())
    }

    /// Returns the buckets in which gradients are sent: ranges of the trainable parameters.
    pub fn buckets(&self) -> &[Range<usize>] {
        self.shares.buckets()
    }

    /// Returns whether gradients may be sent while the backward pass goes on. It may not if this has exchanges itself, which have
    /// to wait for none.
    pub fn sends_early(&self) -> bool {
        self.shares.group() == 1
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
        self.begin(messages);
        self.finish()
    }

    /// Begins to send `messages[r]` to each rank r, and does not wait.
    pub fn begin(&self, messages: Messages) {
        let others = messages.iter().enumerate().filter(|(rank, _)| *rank != self.ranks.rank());
        let _timer = SENDING.start(others.map(|(_, message)| message.len()).sum());
        self.ranks.begin(messages);
    }

    /// Waits for the messages of the oldest exchange that has begun. Returns the message from each rank.
    ///
    /// # Errors
    /// If a rank is gone, here and in all that follows.
    pub fn finish(&self) -> Result<Messages> {
        let _timer = WAITING.start(0);
        self.ranks.finish()
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().expect("nothing panics here")
    }

    /// Takes the time of a step.
    ///
    /// # Errors
    /// Those of the step.
    pub fn timed<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let (start, before) = (Instant::now(), self.ranks.waited());
        let done = step()?;
        let mut times = self.times();
        times.steps += 1;
        times.stepping += start.elapsed();
        times.waiting += self.ranks.waited() - before;
        Ok(done)
    }

    /// Returns the pace of all ranks; `None` if they have taken no step.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn pace(&self) -> Result<Option<Pace>> {
        let Times { steps, stepping, waiting } = *self.times();
        if steps == 0 {
            return Ok(None);
        }
        let (step, waiting) = (stepping / steps, waiting / steps);
        let computing = self.in_order(&[[(step - waiting).as_secs_f64(), 0.0]], self.ranks.size())?;
        let computing = computing.into_iter().map(|[seconds, _]| seconds).collect();
        Ok(Some(Pace { step: step.as_secs_f64(), computing }))
    }

    /// Sends the same message to all ranks. Returns the message from each rank.
    fn gather(&self, message: &[u8]) -> Result<Messages> {
        self.exchange(vec![message.to_vec(); self.ranks.size()])
    }

    /// Computes something on all threads. With expert parallelism, its exchanges may fail, and must not keep a thread that others
    /// need.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn compute<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        if self.shares.group() > 1 { caught(|| Ok(work())) } else { Ok(parallel::inside(work)) }
    }

    /// Returns whether the i-th of many equal pieces of work is done by this rank.
    pub fn is_own(&self, i: usize) -> bool {
        i % self.ranks.size() == self.ranks.rank()
    }

    /// Returns N numbers for each of `count` pieces of work, in order, given those of this rank's pieces.
    pub fn in_order<const N: usize>(&self, own: &[[f64; N]], count: usize) -> Result<Vec<[f64; N]>> {
        let bytes: Vec<u8> = own.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        let of_ranks: Vec<Vec<f64>> = self.gather(&bytes)?.iter().map(|bytes| to_f64(bytes)).collect();
        let size = self.ranks.size();
        Ok((0..count).map(|i| std::array::from_fn(|k| of_ranks[i % size][i / size * N + k])).collect())
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
        let numbers = [own.targets, own.drafted, own.load.tokens].into_iter().chain(own.load.visits.iter().copied());
        let bytes: Vec<u8> = numbers.flat_map(|number| (number as u64).to_le_bytes()).collect();
        let mut sum = Totals::default();
        for bytes in self.gather(&bytes)? {
            let (numbers, _) = bytes.as_chunks::<8>();
            let mut numbers = numbers.iter().map(|&bytes| u64::from_le_bytes(bytes) as usize);
            sum.targets += numbers.next().unwrap_or(0);
            sum.drafted += numbers.next().unwrap_or(0);
            let tokens = numbers.next().unwrap_or(0);
            sum.load.add(&ExpertLoad { tokens, visits: numbers.collect() });
        }
        Ok(sum)
    }

    // ANCHOR: divided
    /// Returns the gradients of each rank's share, one parameter of a bucket after another. Gradients of experts go to the ranks
    /// that hold them.
    pub fn divided(&self, parameters: &[&Parameter], gradients: &Gradients, bucket: Range<usize>) -> Messages {
        let me = self.ranks.rank();
        let of = |rank: usize| {
            let held = bucket.clone().filter(|&p| self.shares.hold_the_same(p, me, rank));
            let parts = held.filter_map(|p| {
                let (gradient, range) = (gradients.get(parameters[p].tensor()).map(slice)?, self.shares.local(p, rank));
                let of_ranks = gradient.chunks(gradient.len() / self.shares.gradients(p));
                Some(of_ranks.map(|gradient| to_bytes(&gradient[range.clone()])).collect::<Vec<_>>().concat())
            });
            parts.collect::<Vec<_>>().concat()
        };
        (0..self.ranks.size()).map(of).collect()
    }

    /// Adds the gradients of this rank's share that have come from all ranks, in the order of the micro-batches. An empty message
    /// has none. `present` says which parameters have a gradient.
    pub fn add(&self, sums: &mut [Vec<f32>], messages: &Messages, bucket: Range<usize>, present: &[bool]) {
        let me = self.ranks.rank();
        for (rank, message) in messages.iter().enumerate().filter(|(_, message)| !message.is_empty()) {
            let mut rest = &message[..];
            for p in bucket.clone().filter(|&p| present[p] && self.shares.hold_the_same(p, me, rank)) {
                let length = self.shares.of(me)[p].len();
                (0..self.shares.gradients(p)).for_each(|_| add_to(&mut sums[p], cut(&mut rest, length)));
            }
        }
    }
    // ANCHOR_END: divided

    /// Returns the sums of the squares of all pieces of each gradient, given those of this rank's share.
    pub fn squares(&self, units: &[usize], gradients: &[Option<&[f32]>]) -> Result<Vec<Vec<f64>>> {
        let timer = pieces::NORM.start(gradients.iter().flatten().map(|gradient| gradient.len()).sum());
        let own = gradients.iter().enumerate().flat_map(|(p, gradient)| {
            let range = &self.shares.of(self.ranks.rank())[p];
            gradient.map_or(Vec::new(), |gradient| {
                pieces::squares_or_numbers(self.shares.count(p), gradient, range, units[p])
            })
        });
        let bytes: Vec<u8> = own.flat_map(f64::to_le_bytes).collect();
        drop(timer);
        let messages: Vec<Vec<f64>> = self.gather(&bytes)?.iter().map(|bytes| to_f64(bytes)).collect();
        let mut rest: Vec<&[f64]> = messages.iter().map(Vec::as_slice).collect();
        let join = |(p, gradient): (usize, &Option<&[f32]>)| match gradient {
            None => Vec::new(),
            Some(_) => {
                let ranges: Vec<_> = (0..rest.len()).map(|rank| &self.shares.of(rank)[p]).collect();
                pieces::joined(self.shares.count(p), units[p], &ranges, &mut rest)
            }
        };
        Ok(gradients.iter().enumerate().map(join).collect())
    }

    /// Sends the weights of this rank's share to all others that hold them, and takes theirs.
    pub fn share_weights(&self, mut parameters: Vec<&mut Parameter>) -> Result<()> {
        let (me, shares) = (self.ranks.rank(), &self.shares);
        let to = |rank: usize| {
            let held = (0..parameters.len()).filter(|&p| shares.hold_the_same(p, me, rank));
            let parts = held.map(|p| to_bytes(&parameters[p].tensor().data()[shares.local(p, me)]));
            parts.collect::<Vec<_>>().concat()
        };
        let messages = (0..self.ranks.size()).map(to).collect();
        for (rank, message) in self.exchange(messages)?.iter().enumerate() {
            let mut rest = &message[..];
            for p in (0..parameters.len()).filter(|&p| shares.hold_the_same(p, me, rank)) {
                let range = shares.local(p, rank);
                let weights = cut(&mut rest, range.len());
                copy_to(&mut parameters[p].tensor_mut().data_mut()[range], weights);
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
        let messages = self.to_first(own.collect::<Vec<_>>().concat())?;
        if self.ranks.rank() > 0 {
            return Ok(optimizer.with_moments(Vec::new()));
        }
        let mut rest: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut moments = Vec::new();
        for (p, parameter) in trainable(model).into_iter().enumerate() {
            let count = self.shares.count(p);
            let squares = if optimizer.method().has_squares(parameter.role()) { count } else { 0 };
            let mut whole = Moments { m: vec![0.0; count], v: vec![0.0; squares] };
            for (rank, rest) in rest.iter_mut().enumerate() {
                let range = self.shares.of(rank)[p].clone();
                for numbers in [&mut whole.m, &mut whole.v].into_iter().filter(|numbers| !numbers.is_empty()) {
                    copy_to(&mut numbers[range.clone()], cut(rest, range.len()));
                }
            }
            moments.push(whole);
        }
        Ok(optimizer.with_moments(moments))
    }

    /// Sends a message to rank 0. Returns the messages of all ranks there.
    fn to_first(&self, message: Vec<u8>) -> Result<Messages> {
        let mut messages = vec![Vec::new(); self.ranks.size()];
        messages[0] = message;
        self.exchange(messages)
    }

    /// Returns the model with all of its experts on rank 0, if they are spread.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn whole(&self, model: &Transformer) -> Result<Option<Transformer>> {
        if self.shares.group() == 1 {
            return Ok(None);
        }
        let experts = of_experts(model);
        let is_spread = |parameter: &Parameter| parameter.is_trainable() && experts.contains(parameter.name());
        let held = model.parameters().into_iter().filter(|parameter| is_spread(parameter));
        let message = held.map(|parameter| to_bytes(parameter.tensor().data())).collect::<Vec<_>>().concat();
        let messages = self.to_first(if self.ranks.rank() < self.shares.group() { message } else { Vec::new() })?;
        if self.ranks.rank() > 0 {
            return Ok(None);
        }
        let mut rest: Vec<&[u8]> = messages[..self.shares.group()].iter().map(Vec::as_slice).collect();
        let mut whole = model.clone();
        for parameter in whole.parameters_mut() {
            let value = match self.frozen.get(parameter.name()) {
                Some(value) => value.clone(),
                None if is_spread(parameter) => {
                    let (held, part) = (parameter.value().count(), parameter.value().shape());
                    let shape = [&[part[0] * self.shares.group()], &part[1..]].concat();
                    let numbers = rest.iter_mut().flat_map(|rest| to_numbers(cut(rest, held))).collect();
                    Tensor::parameter(array(&shape, numbers)).into()
                }
                None => continue,
            };
            *parameter = Parameter::new(parameter.name(), parameter.role(), value);
        }
        let alone: Arc<dyn Collective> = Arc::new(Alone::default());
        whole.spread(&alone)?;
        Ok(Some(whole))
    }
}

/// Cuts so many numbers off the front of a message.
fn cut<'m>(message: &mut &'m [u8], numbers: usize) -> &'m [u8] {
    message.split_off(..4 * numbers).expect("a message has all that it should have")
}

/// Returns the weights of a bucket that a rank holds, and the moments of its share.
fn state(model: &Transformer, optimizer: &Optimizer, shares: &Shares, bucket: Range<usize>, rank: usize) -> Vec<u8> {
    let parameters = trainable(model);
    let part = |numbers: &[f32], range: Range<usize>| numbers.get(range).map_or(Vec::new(), to_bytes);
    let of = |p: usize| {
        let Moments { m, v } = &optimizer.moments()[p];
        let share = &shares.of(rank)[p];
        [part(parameters[p].tensor().data(), shares.held(p, rank)), part(m, share.clone()), part(v, share.clone())]
    };
    bucket.flat_map(of).collect::<Vec<_>>().concat()
}

fn to_f64(bytes: &[u8]) -> Vec<f64> {
    let (numbers, _) = bytes.as_chunks::<8>();
    numbers.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
}
