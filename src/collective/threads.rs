//! Ranks that are threads of one process: for tests, and to try a job on one machine.

use super::{Collective, Messages};
use crate::error::{Error, Result};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A rank that is a thread. A channel leads from each rank to each rank, and keeps its messages in order.
pub struct Threads {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Threads {
    /// Creates the ranks of a job.
    pub fn job(size: usize) -> Vec<Self> {
        let mut ranks: Vec<Self> = (0..size).map(|rank| Self { rank, to: Vec::new(), from: Vec::new() }).collect();
        for from in 0..size {
            for to in 0..size {
                let (sender, receiver) = channel();
                ranks[from].to.push(sender);
                ranks[to].from.push(Mutex::new(receiver));
            }
        }
        ranks
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn begin(&self, messages: Messages) -> Result<()> {
        assert_eq!(messages.len(), self.size(), "one message for each rank");
        let mut pairs = self.to.iter().zip(messages).enumerate();
        pairs.try_for_each(|(rank, (to, message))| to.send(message).map_err(|_| Error::gone(rank)))
    }

    fn finish(&self) -> Result<Messages> {
        let receive = |(rank, from): (usize, &Mutex<Receiver<Vec<u8>>>)| {
            from.lock().expect("nothing panics here").recv().map_err(|_| Error::gone(rank))
        };
        self.from.iter().enumerate().map(receive).collect()
    }
}

/// Runs `f` as each rank of a job, in a thread of its own. Returns the results in the order of the ranks.
///
/// # Panics
/// If a rank panics.
pub fn run_threads<T: Send>(size: usize, f: impl Fn(Threads) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let ranks: Vec<_> = Threads::job(size).into_iter().map(|rank| scope.spawn(|| f(rank))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
