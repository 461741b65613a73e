//! Models that are trained on paper, by the cost model.
//!
//! Book: [scaling](../../../../../book/scaling.html)

use super::{Capacity, Cost, Counts, Division, step};
use crate::config::ModelConfig;
use crate::train::Settings;
use crate::train::memory::Needs;

/// A model that is trained on paper: with so many tokens per step, in windows of `context` tokens.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name of the preset.
    pub preset: &'static str,
    /// The configuration.
    pub config: ModelConfig,
    /// The number of tokens per step.
    pub batch: usize,
    /// The number of tokens of a micro-batch, at most.
    pub tokens: usize,
    /// The number of tokens of a window.
    pub context: usize,
}

/// The models of the book's plots.
pub fn scenarios() -> [Scenario; 3] {
    let scenario = |preset, config, batch, tokens, context| Scenario { preset, config, batch, tokens, context };
    [
        scenario("nano", ModelConfig::nano(), 1 << 16, 1 << 12, 256),
        scenario("small", ModelConfig::small(), 1 << 18, 1 << 14, 512),
        scenario("gpt-oss-20b", ModelConfig::gpt_oss_20b(), 1 << 22, 1 << 14, 4_096),
    ]
}

/// Returns the capacity of a server with 64 cores, on a network of so many bits per second: 64 times as many operations per second as
/// one core of the AMD EPYC on which `benches/ranks` measured about 110 GFLOP/s with two, 300 GB/s from memory, and a latency of
/// 50 µs. Copying takes the measured 1.4 ns per byte, because most of it is done by one thread.
pub fn server(bits_per_second: f64) -> Capacity {
    Capacity { flops: 64.0 * 55e9, memory: 300e9, latency: 50e-6, wire: 8.0 / bits_per_second, copying: 1.4e-9 }
}

/// The numbers of ranks that may hold the experts together.
const GROUPS: [usize; 6] = [1, 2, 4, 8, 16, 32];

impl Scenario {
    /// Divides a step among ranks, with groups of X; `None` if a rank would not have a whole window, or X does not divide.
    fn divided(&self, ranks: usize, group: usize, in_order: bool) -> Option<Division> {
        let tokens = self.batch.checked_div(ranks)?.min(self.tokens);
        let fits = tokens >= self.context
            && self.batch.is_multiple_of(tokens * ranks)
            && ranks.is_multiple_of(group)
            && self.config.experts.is_multiple_of(group);
        fits.then(|| Division {
            ranks,
            group,
            micro_batches: self.batch / tokens / ranks,
            tokens,
            in_order,
            busiest: 1.0,
        })
    }

    /// Returns the X with which a step is the fastest, its cost, and the bytes of memory of a rank; `None` if the ranks
    /// cannot divide the windows evenly.
    pub fn fastest(&self, ranks: usize, capacity: &Capacity, in_order: bool) -> Option<(usize, Cost, usize)> {
        let counts = Counts::new(&self.config, self.context);
        let divisions = GROUPS.iter().filter_map(|&group| self.divided(ranks, group, in_order));
        let costs = divisions.map(|division| (step(&counts, &division, capacity), division));
        let (cost, division) = costs.min_by(|a, b| a.0.seconds().total_cmp(&b.0.seconds()))?;
        let settings = Settings::new(1, division.tokens / self.context, self.context, 1e-3);
        let memory = Needs::of(&self.config, &settings, false).of_ranks(ranks, division.group).memory;
        Some((division.group, cost, memory))
    }

    /// Returns the seconds of a step on one machine.
    ///
    /// # Panics
    /// If the batch is not a whole number of micro-batches.
    pub fn alone(&self, capacity: &Capacity) -> f64 {
        self.fastest(1, capacity, true).expect("one machine has all windows").1.seconds()
    }
}
