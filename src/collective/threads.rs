//! Ranks that are threads of one process: for tests, and to try a job on one machine.

use super::inbox::{Gone, Inbox, Post};
use super::{Collective, Messages};
use crate::error::{Error, Result};
use std::sync::mpsc::Sender;

/// A rank that is a thread. A queue leads from each rank to each rank, and keeps its messages in order.
pub struct Threads {
    rank: usize,
    to: Vec<Sender<Post>>,
    inbox: Inbox,
}

impl Threads {
    /// Creates the ranks of a job.
    pub fn job(size: usize) -> Vec<Self> {
        let (inboxes, ends): (Vec<_>, Vec<_>) = (0..size).map(|_| Inbox::new(size)).unzip();
        let to = |rank: usize| ends.iter().map(|ends| ends[rank].clone()).collect();
        inboxes.into_iter().enumerate().map(|(rank, inbox)| Self { rank, to: to(rank), inbox }).collect()
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn begin(&self, messages: Messages) {
        assert_eq!(messages.len(), self.size(), "one message for each rank");
        self.to.iter().zip(messages).for_each(|(to, message)| _ = to.send(Ok(message)));
    }

    fn finish(&self) -> Result<Messages> {
        self.inbox.receive()
    }

    fn give_up(&self, error: &Error) {
        let gone = Gone::because_of(error, self.rank);

        self.to.iter().for_each(|to| _ = to.send(Err(gone.clone())));
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
