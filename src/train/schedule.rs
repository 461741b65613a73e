//! Learning-rate schedules: a linear warm-up, then a straight line, a cosine, or a constant with or without an end.
//!
//! Book: [adamw](../../../../book/adamw.html)

use serde::{Deserialize, Serialize};

/// The course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a period of a cosine, from the peak down to a tenth of it at the last step. Loshchilov & Hutter 2017,
    /// <https://arxiv.org/abs/1608.03983>
    Cosine,
    /// A straight line from the peak down to 0 behind the last step. Bergsma et al. 2025, <https://arxiv.org/abs/2502.15938>
    Linear,
    /// Warm-up, stable, decay: the peak for four fifths of the steps, then a straight line down to 0 behind the last step. Hu et
    /// al. 2024, <https://arxiv.org/abs/2404.06395>
    Wsd,
    /// The peak until the end.
    Constant,
}

/// The share of the peak that is left at the end of [`Schedule::Cosine`].
const FLOOR: f64 = 0.1;

/// The share of the steps in which [`Schedule::Wsd`] decays.
const DECAY: f64 = 0.2;

impl Schedule {
    // ANCHOR: learning_rate
    /// Returns the learning rate of step `step`, counted from 1, of `steps`: a straight line up to `peak` over the
    /// first `warmup` steps, then the schedule.
    pub fn learning_rate(self, step: u64, steps: u64, warmup: u64, peak: f64) -> f64 {
        if step <= warmup {
            return peak * step as f64 / warmup as f64;
        }
        // The share of the steps after `from` that are left, with this one.
        let left = |from: u64| (steps + 1).saturating_sub(step) as f64 / (steps + 1).saturating_sub(from).max(1) as f64;
        match self {
            Schedule::Constant => peak,
            Schedule::Linear => peak * left(warmup),
            Schedule::Wsd => peak * left(steps - (DECAY * steps as f64) as u64).min(1.0),
            Schedule::Cosine => {
                let progress = ((step - warmup) as f64 / (steps.saturating_sub(warmup)).max(1) as f64).min(1.0);
                let height = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
                peak * (FLOOR + (1.0 - FLOOR) * height)
            }
        }
    }
    // ANCHOR_END: learning_rate
}
