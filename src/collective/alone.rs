//! A job of a single rank, which talks to itself.

use super::{Collective, Messages};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::Mutex;

/// The only rank of a job.
#[derive(Default)]
pub struct Alone {
    begun: Mutex<VecDeque<Messages>>,
}

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn begin(&self, messages: Messages) {
        assert_eq!(messages.len(), 1, "one message for each rank");
        self.begun.lock().expect("nothing panics here").push_back(messages);
    }

    fn finish(&self) -> Result<Messages> {
        Ok(self.begun.lock().expect("nothing panics here").pop_front().expect("an exchange has begun"))
    }

    fn give_up(&self, _: &Error) {}
}
