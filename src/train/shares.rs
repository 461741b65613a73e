//! Shares: which numbers of a model each rank holds, and which it updates.
//!
//! The optimizer is divided (ZeRO, stage 1): each rank has a share of the numbers, and for these alone it adds up the gradients,
//! keeps the moments and makes the update. Rajbhandari et al. 2019, <https://arxiv.org/abs/1910.02054>
//!
//! With expert parallelism, X ranks that follow each other are a *group*, and hold the experts together: each of them 1/X. So
//! the numbers of an expert belong to shares of the ranks that hold it, one in each group.
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use super::optimizer::Optimizer;
use crate::collective::part;
use crate::layers::{Component, Layer};
use crate::model::Transformer;
use crate::parameter::Parameter;
use std::collections::HashSet;
use std::ops::Range;

/// The shares of all ranks.
pub struct Shares {
    group: usize, // X
    /// The count of the numbers of each trainable parameter, and whether it is divided among the ranks of a group.
    parameters: Vec<(usize, bool)>,
    /// The parameters whose gradients are sent together.
    buckets: Vec<Range<usize>>,
    /// The share of each rank: a range of every trainable parameter.
    ranges: Vec<Vec<Range<usize>>>,
}

/// Returns the parameters that have gradients.
pub fn trainable(model: &Transformer) -> Vec<&Parameter> {
    model.parameters().into_iter().filter(|parameter| parameter.is_trainable()).collect()
}

/// Returns the names of the parameters of experts.
pub fn of_experts(model: &Transformer) -> HashSet<&str> {
    let components = model.components().into_iter().filter(|(component, _)| *component == Component::Experts);
    components.flat_map(|(_, layer)| layer.parameters()).map(Parameter::name).collect()
}

// ANCHOR: shares
/// Puts numbers in one row, given how many each parameter has and its unit, and cuts the row into `size` parts. Returns the part
/// of a rank: a range of each parameter. A unit, which the optimizer does not divide, belongs to the part in which it begins.
fn cut(counts: &[(usize, usize)], rank: usize, size: usize) -> Vec<Range<usize>> {
    let total: usize = counts.iter().map(|(count, _)| count).sum();
    let mut before = 0; // the numbers of the parameters before this one
    let range = |&(count, unit): &(usize, usize)| {
        let start = |rank| part(total, rank, size).start.saturating_sub(before).next_multiple_of(unit).min(count);
        let range = start(rank)..if rank + 1 == size { count } else { start(rank + 1) };
        before += count;
        range
    };
    counts.iter().map(range).collect()
}
// ANCHOR_END: shares

/// The numbers that a bucket has at least.
pub const NUMBERS: usize = 1 << 18;

/// Divides parameters, given how many numbers each has, into buckets, from the last parameter to the first.
fn buckets(counts: &[usize]) -> Vec<Range<usize>> {
    let (mut buckets, mut end, mut numbers) = (Vec::new(), counts.len(), 0);
    for (p, count) in counts.iter().enumerate().rev() {
        numbers += count;
        if numbers >= NUMBERS || p == 0 {
            buckets.push(p..end);
            (end, numbers) = (p, 0);
        }
    }
    buckets
}

impl Shares {
    /// Divides a whole model among `size` ranks, in groups of `group`.
    pub fn new(model: &Transformer, optimizer: &Optimizer, size: usize, group: usize) -> Self {
        let experts = if group > 1 { of_experts(model) } else { HashSet::new() };
        let trainable = trainable(model);
        let number = |parameter: &&Parameter| (parameter.value().count(), experts.contains(parameter.name()));
        let parameters: Vec<(usize, bool)> = trainable.iter().map(number).collect();
        let units: Vec<usize> = trainable.iter().map(|parameter| optimizer.unit(parameter)).collect();
        let counts = |spread: bool| -> Vec<(usize, usize)> {
            let count = |&(count, is_spread): &(usize, bool)| match is_spread == spread {
                true => count / if spread { group } else { 1 },
                false => 0,
            };
            parameters.iter().map(count).zip(units.iter().copied()).collect()
        };
        let (common, held) = (counts(false), counts(true));
        let buckets = buckets(&parameters.iter().map(|(count, _)| *count).collect::<Vec<_>>());
        // Each bucket is cut on its own, so that all ranks get a part of it at the same time.
        let cut = |counts: &[(usize, usize)], rank: usize, size: usize| -> Vec<Range<usize>> {
            buckets.iter().rev().flat_map(|bucket| cut(&counts[bucket.clone()], rank, size)).collect()
        };
        let ranges = |rank: usize| {
            let (common, held) = (cut(&common, rank, size), cut(&held, rank / group, size / group));
            let range = |p: usize| match parameters[p] {
                (_, false) => common[p].clone(),
                (count, true) => {
                    let start = part(count, rank % group, group).start;
                    start + held[p].start..start + held[p].end
                }
            };
            (0..parameters.len()).map(range).collect()
        };
        let ranges = (0..size).map(ranges).collect();
        Self { group, ranges, parameters, buckets }
    }

    /// Returns the buckets, from the last one to the first.
    pub fn buckets(&self) -> &[Range<usize>] {
        &self.buckets
    }

    /// Returns the share of a rank: ranges of the whole parameters.
    pub fn of(&self, rank: usize) -> &[Range<usize>] {
        &self.ranges[rank]
    }

    /// Returns the numbers of parameter `p` that a rank holds.
    pub fn held(&self, p: usize, rank: usize) -> Range<usize> {
        let (count, is_spread) = self.parameters[p];
        if is_spread { part(count, rank % self.group, self.group) } else { 0..count }
    }

    /// Returns the share of a rank in what it holds of parameter `p`.
    pub fn local(&self, p: usize, rank: usize) -> Range<usize> {
        let (range, held) = (&self.ranges[rank][p], self.held(p, rank));
        range.start - held.start..range.end - held.start
    }

    /// Returns whether two ranks hold the same numbers of parameter `p`.
    pub fn hold_the_same(&self, p: usize, a: usize, b: usize) -> bool {
        !self.parameters[p].1 || a % self.group == b % self.group
    }

    /// Returns how many gradients of parameter `p` a rank has for a micro-batch of each rank: with experts, one for each rank of
    /// its group.
    pub fn gradients(&self, p: usize) -> usize {
        if self.parameters[p].1 { self.group } else { 1 }
    }

    /// Returns how many numbers parameter `p` has as a whole.
    pub fn count(&self, p: usize) -> usize {
        self.parameters[p].0
    }

    /// Returns how many ranks hold the experts together.
    pub fn group(&self) -> usize {
        self.group
    }
}
