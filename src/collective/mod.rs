//! Collective operations: the ranks of a job exchange messages and add up arrays.
//!
//! A *job* trains one model in several processes, its *ranks*, which are numbered from 0. They exchange numbers in *collective*
//! operations: all ranks call the same operations in the same order.
//!
//! Every operation is made from one, the exchange: each rank has a message for each rank, and the messages may differ in length
//! (MPI calls this all-to-all). To add up arrays, each rank gets the same part of all of them, adds in the order of the ranks,
//! and sends its sum to all others. So a sum has the same bits whatever carries the messages. Each of R ranks sends 2(R − 1)/R
//! times the bytes of its array, which is the least that is possible if all ranks send equally much.
//! Thakur et al. 2005, <https://doi.org/10.1177/1094342005051521>
//!
//! Book: [many_machines](../../../book/many_machines.html)

pub mod agree;
mod alone;
mod group;
mod inbox;
#[cfg(feature = "mpi")]
mod mpi;
mod threads;

pub use alone::Alone;
pub use group::Group;
#[cfg(feature = "mpi")]
pub use mpi::{Mpi, machine};
pub use threads::{Threads, run_threads};

use crate::error::{Error, Result};
use crate::kernels::{self, memory};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Messages: one for each rank, or one from each rank.
pub type Messages = Vec<Vec<u8>>;

/// A rank of a job, and what carries its messages to the others.
pub trait Collective: Send + Sync {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Begins to send `messages[r]` to each rank r, and does not wait for the others. If one is gone, [`finish`](Self::finish)
    /// says so.
    fn begin(&self, messages: Messages);

    /// Waits for the oldest exchange that has begun and is not finished. Returns the message from each rank.
    ///
    /// # Errors
    /// If a rank is gone.
    fn finish(&self) -> Result<Messages>;

    /// Tells all ranks that this one ends, and why. An exchange that needs it fails there, and names the rank and the reason.
    /// If this rank ends because another one has, the news is about that one.
    fn give_up(&self, error: &Error);
}

/// Returns the result of an exchange in the middle of a forward or backward pass, which has no errors. An error unwinds to
/// [`caught`].
pub fn or_unwind<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| resume_unwind(Box::new(error)))
}

/// Does something in which an exchange may fail, and returns its error.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| match payload.downcast::<Error>() {
        Ok(error) => Err(*error),
        Err(panic) => resume_unwind(panic),
    })
}

/// Returns the part of an array of `length` numbers that belongs to a rank. The parts of the ranks follow each other, and their
/// lengths differ by 1 at most.
pub fn part(length: usize, rank: usize, size: usize) -> Range<usize> {
    length * rank / size..length * (rank + 1) / size
}

// ANCHOR: operations
/// The collective operations, which fail if a rank is gone.
impl dyn Collective + '_ {
    /// Does some work, and gives up if it fails.
    pub fn attempt<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        work().inspect_err(|error| self.give_up(error))
    }

    /// Sends `messages[r]` to each rank r. Returns the message from each rank.
    pub fn all_to_all(&self, messages: Messages) -> Result<Messages> {
        self.begin(messages);
        self.finish()
    }

    /// Waits until all ranks have called this.
    pub fn barrier(&self) -> Result<()> {
        self.all_to_all(vec![Vec::new(); self.size()]).map(drop)
    }

    /// Sends the same message to all ranks. Returns the message from each rank.
    pub fn all_gather(&self, message: &[u8]) -> Result<Messages> {
        self.all_to_all(vec![message.to_vec(); self.size()])
    }

    /// Returns the message of rank `root` on every rank. Those of the others are ignored.
    pub fn broadcast(&self, root: usize, message: &[u8]) -> Result<Vec<u8>> {
        let message = if self.rank() == root { message } else { &[] };
        Ok(self.all_gather(message)?.swap_remove(root))
    }

    /// Adds up the arrays of all ranks, number by number. Returns the [`part`] of the sum that belongs to this rank.
    pub fn reduce_scatter(&self, numbers: &[f32]) -> Result<Vec<f32>> {
        let size = self.size();
        let parts = (0..size).map(|rank| to_bytes(&numbers[part(numbers.len(), rank, size)])).collect();
        let mut sum = vec![];
        self.all_to_all(parts)?.iter().for_each(|part| add_to(&mut sum, part));
        Ok(sum)
    }

    /// Replaces the array of each rank by the sum of all of them.
    pub fn all_reduce(&self, numbers: &mut [f32]) -> Result<()> {
        let sum = self.reduce_scatter(numbers)?;
        let length = numbers.len();
        for (rank, sum) in self.all_gather(&to_bytes(&sum))?.iter().enumerate() {
            copy_to(&mut numbers[part(length, rank, self.size())], sum);
        }
        Ok(())
    }
}
// ANCHOR_END: operations

/// Returns the bytes of numbers, in little-endian order.
pub fn to_bytes(numbers: &[f32]) -> Vec<u8> {
    memory::little_endian(numbers).into_owned()
}

/// Returns the numbers of a message.
pub fn to_numbers(message: &[u8]) -> impl Iterator<Item = f32> {
    let (numbers, rest) = message.as_chunks::<4>();
    assert!(rest.is_empty(), "a message of {} bytes holds no f32 numbers", message.len());
    numbers.iter().map(|&bytes| f32::from_le_bytes(bytes))
}

/// Copies the numbers of a message.
///
/// # Panics
/// If the message has another length.
pub fn copy_to(numbers: &mut [f32], message: &[u8]) {
    assert_eq!(4 * numbers.len(), message.len(), "a message has another length than its place");
    numbers.iter_mut().zip(to_numbers(message)).for_each(|(number, new)| *number = new);
}

/// Adds the numbers of a message to a sum, which is empty before the first one.
///
/// # Panics
/// If the message has another length than the sum.
pub fn add_to(sum: &mut Vec<f32>, message: &[u8]) {
    let numbers: Vec<f32> = to_numbers(message).collect();
    if sum.is_empty() {
        *sum = numbers;
    } else {
        assert_eq!(numbers.len(), sum.len(), "messages of different lengths are added");
        kernels::axpy(1.0, &numbers, sum);
    }
}
