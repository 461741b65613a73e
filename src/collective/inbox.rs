//! The inbox of a rank: a queue of messages from each rank.

use super::Messages;
use crate::error::{Error, Result};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A rank that has ended, and why.
#[derive(Debug, Clone)]
pub struct Gone {
    /// The number of the rank.
    pub rank: usize,
    /// What happened.
    pub message: String,
}

impl Gone {
    /// Returns which rank is to blame for an error on rank `rank`: this one, or the rank that it has lost.
    pub fn because_of(error: &Error, rank: usize) -> Self {
        match error {
            Error::Rank { rank, message } => Self { rank: *rank, message: message.clone() },
            error => Self { rank, message: error.to_string() },
        }
    }
}

impl From<Gone> for Error {
    fn from(gone: Gone) -> Self {
        Self::Rank { rank: gone.rank, message: gone.message }
    }
}

/// A message, or the news that a rank is gone, after which nothing follows.
pub type Post = std::result::Result<Vec<u8>, Gone>;

/// The messages that have arrived, and are not yet taken.
pub struct Inbox {
    from: Vec<Mutex<Receiver<Post>>>,
}

impl Inbox {
    /// Creates an inbox for messages from `size` ranks, and the ends of its queues. A rank whose end is dropped is gone.
    pub fn new(size: usize) -> (Self, Vec<Sender<Post>>) {
        let (ends, from): (Vec<_>, Vec<_>) = (0..size).map(|_| channel()).unzip();
        (Self { from: from.into_iter().map(Mutex::new).collect() }, ends)
    }

    /// Waits for a message from each rank.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn receive(&self) -> Result<Messages> {
        let receive = |(rank, from): (usize, &Mutex<Receiver<Post>>)| {
            let post = from.lock().expect("nothing panics here").recv();
            Ok(post.map_err(|_| Error::gone(rank))??)
        };
        self.from.iter().enumerate().map(receive).collect()
    }
}
