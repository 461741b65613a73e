//! A cost model: predicts the time of a training step on several machines from counts of operations and bytes.
//!
//! Book: [scaling](../../../../book/scaling.html)

mod scenarios;

pub use scenarios::{Scenario, scenarios, server};

use crate::checkpoint::report::published;
use crate::config::ModelConfig;
use crate::layers::Component;
use crate::ops::attention::Shape;
use crate::train::shares;

// ANCHOR: capacity
/// The capacity of a rank, which is a machine or a share of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// The operations per second of a forward or backward pass.
    pub flops: f64,
    /// The bytes per second that it reads from its memory or writes to it.
    pub memory: f64,
    /// The seconds that an exchange takes if its messages are empty (α).
    pub latency: f64,
    /// The seconds per byte sent in which its network connection is busy (β).
    pub wire: f64,
    /// The seconds per byte sent in which its cores are busy with copying.
    pub copying: f64,
}
// ANCHOR_END: capacity

/// How a step is divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Division {
    /// The number of ranks R.
    pub ranks: usize,
    /// The number of ranks that hold the experts together, X.
    pub group: usize,
    /// The number of micro-batches per step, of each rank.
    pub micro_batches: usize,
    /// The number of tokens of a micro-batch.
    pub tokens: usize,
    /// Whether gradients are added in the order of the micro-batches, as ossia does. If not, a rank adds up those of its
    /// micro-batches before it sends them, and a group adds up those of its experts.
    pub in_order: bool,
    /// The number of visits to the busiest rank of a group, divided by the mean over its ranks; 1 if the load is even.
    pub busiest: f64,
}

/// The counts of a model that the cost depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// The number of parameters that each rank has.
    pub common: f64,
    /// The number of parameters of experts, which a group divides.
    pub experts: f64,
    /// The number of parameters in the last bucket of gradients, at least: those of the embedding.
    pub last: f64,
    /// The operations per token of a forward pass, without the output projection.
    pub forward: f64,
    /// The part of these that the experts take.
    pub in_experts: f64,
    /// The operations per token of the output projection.
    pub head: f64,
    /// The number of layers with experts.
    pub layers: f64,
    /// The bytes that a token sends to its experts in a layer. As many come back.
    pub visits: f64,
}

impl Counts {
    /// Counts for windows of `context` tokens.
    pub fn new(config: &ModelConfig, context: usize) -> Self {
        let report = published(config);
        let size = |component| report.component(component).parameters as f64;
        let head = (config.vocab_size * config.hidden_size) as f64;
        let experts = size(Component::Experts);
        let attention = |window: &Option<usize>| {
            let ModelConfig { heads, kv_heads, head_dim, .. } = *config;
            let shape = Shape { heads, kv_heads, head_dim, window: *window };
            2.0 * shape.flops(0..context) as f64 / context as f64 // q·k and the sum of the values
        };
        Self {
            common: report.total().parameters as f64 - experts,
            experts,
            last: head.max(shares::NUMBERS as f64),
            forward: 2.0 * (report.active as f64 - head) + config.windows.iter().map(attention).sum::<f64>(),
            in_experts: 2.0 * experts * config.experts_per_token as f64 / config.experts as f64,
            head: 2.0 * head,
            layers: (0..config.layers).filter(|&layer| !config.is_dense(layer)).count() as f64,
            visits: (4 * config.experts_per_token * config.hidden_size) as f64,
        }
    }
}

/// The cost of a step for a rank: seconds, and bytes that it sends.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// The seconds of the forward and backward passes.
    pub passes: f64,
    /// The seconds of the update.
    pub update: f64,
    /// The seconds in which messages are copied.
    pub copying: f64,
    /// The seconds in which the rank waits for the network.
    pub waiting: f64,
    /// The bytes of gradients.
    pub gradients: f64,
    /// The bytes of weights.
    pub weights: f64,
    /// The bytes of visits to experts, and of their gradients.
    pub visits: f64,
}

impl Cost {
    /// Returns the seconds of the step.
    pub fn seconds(&self) -> f64 {
        self.passes + self.update + self.copying + self.waiting
    }

    /// Returns the bytes that the rank sends.
    pub fn sent(&self) -> f64 {
        self.gradients + self.weights + self.visits
    }

    /// Returns the share of the step in which nothing is computed.
    pub fn exchanging(&self) -> f64 {
        (self.copying + self.waiting) / self.seconds()
    }
}

// ANCHOR: step
/// Predicts the cost of a step.
pub fn step(counts: &Counts, division: &Division, capacity: &Capacity) -> Cost {
    let Counts { common, experts, .. } = *counts;
    let (ranks, group) = (division.ranks as f64, division.group as f64);
    let rounds = division.micro_batches as f64;
    let tokens = division.tokens as f64; // of a round
    // A backward pass takes twice the operations of a forward pass. With several rounds, there is another forward pass that
    // counts the visits.
    let counting = if rounds > 1.0 && counts.layers > 0.0 { 1.0 } else { 0.0 };
    let backward = 2.0 * tokens * (counts.forward + counts.head) / capacity.flops;
    let uneven = (division.busiest - 1.0) * counts.in_experts * (3.0 + counting);
    let passes = rounds * (1.5 * backward + tokens * (counting * counts.forward + uneven) / capacity.flops);
    let update = 28.0 * (common + experts) / ranks / capacity.memory; // AdamW reads 4 numbers and writes 3

    let others = |numbers: f64, ranks: f64| 4.0 * numbers * (ranks - 1.0) / ranks; // bytes of an all-gather
    // In a group, each rank has X gradients of its experts. It sends them, or their sum, to the other groups.
    let (sums, of_experts) = if division.in_order { (rounds, group) } else { (1.0, 1.0) };
    let gradients = others(common, ranks) + of_experts * others(experts / group, ranks / group);
    let weights = others(common, ranks) + others(experts / group, ranks / group);
    let last = if group > 1.0 { gradients } else { others(counts.last, ranks) };
    let wait_for_gradients = (gradients * capacity.wire - backward).max(last * capacity.wire);

    // Visits go to their experts and come back. So do the gradients.
    let passes_with_visits = if group > 1.0 { rounds * (2.0 + counting) } else { 0.0 };
    let exchanges_of_visits = 2.0 * counts.layers * passes_with_visits;
    let visits = exchanges_of_visits * tokens * counts.visits * (group - 1.0) / group;

    let sent = sums * gradients + weights + visits;
    // Buckets follow each other, so they count once. The others are those of the totals, losses, norm and weights.
    let exchanges = exchanges_of_visits + sums + 4.0;
    let latency = if ranks > 1.0 { exchanges * capacity.latency } else { 0.0 };
    Cost {
        passes,
        update,
        copying: sent * capacity.copying,
        waiting: latency + sums * wait_for_gradients + (weights + visits * division.busiest) * capacity.wire,
        gradients: sums * gradients,
        weights,
        visits,
    }
}
// ANCHOR_END: step
