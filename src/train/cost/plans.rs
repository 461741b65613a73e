//! Models that are trained on paper, by the cost model.
//!
//! Book: [scaling](../../../../../book/scaling.html)

use super::{Cost, Counts, Division, Machine, step};
use crate::config::ModelConfig;
use crate::train::Settings;
use crate::train::memory::Needs;

/// A model that is trained on paper: with so many tokens per step, in windows of `context` tokens.
#[derive(Debug, Clone)]
pub struct Plan {
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
pub fn plans() -> [Plan; 3] {
    let plan = |preset, config, batch, tokens, context| Plan { preset, config, batch, tokens, context };
    [
        plan("nano", ModelConfig::nano(), 1 << 16, 1 << 12, 256),
        plan("small", ModelConfig::small(), 1 << 18, 1 << 14, 512),
        plan("gpt-oss-20b", ModelConfig::gpt_oss_20b(), 1 << 22, 1 << 14, 4_096),
    ]
}

/// Returns a server with 64 cores, and a network of so many bits per second. A core computes and copies as fast as it did in the
/// measurements of this chapter.
pub fn server(bits_per_second: f64) -> Machine {
    Machine { flops: 64.0 * 55e9, memory: 300e9, latency: 50e-6, wire: 8.0 / bits_per_second, copying: 1.4e-9 }
}

/// The numbers of ranks that may hold the experts together.
const GROUPS: [usize; 6] = [1, 2, 4, 8, 16, 32];

impl Plan {
    /// Divides a step among ranks, with groups of X; `None` if a rank would not have a whole window, or X does not divide.
    fn divided(&self, ranks: usize, group: usize, in_order: bool) -> Option<Division> {
        let tokens = (self.batch / ranks).min(self.tokens);
        let fits = tokens >= self.context && ranks.is_multiple_of(group) && self.config.experts.is_multiple_of(group);
        fits.then_some(Division {
            ranks,
            group,
            micro_batches: self.batch / tokens / ranks,
            tokens,
            in_order,
            busiest: 1.0,
        })
    }

    /// Returns the X with which a step is the fastest, what it costs, and the bytes of memory of a rank; `None` if there are too
    /// many ranks.
    pub fn fastest(&self, ranks: usize, machine: &Machine, in_order: bool) -> Option<(usize, Cost, usize)> {
        let counts = Counts::new(&self.config, self.context);
        let divisions = GROUPS.iter().filter_map(|&group| self.divided(ranks, group, in_order));
        let costs = divisions.map(|division| (step(&counts, &division, machine), division));
        let (cost, division) = costs.min_by(|a, b| a.0.seconds().total_cmp(&b.0.seconds()))?;
        let settings = Settings::new(1, division.tokens / self.context, self.context, 1e-3);
        let memory = Needs::of(&self.config, &settings, true).of_ranks(ranks, division.group).memory;
        Some((division.group, cost, memory))
    }

    /// Returns the seconds of a step on one machine.
    pub fn alone(&self, machine: &Machine) -> f64 {
        self.fastest(1, machine, true).expect("one machine has all windows").1.seconds()
    }
}
