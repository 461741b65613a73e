//! Ranks that are processes, on one machine or on many (feature `mpi`). A launcher starts them: `mpirun`, or Slurm's `srun`.
//!
//! MPI carries the messages. If a process dies, most MPI libraries wait for its messages without end, or abort the others
//! without a reason. So each rank watches the others: a thread of its own, the [courier], makes all calls of MPI, and sends a
//! sign of life twice a second. A rank that is silent for five seconds is gone, and so is one whose process has ended.
//!
//! MPI 4.0, <https://www.mpi-forum.org/docs/mpi-4.0/mpi40-report.pdf>, through the crate `mpi`.

mod courier;
mod pulse;
mod transfer;

use self::courier::{Courier, Order};
pub use self::pulse::machine;
use super::inbox::{Gone, Inbox, Post};
use super::{Collective, Messages};
use crate::error::{Error, Result};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

/// A rank that is a process. When it is dropped, it waits until all others are done, too.
pub struct Mpi {
    rank: usize,
    size: usize,
    to_itself: Sender<Post>,
    orders: Sender<Order>,
    inbox: Inbox,
    courier: Option<JoinHandle<()>>,
}

impl Mpi {
    /// Joins the job that the launcher has started. If MPI fails in this, it ends the process with its own message.
    ///
    /// # Errors
    /// If this was called before, or the system starts no thread.
    pub fn join() -> Result<Self> {
        let (orders, taken) = channel();
        let (ready, started) = channel();
        let run = move || Courier::run(&taken, &ready);
        let courier = thread::Builder::new().name("courier".into()).spawn(run).map_err(Error::unusable)?;
        let joined = started.recv().map_err(|_| Error::argument("MPI cannot be initialized"))?;
        let (rank, size, inbox, to_itself) = joined;
        Ok(Self { rank, size, to_itself, orders, inbox, courier: Some(courier) })
    }

    /// Gives an order to the courier. If it has ended, [`Inbox::receive`] knows why.
    fn order(&self, order: Order) {
        _ = self.orders.send(order);
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn begin(&self, mut messages: Messages) {
        assert_eq!(messages.len(), self.size(), "one message for each rank");
        _ = self.to_itself.send(Ok(std::mem::take(&mut messages[self.rank])));
        self.order(Order::Send(messages));
    }

    fn finish(&self) -> Result<Messages> {
        self.inbox.receive()
    }

    fn give_up(&self, error: &Error) {
        self.order(Order::GiveUp(Gone::because_of(error, self.rank)));
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if thread::panicking() {
            self.order(Order::GiveUp(Gone { rank: self.rank, message: "has panicked".into() }));
        }
        self.order(Order::Leave);
        if let Some(courier) = self.courier.take() {
            _ = courier.join(); // a panic of it has printed its message
        }
    }
}
