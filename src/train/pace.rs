//! The pace of ranks: how long a step takes, and how much of it is waiting for others.
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use crate::collective::{Collective, Messages};
use crate::error::{Error, Result};
use std::fmt;
use std::sync::{Arc, Mutex};
use web_time::{Duration, Instant};

/// The steps of one rank, and their times.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// The number of steps.
    pub steps: u32,
    /// The time of these steps.
    pub stepping: Duration,
    /// The part of it that was spent in waiting for messages.
    pub waiting: Duration,
}

/// Ranks, and the time that this one has waited for messages of the others.
pub struct Timed {
    ranks: Arc<dyn Collective>,
    waited: Mutex<Duration>,
}

impl Timed {
    /// Takes the time from now on.
    pub fn new(ranks: Arc<dyn Collective>) -> Self {
        Self { ranks, waited: Mutex::default() }
    }

    /// Returns the time of waiting so far.
    pub fn waited(&self) -> Duration {
        *self.waited.lock().expect("nothing panics here")
    }
}

impl Collective for Timed {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn size(&self) -> usize {
        self.ranks.size()
    }

    fn begin(&self, messages: Messages) {
        self.ranks.begin(messages);
    }

    fn finish(&self) -> Result<Messages> {
        let start = Instant::now();
        let received = self.ranks.finish();
        *self.waited.lock().expect("nothing panics here") += start.elapsed();
        received
    }

    fn give_up(&self, error: &Error) {
        self.ranks.give_up(error);
    }
}

/// The pace of all ranks, in seconds per step.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// The time of a step, which is the same for all ranks, because they wait for each other.
    pub step: f64,
    /// The time in which each rank computes.
    pub computing: Vec<f64>,
}

impl Pace {
    /// Returns the mean time in which the ranks compute.
    pub fn mean(&self) -> f64 {
        self.computing.iter().sum::<f64>() / self.computing.len().max(1) as f64
    }

    /// Returns the rank that computes for the longest time, and this time.
    pub fn slowest(&self) -> (usize, f64) {
        self.computing.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default()
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (rank, slowest) = self.slowest();
        write!(
            f,
            "a step of {} ranks took {:.3} s: they computed for {:.3} s on average, rank {rank} the longest, for \
             {slowest:.3} s, and exchanged messages for {:.0} % of the time",
            self.computing.len(),
            self.step,
            self.mean(),
            100.0 * (1.0 - self.mean() / self.step)
        )
    }
}
